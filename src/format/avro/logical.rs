//! Logical types: what numbers and bytes stand for, as values and back.
//!
//! An instant is [`Value::Timestamp`]; a decimal is a number's text, so that no digit is lost; dates, times of day and local
//! timestamps are text as in ISO 8601.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use num_bigint::{BigInt, BigUint, Sign};

use super::{super::error::short, schema::Unit};
use crate::{factorial::Decimal, value::Value};

/// The format of a local timestamp.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.f";

pub(super) fn timestamp(n: i64, unit: Unit) -> Option<DateTime<Utc>> {
    match unit {
        Unit::Millis => DateTime::from_timestamp_millis(n),
        Unit::Micros => DateTime::from_timestamp_micros(n),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(n)),
    }
}

/// The count of units since 1970, less what is finer than a unit; `None` where it does not fit.
pub(super) fn count(time: DateTime<Utc>, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Millis => Some(time.timestamp_millis()),
        Unit::Micros => Some(time.timestamp_micros()),
        Unit::Nanos => time.timestamp_nanos_opt(),
    }
}

/// An instant from its text: `2026-01-31T12:00:00.5Z`.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

pub(super) fn local(n: i64, unit: Unit) -> Option<String> {
    Some(timestamp(n, unit)?.naive_utc().format(LOCAL).to_string())
}

pub(super) fn local_count(text: &str, unit: Unit) -> Option<i64> {
    count(NaiveDateTime::parse_from_str(text, LOCAL).ok()?.and_utc(), unit)
}

pub(super) fn date(days: i64) -> Option<String> {
    let seconds = days.checked_mul(86_400)?;
    Some(DateTime::from_timestamp(seconds, 0)?.date_naive().to_string())
}

pub(super) fn days(text: &str) -> Option<i64> {
    let date: NaiveDate = text.parse().ok()?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

pub(super) fn time(n: i64, unit: Unit) -> Option<String> {
    let nanos = n.checked_mul(nanos(unit))?;
    let (seconds, rest) = (u32::try_from(nanos / 1_000_000_000).ok()?, nanos % 1_000_000_000);
    Some(NaiveTime::from_num_seconds_from_midnight_opt(seconds, u32::try_from(rest).ok()?)?.to_string())
}

pub(super) fn time_count(text: &str, unit: Unit) -> Option<i64> {
    let time: NaiveTime = text.parse().ok()?;
    let whole = i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond());
    Some(whole / nanos(unit))
}

fn nanos(unit: Unit) -> i64 {
    match unit {
        Unit::Millis => 1_000_000,
        Unit::Micros => 1_000,
        Unit::Nanos => 1,
    }
}

/// A decimal's number as text, from its bytes: two's complement, the most significant first.
pub(super) fn decimal(bytes: &[u8], scale: usize) -> Value {
    let (sign, magnitude) = BigInt::from_signed_bytes_be(bytes).into_parts();
    let mut digits = Decimal::from(&magnitude).to_string();
    if scale > 0 {
        let missing = (scale + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - scale, '.');
    }
    if sign == Sign::Minus {
        digits.insert(0, '-');
    }
    Value::Json(digits.into())
}

/// The bytes of a decimal, from a number's text. The error says what does not fit.
pub(super) fn unscaled(text: &str, precision: usize, scale: usize) -> Result<BigInt, String> {
    let wrong = || format!("{} is no decimal number", short(text));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    // How many zeros are missing behind the digits, or are too many there.
    let shift = i64::from(exponent) + scale as i64 - fraction.len() as i64;
    let significant = digits.trim_start_matches('0').len();
    if significant == 0 {
        return Ok(BigInt::ZERO);
    }
    if shift < 0 {
        let keep = digits.len().saturating_sub(shift.unsigned_abs() as usize);
        if digits[keep..].bytes().any(|digit| digit != b'0') {
            return Err(format!("{} has more than {scale} digits behind the point", short(text)));
        }
        digits.truncate(keep);
    }
    let more = usize::try_from(shift.max(0)).unwrap_or(usize::MAX);
    if digits.trim_start_matches('0').len().saturating_add(more) > precision {
        return Err(format!(
            "{} has more digits than a decimal of precision {precision} and scale {scale}",
            short(text)
        ));
    }
    digits.push_str(&"0".repeat(more));
    let magnitude: BigUint = digits.parse().map_err(|_| wrong())?;
    Ok(BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude))
}

