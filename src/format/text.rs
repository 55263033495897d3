//! `n`, and `n;digits`.

use super::error::{ValueError, excerpt};
use crate::factorial::Decimal;

pub(super) fn decode_request(value: &[u8]) -> Result<u64, ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    if let Some(n) = number(value) {
        return n.ok_or_else(|| ValueError::TooLarge(excerpt(value)));
    }
    if std::str::from_utf8(value).is_err() {
        return Err(ValueError::NotUtf8(excerpt(value)));
    }
    Err(match value.strip_prefix(b"-") {
        Some(digits) if number(digits).is_some() => ValueError::Negative(excerpt(value)),
        _ => ValueError::NotANumber(excerpt(value)),
    })
}

/// ASCII digits alone, as a number: `None` if there is anything else or nothing, `Some(None)` if it is too large.
pub(super) fn number(digits: &[u8]) -> Option<Option<u64>> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut n = 0_u64;
    for digit in digits.iter().skip_while(|digit| **digit == b'0') {
        let longer = n.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
        match longer {
            Some(longer) => n = longer,
            None => return Some(None),
        }
    }
    Some(Some(n))
}

pub(super) fn encode_result(n: u64, result: &Decimal<'_>) -> Vec<u8> {
    let n = n.to_string();
    let mut value = Vec::with_capacity(n.len() + 1 + result.digits() as usize);
    value.extend_from_slice(n.as_bytes());
    value.push(b';');
    result.write(&mut value);
    value
}

pub(super) fn decode_result(value: &[u8]) -> Result<(u64, String), ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    let not_a_result = || ValueError::NotAResult(excerpt(value));
    let separator = value.iter().position(|byte| *byte == b';').ok_or_else(not_a_result)?;
    let n = number(&value[..separator]).flatten().ok_or_else(not_a_result)?;
    Ok((n, digits(&value[separator + 1..]).ok_or_else(not_a_result)?))
}

pub(super) fn result_number(value: &[u8]) -> Option<u64> {
    let separator = value.iter().position(|byte| *byte == b';')?;
    let digits = &value[separator + 1..];
    let is_result = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_result { number(&value[..separator])? } else { None }
}

/// Decimal digits as they are, less leading zeros.
pub(super) fn digits(digits: &[u8]) -> Option<String> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(digits.len() - 1);
    String::from_utf8(digits[zeros..].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_are_a_request_leading_zeros_too() {
        assert_eq!(decode_request(b"0"), Ok(0));
        assert_eq!(decode_request(b"30"), Ok(30));
        assert_eq!(decode_request(b"007"), Ok(7));
        assert_eq!(decode_request(b"0000000000000000000000000000000000000000030"), Ok(30));
        assert_eq!(decode_request(b"18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn everything_else_is_not_a_number() {
        for value in [
            "+5", " 5", "5 ", "5\n", "\u{663}", "5.0", "5e3", "0x5", "--5", "-", "1_000", "five", "5;120",
            "\0",
        ] {
            assert_eq!(
                decode_request(value.as_bytes()),
                Err(ValueError::NotANumber(excerpt(value.as_bytes()))),
                "{value:?}"
            );
        }
    }

    #[test]
    fn the_other_kinds_of_wrong_are_told_apart() {
        assert_eq!(decode_request(b"-5"), Err(ValueError::Negative("\"-5\"".into())));
        assert_eq!(decode_request(b"-0"), Err(ValueError::Negative("\"-0\"".into())), "a sign is a sign");
        let above = "18446744073709551616";
        assert_eq!(decode_request(above.as_bytes()), Err(ValueError::TooLarge(format!("\"{above}\""))));
        assert_eq!(decode_request(b"5\xff"), Err(ValueError::NotUtf8("\"5\u{fffd}\"… (2 bytes)".into())));
    }

    #[test]
    fn what_is_not_n_a_semicolon_and_digits_is_no_result() {
        assert_eq!(decode_result(b"3;6"), Ok((3, "6".into())));
        assert_eq!(decode_result(b"3;006"), Ok((3, "6".into())));
        assert_eq!(decode_result(b"3;0"), Ok((3, "0".into())));
        for value in ["3", "3;", ";6", "3;6;7", "3; 6", "-3;6", "3;6\n"] {
            let expected = Err(ValueError::NotAResult(excerpt(value.as_bytes())));
            assert_eq!(decode_result(value.as_bytes()), expected, "{value:?}");
        }
    }
}
