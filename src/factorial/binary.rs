//! Decimal limbs to a binary integer and back, for the formats that carry one.
//!
//! `num-bigint` reads and writes decimal digits in quadratic time, which is unbearable beyond some ten thousand. So the
//! halves are converted alone, and the upper one multiplied by its power of ten, or divided off by it.

use num_bigint::BigUint;

use super::limb::{BASE, trim};

/// So many limbs are converted one by one.
const AT_ONCE: usize = 64;

/// The integer of limbs with zeros behind them.
pub fn to_biguint(limbs: &[u64], zeros: u64) -> BigUint {
    let powers = powers(limbs.len());
    // Ten is five times two, and twos are a shift.
    let five = BigUint::from(5_u32);
    (joined(limbs, &powers) * five.pow(zeros as u32)) << zeros
}

/// The powers BASE^AT_ONCE, BASE^(2 AT_ONCE), … below so many limbs.
fn powers(limbs: usize) -> Vec<BigUint> {
    let first = (AT_ONCE < limbs).then(|| BigUint::from(BASE).pow(AT_ONCE as u32));
    let lengths = std::iter::successors(Some(2 * AT_ONCE), |length| Some(2 * length));
    let mut powers: Vec<BigUint> = first.into_iter().collect();
    for _ in lengths.take_while(|length| *length < limbs) {
        powers.extend(powers.last().map(|last| last * last));
    }
    powers
}

fn joined(limbs: &[u64], powers: &[BigUint]) -> BigUint {
    let Some((power, smaller)) = powers.split_last() else {
        return limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| sum * BASE + limb);
    };
    match limbs.split_at_checked(AT_ONCE << smaller.len()) {
        Some((lower, upper)) if !upper.is_empty() => joined(upper, smaller) * power + joined(lower, smaller),
        _ => joined(limbs, smaller),
    }
}

/// The limbs of an integer.
pub fn from_biguint(integer: &BigUint) -> Vec<u64> {
    // A limb has 49.8 bits.
    let powers = powers(integer.bits() as usize / 49 + 1);
    let mut limbs = Vec::new();
    separated(integer.clone(), &powers, &mut limbs);
    trim(&mut limbs);
    limbs
}

/// Appends the limbs of an integer below the square of the last power, zeros included.
fn separated(integer: BigUint, powers: &[BigUint], limbs: &mut Vec<u64>) {
    let Some((power, smaller)) = powers.split_last() else {
        let mut rest = integer;
        for _ in 0..AT_ONCE {
            let limb = (&rest % BASE).try_into().unwrap_or(0); // below BASE
            rest /= BASE;
            limbs.push(limb);
        }
        return;
    };
    let upper = &integer / power;
    let lower = integer - &upper * power;
    separated(lower, smaller, limbs);
    separated(upper, smaller, limbs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factorial::{Decimal, factorial};

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn an_integer_there_and_back_is_the_same() {
        for bits in [0, 1, 49, 50, 3_188, 3_189, 3_190, 6_400, 20_000, 100_000] {
            for integer in [BigUint::from(1_u32) << bits, (BigUint::from(1_u32) << bits) - 1_u32] {
                let decimal = Decimal::from(&integer);
                assert_eq!(decimal.to_biguint(), integer, "{bits} bits");
                assert_eq!(decimal.to_string(), integer.to_string(), "{bits} bits");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore)] // takes too long
    fn a_factorial_in_binary_is_the_one_that_is_read_from_its_digits() {
        for n in [0, 1, 5, 25, 1_000, 3_000] {
            let result = factorial(n);
            assert_eq!(result.to_biguint(), result.to_string().parse().unwrap(), "{n}!");
        }
    }
}
