//! Checks digits as they come: modulo a prime, and by their number.

use crate::factorial;

/// 2^61 - 1, a prime: the remainder of a number divided by it is the number's fingerprint.
///
/// It detects whatever goes wrong with digits in practice: a changed digit (the difference is d 10^k, which
/// no prime above 9 divides), two swapped ones, the result for another n. Anything else has the same
/// fingerprint once in 10^18 times.
const PRIME: u64 = (1 << 61) - 1;

/// The fingerprint is kept for every n that is a multiple of this, and multiplied up to others when needed.
const KEPT_EVERY: u64 = 64;

/// What is kept of a result's digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fingerprint {
    /// The number, modulo 2^61 - 1.
    residue: u64,
    /// How many digits there were, without leading zeros.
    digits: u64,
}

impl Fingerprint {
    /// How other digits differ from these, in words.
    pub(super) fn difference(self, found: Fingerprint) -> String {
        if self.digits == found.digits {
            "other digits, as many as there must be".to_owned()
        } else {
            format!("{} digits instead of {}", found.digits, self.digits)
        }
    }
}

/// Reads digits as they come, without keeping them.
///
/// ```
/// use pipeline::load::{Expected, Reading};
///
/// let mut reading = Reading::default();
/// assert!(reading.take(b"24329020081") && reading.take(b"76640000"));
/// assert_eq!(reading.fingerprint(), Some(Expected::up_to(30).of(20)));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    fingerprint: Fingerprint,
    any: bool,
}

impl Reading {
    /// Reads more digits. Returns false where anything else is among them.
    pub fn take(&mut self, digits: &[u8]) -> bool {
        self.any |= !digits.is_empty();
        let zeros = match self.fingerprint.digits {
            0 => digits.iter().take_while(|digit| **digit == b'0').count(),
            _ => 0,
        };
        let digits = &digits[zeros..];
        let (eights, rest) = digits.as_chunks::<8>();
        for chunk in eights {
            let Some(value) = eight(*chunk) else { return false };
            self.push(100_000_000, value);
        }
        for digit in rest {
            if !digit.is_ascii_digit() {
                return false;
            }
            self.push(10, u64::from(digit - b'0'));
        }
        self.fingerprint.digits += digits.len() as u64;
        true
    }

    fn push(&mut self, power: u64, value: u64) {
        self.fingerprint.residue = add(multiply(self.fingerprint.residue, power), value);
    }

    /// The fingerprint of the digits read; `None` where there were none.
    pub fn fingerprint(self) -> Option<Fingerprint> {
        // 0 has one digit, although leading zeros do not count.
        let digits = self.fingerprint.digits.max(1);
        self.any.then_some(Fingerprint { digits, ..self.fingerprint })
    }
}

/// Eight decimal digits at a time (Lemire: "Quickly parsing eight digits"); `None` where they are none.
fn eight(chunk: [u8; 8]) -> Option<u64> {
    let value = u64::from_le_bytes(chunk);
    let high = value & 0xF0F0_F0F0_F0F0_F0F0;
    let carried = value.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    if high | carried >> 4 != 0x3333_3333_3333_3333 {
        return None;
    }
    let value = value - 0x3030_3030_3030_3030;
    let pairs = value.wrapping_mul(10).wrapping_add(value >> 8);
    let even = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let odd = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(even.wrapping_add(odd) >> 32)
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    add((product >> 61) as u64, product as u64 & PRIME)
}

fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

/// The fingerprints that the factorials must have, computed beforehand, so that checking hardly disturbs the
/// measurement.
#[derive(Clone, Debug)]
pub struct Expected(Vec<u64>);

impl Expected {
    /// For all n up to `largest`. Takes 2 ns each, and keeps 8 bytes for 64 of them.
    pub fn up_to(largest: u64) -> Expected {
        let mut product = 1;
        let mut kept = vec![product];
        for n in 1..=largest {
            product = multiply(product, n);
            if n % KEPT_EVERY == 0 {
                kept.push(product);
            }
        }
        Expected(kept)
    }

    /// The fingerprint of n!; n must not be above the largest.
    pub fn of(&self, n: u64) -> Fingerprint {
        let near = n / KEPT_EVERY;
        let residue = (near * KEPT_EVERY + 1..=n).fold(self.0[near as usize], multiply);
        // The configuration admits no n that does not fit.
        Fingerprint { residue, digits: factorial::digits(u32::try_from(n).unwrap_or(u32::MAX)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::factorial::factorial_decimal;

    fn read(digits: &[u8]) -> Option<Fingerprint> {
        let mut reading = Reading::default();
        reading.take(digits).then(|| reading.fingerprint())?
    }

    #[test]
    fn the_digits_of_n_factorial_have_the_fingerprint_that_is_expected() {
        let expected = Expected::up_to(5_000);
        for n in (0..300).chain([1_000, 4_095, 4_096, 5_000]) {
            assert_eq!(read(factorial_decimal(n).as_bytes()), Some(expected.of(u64::from(n))), "{n}!");
        }
    }

    #[test]
    fn any_digit_changed_any_neighbours_swapped_and_any_length_but_the_right_one_is_noticed() {
        let digits = factorial_decimal(200).into_bytes();
        let right = read(&digits).unwrap();
        for at in 0..digits.len() {
            for digit in b'0'..=b'9' {
                let mut wrong = digits.clone();
                wrong[at] = digit;
                assert_eq!(read(&wrong) == Some(right), digit == digits[at], "digit {at} as {digit}");
            }
            assert_ne!(read(&digits[..at]), Some(right), "cut after {at}");
            let mut swapped = digits.clone();
            swapped.swap(at, (at + 1) % digits.len());
            assert_eq!(read(&swapped) == Some(right), swapped == digits, "swapped at {at}");
        }
        assert_ne!(read(factorial_decimal(201).as_bytes()), Some(right));
    }

    #[test]
    fn leading_zeros_do_not_count_and_no_digits_are_no_number() {
        assert_eq!(read(b"000000000000000000120"), read(b"120"));
        assert_eq!(read(b"0"), read(b"000000000"));
        assert_ne!(read(b"0"), read(b"1"));
        assert_eq!(read(b""), None);
    }

    #[test]
    fn what_is_no_digit_is_refused_wherever_it_is() {
        for at in 0..20 {
            for byte in [b'/', b':', b' ', b'\n', b'-', 0, 0x80, 0xff, b'a'] {
                let mut digits = *b"12345678901234567890";
                digits[at] = byte;
                assert_eq!(read(&digits), None, "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn digits_are_read_alike_in_whatever_pieces_they_come(
            digits in "[0-9]{1,100}",
            cuts in proptest::collection::vec(0_usize..100, 0..5),
        ) {
            let bytes = digits.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut reading = Reading::default();
            for pair in cuts.windows(2) {
                prop_assert!(reading.take(&bytes[pair[0]..pair[1]]));
            }
            prop_assert_eq!(reading.fingerprint(), read(bytes));
            let number: num_bigint::BigUint = digits.parse().unwrap();
            let residue = (number % PRIME).try_into();
            prop_assert_eq!(Ok(reading.fingerprint().unwrap().residue), residue);
        }
    }
}
