//! Multiplication of long numbers by a complex Fourier transform of their groups of digits, with a proved bound of
//! its error. README.md one folder up explains the method.
//!
//! Must not know: product, primes, small, stream.

mod bound;
mod buffer;
mod convolve;
mod double;
mod groups;
mod join;
mod kernels;
mod moduli;
mod passes;
mod residue;
mod steps;
mod terms;
mod twiddle;
mod vector;
mod words;

pub use groups::Group;
pub use kernels::Isa;

use buffer::Buffer;
use join::{join, settle_all};
use moduli::{Moduli, Operands};
use words::Eight;

use super::limb::{multiply_word, trim};

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
    // Digits that are spread evenly from -base/2 to base/2 have a mean square of base^2/12.
    let square = group.base() * group.base() / 12.0;
    let (a, b) = (group.count(a), group.count(b));
    bound::is_exact((a + b).ilog2(), 0.9 * square * (a as f64 * b as f64).sqrt())
}

/// A number times words below 10^14, which are few: one after the other, all limbs at once.
pub fn multiply_words(isa: Isa, number: &[u64], words: &[u64]) -> Vec<u64> {
    let kernels = isa.kernels();
    let Some(scale) = kernels.scale.filter(|_| number.len() >= 16 && !words.is_empty()) else {
        let mut product = number.to_vec();
        words.iter().for_each(|word| multiply_word(&mut product, *word));
        return product;
    };
    let (whole, rest) = number.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let limbs = number.len() + words.len();
    let mut floats = Buffer::stale(limbs.div_ceil(8));
    floats[whole.len()..].fill(Eight::ZERO);
    (kernels.to_floats)(whole, &mut floats);
    (kernels.to_floats)(&[last], &mut floats[whole.len()..]);
    for word in words {
        scale(&mut floats, *word as f64);
    }
    let mut product = vec![0; limbs];
    settle_all(&floats, &mut product, 0);
    trim(&mut product);
    product
}

#[cfg(test)]
mod tests;
