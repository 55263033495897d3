//! Decimal ASCII: `30`, and `30;265252859812191058636308480000000`.

use bytes::Bytes;

use super::FormatError;

/// The longest value that can be a `u64`, leading zeros apart.
const DIGITS: usize = 20;

pub fn decode_request(value: &[u8]) -> Result<u64, FormatError> {
    if let Err(error) = std::str::from_utf8(value) {
        return Err(FormatError::NotUtf8 { position: error.valid_up_to() });
    }
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FormatError::not_a_number(value));
    }
    if negative {
        return Err(FormatError::negative(value));
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[zeros..];
    let too_large = FormatError::TooLarge { digits: digits.len() };
    if digits.len() > DIGITS {
        return Err(too_large);
    }
    let number = digits
        .iter()
        .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.ok_or(too_large)
}

pub fn encode_result(n: u64, digits: &str) -> Bytes {
    let mut value = Vec::with_capacity(DIGITS + 1 + digits.len());
    value.extend_from_slice(n.to_string().as_bytes());
    value.push(b';');
    value.extend_from_slice(digits.as_bytes());
    value.into()
}

pub fn decode_result(value: &[u8]) -> Result<(u64, String), FormatError> {
    let wrong = || FormatError::not_a_number(value);
    let middle = value.iter().position(|byte| *byte == b';').ok_or_else(wrong)?;
    let (n, digits) = (&value[..middle], &value[middle + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    Ok((decode_request(n)?, String::from_utf8_lossy(digits).into_owned()))
}
