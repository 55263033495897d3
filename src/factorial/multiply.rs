//! Which multiplication is used for which length.

use super::{
    fft::{self, Group, Isa},
    limb::{add, give_back, multiply_school, multiply_word, square_school, trim},
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
        short if short < thresholds::vectors() => multiply_school(a, b),
        short if short < thresholds::transform() => fft::multiply_school(Isa::best(), a, b),
        _ => transform(a, b),
    };
    trim(&mut product);
    product
}

/// The square of a number.
pub fn square(a: &[u64]) -> Vec<u64> {
    let mut product = match a.len() {
        limbs if limbs < thresholds::vectors_square() => square_school(a),
        limbs if limbs < thresholds::transform_square() => fft::multiply_school(Isa::best(), a, a),
        _ => transform(a, a),
    };
    trim(&mut product);
    product
}

/// The most limbs of a product that is made by one transform, 300 million digits: its floats take 2 GB.
const LONGEST: usize = 20_000_000;

fn transform(a: &[u64], b: &[u64]) -> Vec<u64> {
    if a.len() + b.len() > LONGEST {
        return in_halves(a, b);
    }
    let isa = Isa::best();
    [Group::Five, Group::Four, Group::Three]
        .into_iter()
        .filter(|group| fft::is_likely(*group, a.len(), b.len()))
        .find_map(|group| fft::multiply(isa, group, a, b))
        // Groups of three digits are proved for 260 million, whatever they are.
        .unwrap_or_else(|| in_halves(a, b))
}

/// The product of what is too long for the proof: the longer number's halves times the other one.
pub fn in_halves(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() > b.len() { (a, b) } else { (b, a) };
    let (low, high) = long.split_at(long.len() / 2);
    let mut product = multiply(low, short);
    let upper = multiply(high, short);
    product.resize(product.len().max(low.len() + upper.len()), 0);
    add(&mut product[low.len()..], &upper);
    give_back(upper);
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factorial::limb::BASE;

    #[test]
    fn a_product_of_halves_is_the_whole_product() {
        let mut random = fastrand::Rng::with_seed(11);
        let lengths = [(1, 1), (2, 1), (3, 2), (40, 40), (41, 40), (100, 7), (301, 300)];
        for (a, b) in lengths.into_iter().filter(|(a, _)| !cfg!(miri) || *a < 50) {
            let mut number = |limbs: usize| (0..limbs).map(|_| random.u64(1..BASE)).collect::<Vec<_>>();
            let largest = |limbs| vec![BASE - 1; limbs];
            let sparse = |limbs: usize| (0..limbs).map(|place| u64::from(place + 1 == limbs)).collect();
            for (a, b) in [(number(a), number(b)), (largest(a), largest(b)), (sparse(a), sparse(b))] {
                let (mut halves, mut whole) = (in_halves(&b, &a), multiply_school(&a, &b));
                trim(&mut halves);
                trim(&mut whole);
                assert!(halves == whole, "{} by {} limbs", a.len(), b.len());
            }
        }
    }
}
