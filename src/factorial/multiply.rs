//! Which multiplication is used for which length.

use super::{
    fft::{self, Group, Isa},
    limb::{multiply_school, multiply_word, square_school, trim},
    thresholds,
};

/// The product of two numbers.
pub fn multiply(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut product = match a.len().min(b.len()) {
        0 => Vec::new(),
        1 => {
            let (long, short) = if a.len() > b.len() { (a, b) } else { (b, a) };
            let mut product = long.to_vec();
            multiply_word(&mut product, short[0]);
            product
        }
        short if short < thresholds::transform() => multiply_school(a, b),
        _ => transform(a, b),
    };
    trim(&mut product);
    product
}

/// The square of a number.
pub fn square(a: &[u64]) -> Vec<u64> {
    let mut product =
        if a.len() < thresholds::transform_square() { square_school(a) } else { transform(a, a) };
    trim(&mut product);
    product
}

fn transform(a: &[u64], b: &[u64]) -> Vec<u64> {
    let isa = Isa::best();
    [Group::Five, Group::Four, Group::Three]
        .into_iter()
        .filter(|group| fft::is_likely(*group, a.len(), b.len()))
        .find_map(|group| fft::multiply(isa, group, a, b))
        // Groups of three digits are proved for 260 million, whatever they are, and `MAX_N` stays below.
        .expect("a product of less than 260 million digits")
}
