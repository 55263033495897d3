//! `bincode` 2 with its standard configuration: an integer is its magnitude, least significant byte first,
//! with its length before it; a result is `n` as a variable-length integer, and then one.

use bincode::{config::standard, decode_from_slice, encode_to_vec};
use bytes::Bytes;
use num_bigint::BigUint;

use super::FormatError;

/// Bytes of a `u64`.
const LARGEST: usize = 8;

pub fn decode_request(value: &[u8]) -> Result<u64, FormatError> {
    // A `u64` and its length; anything longer is not read further.
    if value.len() > LARGEST + 1 {
        return Err(FormatError::TooLarge { digits: value.len() * 241 / 100 });
    }
    let (bytes, read): (Vec<u8>, usize) =
        decode_from_slice(value, standard()).map_err(|_| FormatError::not_a_number(value))?;
    if read != value.len() || bytes.len() > LARGEST {
        return Err(FormatError::not_a_number(value));
    }
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub fn encode_request(n: u64) -> Bytes {
    let bytes = n.to_le_bytes();
    let length = LARGEST - (n.leading_zeros() / 8) as usize;
    encode(&bytes[..length.max(1)])
}

pub fn encode_result(n: u64, result: &BigUint) -> Bytes {
    encode((n, result.to_bytes_le()))
}

pub fn decode_result(value: &[u8]) -> Result<(u64, String), FormatError> {
    let ((n, bytes), read): ((u64, Vec<u8>), usize) =
        decode_from_slice(value, standard()).map_err(|_| FormatError::not_a_number(value))?;
    if read != value.len() {
        return Err(FormatError::not_a_number(value));
    }
    Ok((n, BigUint::from_bytes_le(&bytes).to_str_radix(10)))
}

fn encode(value: impl bincode::Encode) -> Bytes {
    // Encoding to memory fails for types that refuse to be encoded alone, and numbers and bytes do not.
    encode_to_vec(value, standard()).unwrap_or_default().into()
}
