//! Limbs to decimal digits.

use std::{borrow::Cow, fmt};

use num_bigint::BigUint;

use super::{binary, text};

/// A result in decimal limbs, ready to be written.
///
/// ```
/// let result = pipeline::factorial::factorial(10);
/// let mut text = b"10;".to_vec();
/// result.write(&mut text);
/// assert_eq!(text, b"10;3628800");
/// assert_eq!(result.digits(), 7);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decimal<'a> {
    /// Fifteen digits each, the least significant first.
    pub(super) limbs: Cow<'a, [u64]>,
    /// How many zeros come after the limbs' digits.
    pub(super) zeros: u64,
}

impl Decimal<'_> {
    /// How many digits it has.
    pub fn digits(&self) -> u64 {
        text::length(&self.limbs) as u64 + self.zeros
    }

    /// Appends the digits, without leading zeros. Each is written once; `to` grows by [`digits`](Self::digits).
    pub fn write(&self, to: &mut Vec<u8>) {
        text::write(&self.limbs, self.zeros as usize, to);
    }

    /// The same number in binary.
    pub fn to_biguint(&self) -> BigUint {
        binary::to_biguint(&self.limbs, self.zeros)
    }
}

impl From<&BigUint> for Decimal<'static> {
    fn from(integer: &BigUint) -> Self {
        Decimal { limbs: binary::from_biguint(integer).into(), zeros: 0 }
    }
}

impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.digits() as usize);
        self.write(&mut text);
        // There is nothing but ASCII digits in it.
        f.pad_integral(true, "", std::str::from_utf8(&text).unwrap_or_default())
    }
}
