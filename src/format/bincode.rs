//! An integer is its magnitude's bytes, the least significant first, as a `Vec<u8>` in `bincode`'s standard
//! configuration: the length as a varint, then the bytes. A result is `n` as a varint and then its integer.

use bincode::{borrow_decode_from_slice, config, encode_into_slice, error::DecodeError};
use num_bigint::BigUint;

use super::error::{ValueError, excerpt};
use crate::factorial::Decimal;

/// A varint takes at most nine bytes.
const VARINT: usize = 9;

pub(super) fn decode_request(value: &[u8]) -> Result<u64, ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    let read: Result<(&[u8], usize), DecodeError> = borrow_decode_from_slice(value, config::standard());
    match read {
        Ok((magnitude, length)) if length == value.len() => {
            small(magnitude).ok_or_else(|| ValueError::TooLarge(excerpt(value)))
        }
        _ => Err(ValueError::NotANumber(excerpt(value))),
    }
}

/// Zeros at the end are leading zeros, which are accepted as in the other formats.
fn small(magnitude: &[u8]) -> Option<u64> {
    let (low, high) = magnitude.split_at(magnitude.len().min(8));
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut bytes = [0; 8];
    bytes[..low.len()].copy_from_slice(low);
    Some(u64::from_le_bytes(bytes))
}

pub(super) fn encode_request(n: u64) -> Vec<u8> {
    let bytes = n.to_le_bytes();
    let length = bytes.len() - n.leading_zeros() as usize / 8;
    let mut value = Vec::with_capacity(1 + length);
    push_varint(&mut value, length as u64);
    value.extend_from_slice(&bytes[..length]);
    value
}

fn push_varint(value: &mut Vec<u8>, n: u64) {
    let mut bytes = [0; VARINT];
    // An integer always fits: `bincode` writes at most nine bytes of a 64-bit one.
    let length = encode_into_slice(n, &mut bytes, config::standard()).unwrap_or(0);
    value.extend_from_slice(&bytes[..length]);
}

pub(super) fn encode_result(n: u64, result: &Decimal<'_>) -> Vec<u8> {
    let integer = result.to_biguint();
    let magnitude = if integer == BigUint::ZERO { Vec::new() } else { integer.to_bytes_le() };
    let mut value = Vec::with_capacity(2 * VARINT + magnitude.len());
    push_varint(&mut value, n);
    push_varint(&mut value, magnitude.len() as u64);
    value.extend_from_slice(&magnitude);
    value
}

/// An upper bound, at most 20 bytes too high.
pub(super) fn result_size(digits: u64) -> u64 {
    let magnitude = digits as f64 * 10_f64.log2() / 8.0;
    magnitude as u64 + 1 + 2 * VARINT as u64
}

pub(super) fn decode_result(value: &[u8]) -> Result<(u64, String), ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    let read: Result<((u64, &[u8]), usize), DecodeError> =
        borrow_decode_from_slice(value, config::standard());
    match read {
        Ok(((n, magnitude), length)) if length == value.len() => {
            Ok((n, Decimal::from(&BigUint::from_bytes_le(magnitude)).to_string()))
        }
        _ => Err(ValueError::NotAResult(excerpt(value))),
    }
}

pub(super) fn result_number(value: &[u8]) -> Option<u64> {
    let read: Result<((u64, &[u8]), usize), DecodeError> =
        borrow_decode_from_slice(value, config::standard());
    let ((n, _), length) = read.ok()?;
    (length == value.len()).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(n: u32) -> Decimal<'static> {
        Decimal::from(&BigUint::from(n))
    }

    #[test]
    fn the_bytes_are_those_of_bincodes_standard_configuration() {
        assert_eq!(encode_request(0), [0]);
        assert_eq!(encode_request(30), [1, 30]);
        assert_eq!(encode_request(200_000), [3, 0x40, 0x0d, 0x03]);
        assert_eq!(encode_result(3, &decimal(6)), [3, 1, 6]);
        assert_eq!(
            encode_result(300, &decimal(65_536)),
            [251, 44, 1, 3, 0, 0, 1],
            "251 begins a varint of 16 bits"
        );
        let by_the_crate = bincode::encode_to_vec((300_u64, vec![0_u8, 0, 1]), config::standard()).unwrap();
        assert_eq!(encode_result(300, &decimal(65_536)), by_the_crate);
    }

    #[test]
    fn leading_zeros_are_accepted() {
        assert_eq!(decode_request(&[3, 30, 0, 0]), Ok(30));
        assert_eq!(decode_request(&[10, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(30));
    }

    #[test]
    fn the_kinds_of_wrong_are_told_apart() {
        assert_eq!(decode_request(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap_err().class(), "above-max");
        assert_eq!(decode_request(&[2, 30]).unwrap_err().class(), "not-a-number", "a byte is missing");
        assert_eq!(decode_request(&[1, 30, 7]).unwrap_err().class(), "not-a-number", "a byte too many");
        assert_eq!(
            decode_request(&[253, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap_err().class(),
            "not-a-number"
        );
        assert_eq!(decode_result(&[3, 2, 6]).unwrap_err().class(), "not-a-result");
        assert_eq!(decode_result(&[3, 1, 6, 0]).unwrap_err().class(), "not-a-result");
    }

    #[test]
    fn zero_has_no_bytes() {
        assert_eq!(encode_result(3, &decimal(0)), [3, 0]);
        assert_eq!(decode_result(&[3, 0]), Ok((3, "0".into())));
    }
}
