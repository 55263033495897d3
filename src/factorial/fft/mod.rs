//! Multiplication of long numbers by a complex Fourier transform of their groups of digits, with a proved bound of
//! its error; and of short ones by the school's method in the same vectors. README.md one folder up explains the method.
//!
//! Must not know: product, primes, small, stream.

mod bound;
mod buffer;
mod convolve;
mod digits;
mod double;
mod groups;
mod join;
mod kernels;
mod moduli;
mod passes;
mod residue;
mod school;
mod settle;
mod steps;
mod terms;
mod twiddle;
mod vector;
mod words;

pub use buffer::shed;
pub use digits::digits_of;
pub use groups::Group;
pub use kernels::Isa;

use buffer::Buffer;

use join::{join, settle_all};
use kernels::Kernels;
use moduli::{Moduli, Operands};
use school::{COLUMNS, LONGEST};
use words::Eight;

use super::limb::{self, DIGITS, multiply_word, trim};

/// The product of two numbers, or `None` if it cannot be proved that groups of that many digits give it.
pub fn multiply(isa: Isa, group: Group, a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let kernels = isa.kernels();
    let limbs = a.len() + b.len();
    // The balanced digits of either number may have a group more.
    let moduli = Moduli::new(group.count(a.len()) + group.count(b.len()) + 2);
    let operands = Operands { kernels, group, a, b: (!std::ptr::eq(a, b)).then_some(b) };
    Some(join(kernels, group, &operands.convolve(&moduli)?, limbs))
}

/// Whether [`multiply`] can be expected to prove such a product of numbers with random digits.
pub fn is_likely(group: Group, a: usize, b: usize) -> bool {
    // Digits that are spread evenly from -base/2 to base/2 have a mean square of base^2/12; long numbers come close to it.
    let square = group.base() * group.base() / 12.0;
    let (a, b) = (group.count(a), group.count(b));
    Moduli::new(a + b + 2).is_exact(0.99 * square * (a as f64 * b as f64).sqrt())
}

/// The product of two numbers by the school's method, with zeros at its end.
pub fn multiply_school(isa: Isa, a: &[u64], b: &[u64]) -> Vec<u64> {
    let kernels = isa.kernels();
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let Some(school) = kernels.school.filter(|_| (1..=LONGEST).contains(&short.len())) else {
        return limb::multiply_school(a, b);
    };
    let limbs = a.len() + b.len();
    let (padded, eights) = (COLUMNS / 8, limbs.next_multiple_of(COLUMNS) / 8);
    let (short_eights, long_eights) = (short.len().div_ceil(8), long.len().div_ceil(8));
    let mut floats = Buffer::stale(short_eights + long_eights + 2 * padded + eights);
    let (short_floats, rest) = floats.split_at_mut(short_eights);
    let (long_floats, product) = rest.split_at_mut(long_eights + 2 * padded);
    to_floats(kernels, short, short_floats);
    let (before, from) = long_floats.split_at_mut(padded);
    before.fill(Eight::ZERO);
    to_floats(kernels, long, from);
    school(
        &Eight::flat(short_floats)[..short.len()],
        &Eight::flat(long_floats)[..long.len() + 2 * COLUMNS],
        product,
    );
    let mut limbs = vec![0; limbs];
    settle_all(kernels, product, &mut limbs, 0);
    limbs
}

/// A number in floats, and zeros behind it.
fn to_floats(kernels: &Kernels, number: &[u64], floats: &mut [Eight]) {
    let (whole, rest) = number.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    floats[whole.len()..].fill(Eight::ZERO);
    (kernels.to_floats)(whole, floats);
    (kernels.to_floats)(&[last], &mut floats[whole.len()..]);
}

/// Fifteen digits for each limb, the last one's first.
pub fn write_digits(isa: Isa, limbs: &[u64], places: &mut [[u8; DIGITS]]) {
    let (rest, whole) = limbs.as_rchunks();
    let (first, last) = places.split_at_mut(8 * whole.len());
    (isa.kernels().digits)(whole, first);
    for (limb, place) in rest.iter().rev().zip(last) {
        *place = digits_of(*limb);
    }
}

/// Words for [`multiply_words`] are below this.
pub const LARGEST_WORD: u64 = 100_000_000_000_000;

/// A number times words below [`LARGEST_WORD`]: one after the other, all limbs at once where they are many.
pub fn multiply_words(isa: Isa, number: &[u64], words: &[u64]) -> Vec<u64> {
    let kernels = isa.kernels();
    let limbs = number.len() + words.len();
    let mut product = Vec::with_capacity(limbs);
    product.extend_from_slice(number);
    let Some(scale) = kernels.scale.filter(|_| limbs >= 16) else {
        words.iter().for_each(|word| multiply_word(&mut product, *word));
        return product;
    };
    let mut words = words.iter();
    while product.len() < 4 {
        let Some(word) = words.next() else { return product };
        multiply_word(&mut product, *word);
    }
    let mut floats = Buffer::stale(limbs.div_ceil(8));
    to_floats(kernels, &product, &mut floats);
    for (count, word) in words.enumerate() {
        // Each word makes one limb more at the most.
        scale(&mut floats[..(product.len() + count + 1).div_ceil(8)], *word as f64);
    }
    product.resize(limbs, 0);
    settle_all(kernels, &floats, &mut product, 0);
    trim(&mut product);
    product
}

#[cfg(test)]
mod tests;