/// The bytes of a `fixed` of that size; `None` where the number needs more.
pub(super) fn padded(number: &BigInt, size: usize) -> Option<Vec<u8>> {
    let bytes = number.to_signed_bytes_be();
    let missing = size.checked_sub(bytes.len())?;
    let mut padded = vec![if number.sign() == Sign::Minus { 0xff } else { 0 }; missing];
    padded.extend_from_slice(&bytes);
    Some(padded)
}

pub(super) fn uuid(bytes: &Bytes) -> Option<String> {
    let bytes: [u8; 16] = bytes.as_ref().try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to memory does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

pub(super) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    Some(uuid::Uuid::parse_str(text).ok()?.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_all_its_digits() {
        let text = |bytes: &[u8], scale| match decimal(bytes, scale) {
            Value::Json(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(&[0x04, 0xd2], 2), "12.34");
        assert_eq!(text(&[0xfb, 0x2e], 2), "-12.34");
        assert_eq!(text(&[5], 3), "0.005");
        assert_eq!(text(&[0xff], 1), "-0.1");
        assert_eq!(text(&[], 0), "0");
        assert_eq!(text(&[0x7f; 20], 0), "727885129180488904360266563744972327436484050815");
        for (written, precision, scale, expected) in [
            ("12.34", 4, 2, "1234"),
            ("-12.3", 4, 2, "-1230"),
            ("12", 4, 2, "1200"),
            ("1.2e1", 4, 2, "1200"),
            ("12000e-3", 4, 2, "1200"),
            ("0.000", 1, 0, "0"),
            ("0e999999999", 1, 0, "0"),
        ] {
            assert_eq!(unscaled(written, precision, scale).unwrap().to_string(), expected, "{written}");
        }
        for (written, reason) in [
            ("12.345", "12.345 has more than 2 digits behind the point"),
            ("123", "123 has more digits than a decimal of precision 4 and scale 2"),
            ("1e999999999", "1e999999999 has more digits than a decimal of precision 4 and scale 2"),
            ("1e-999999999", "1e-999999999 has more than 2 digits behind the point"),
            ("", " is no decimal number"),
            ("1e", "1e is no decimal number"),
            ("five", "five is no decimal number"),
        ] {
            assert_eq!(unscaled(written, 4, 2).unwrap_err(), reason);
        }
        assert_eq!(padded(&BigInt::from(-2), 3), Some(vec![0xff, 0xff, 0xfe]));
        assert_eq!(padded(&BigInt::from(128), 1), None);
    }

    #[test]
    fn times_are_text_and_back() {
        assert_eq!(date(-1).as_deref(), Some("1969-12-31"));
        assert_eq!(days("2024-02-29"), Some(19_782));
        assert_eq!(time(43_200_001, Unit::Millis).as_deref(), Some("12:00:00.001"));
        assert_eq!(time_count("12:00:00.000001", Unit::Micros), Some(43_200_000_001));
        assert_eq!(time(-1, Unit::Millis), None);
        assert_eq!(time(86_400_000, Unit::Millis), None);
        assert_eq!(local(1_500, Unit::Millis).as_deref(), Some("1970-01-01T00:00:01.500"));
        assert_eq!(local_count("1970-01-01T00:00:01.5", Unit::Nanos), Some(1_500_000_000));
        assert_eq!(date(i64::MAX), None);
        assert_eq!(timestamp(i64::MAX, Unit::Millis), None);
    }
}
