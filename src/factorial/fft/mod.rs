//! Multiplication of long numbers by a complex Fourier transform of their groups of digits, with a proved bound of
//! its error. README.md one folder up explains the method.
//!
//! Knows nothing of factorials.

mod bound;
mod convolve;
mod double;
mod groups;
mod kernels;
mod moduli;
mod passes;
mod twiddle;
mod vector;
mod words;

pub use groups::Group;
pub use kernels::Isa;

use groups::settle;
use moduli::Moduli;

use super::limb::{BASE, multiply_word, trim};

/// The product of two numbers, or `None` if it cannot be proved that groups of that many digits give it.
pub fn multiply(isa: Isa, group: Group, a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let kernels = isa.kernels();
    let limbs = a.len() + b.len();
    // The balanced digits of either number may have a group more.
    let moduli = Moduli::new(group.count(a.len()) + group.count(b.len()) + 2);
    let x = group.split(kernels, a);
    let y = (!std::ptr::eq(a, b)).then(|| group.split(kernels, b));
    let mut product = moduli.convolve(kernels, &x, y.as_deref())?;
    // Whole words, all limbs, and what carries go to.
    product.resize(group.count(limbs).div_ceil(8) + 6, [0.0; 8]);
    Some(group.join(kernels, &product, limbs))
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
    let mut floats = vec![[0.0; 8]; limbs.div_ceil(8)];
    (kernels.to_floats)(whole, &mut floats);
    (kernels.to_floats)(&[last], &mut floats[whole.len()..]);
    for word in words {
        scale(&mut floats, *word as f64);
    }
    let mut borrow = 0;
    let floats = floats.as_flattened().iter().take(limbs);
    let mut product: Vec<u64> = floats.map(|limb| settle(*limb, BASE as i64, &mut borrow)).collect();
    trim(&mut product);
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factorial::limb::multiply_school;

    fn random(limbs: usize, random: &mut fastrand::Rng) -> Vec<u64> {
        (0..limbs).map(|_| random.u64(1..BASE)).collect()
    }

    const GROUPS: [Group; 3] = [Group::Three, Group::Four, Group::Five];

    /// Every instruction set and every size of groups against the school's method.
    fn assert_product(a: &[u64], b: &[u64]) {
        let expected = multiply_school(a, b);
        for isa in Isa::available() {
            for group in GROUPS {
                let Some(mut product) = multiply(isa, group, a, b) else { continue };
                trim(&mut product);
                let wrong = product.iter().zip(&expected).position(|(x, y)| x != y);
                assert_eq!(wrong, None, "{isa:?} {group:?}, {} by {} limbs", a.len(), b.len());
                assert_eq!(product.len(), expected.len(), "{isa:?} {group:?}, {} by {}", a.len(), b.len());
            }
        }
    }

    #[test]
    fn random_numbers_of_all_lengths_are_multiplied_as_by_hand() {
        let mut rng = fastrand::Rng::with_seed(7);
        for length in (1..100).chain([128, 200, 255, 256, 257, 341, 500, 700, 1_000, 1_500]) {
            let (a, b) = (random(length, &mut rng), random(rng.usize(1..=length), &mut rng));
            assert_product(&a, &b);
            assert_product(&a, &a);
        }
    }

    #[test]
    fn long_numbers_have_the_same_product_with_groups_of_any_size() {
        let mut rng = fastrand::Rng::with_seed(8);
        for length in [3_000, 5_461, 8_000, 20_000] {
            let (a, b) = (random(length, &mut rng), random(length, &mut rng));
            let expected = multiply(Isa::Portable, Group::Three, &a, &b);
            for isa in Isa::available() {
                for group in GROUPS {
                    let product = multiply(isa, group, &a, &b);
                    assert!(
                        product.is_none_or(|product| Some(product) == expected),
                        "{isa:?} {group:?} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_number_times_words_is_the_product_by_hand() {
        let mut rng = fastrand::Rng::with_seed(9);
        for length in (0..40).chain([100, 1_000]) {
            for count in 0..6 {
                let words: Vec<u64> = (0..count).map(|_| rng.u64(1..=99_999_999_999_999)).collect();
                for number in [random(length, &mut rng), vec![BASE - 1; length]] {
                    let mut expected = number.clone();
                    words.iter().for_each(|word| multiply_word(&mut expected, *word));
                    for isa in Isa::available() {
                        assert!(multiply_words(isa, &number, &words) == expected, "{isa:?} {length} {count}");
                    }
                }
            }
        }
    }
}
