//! Any JSON; for the factorial `{"n": …}`, and `{"n": …, "result": "…"}`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Error, Number};

use super::{
    error::{ValueError, excerpt},
    text,
};
use crate::{
    factorial::Decimal,
    value::{JsonError, Others, Value, Wanted, read_json, read_json_fields, write_json},
};

/// `{"n":` and `,"result":"` and `"}`.
pub(super) const AROUND: u64 = 5 + 11 + 2;

pub(super) fn read(bytes: &Bytes, wanted: &Wanted, others: Others) -> Result<Value, ValueError> {
    read_json_fields(bytes, wanted, others).map_err(|error| not_json(&error, bytes))
}

/// What a JSON value is that was not looked into so far.
pub(super) fn value(text: &Bytes) -> Result<Value, ValueError> {
    read_json(text).map_err(|error| not_json(&error, text))
}

fn not_json(error: &JsonError, bytes: &[u8]) -> ValueError {
    if bytes.is_empty() {
        return ValueError::Empty;
    }
    ValueError::NotJson(format!("{} ({error})", excerpt(bytes)))
}

pub(super) fn write(value: &Value) -> Result<Bytes, ValueError> {
    if let Value::Json(text) = value {
        return Ok(text.clone());
    }
    let mut out = Vec::new();
    write_json(value, &mut out)
        .map_err(|error| ValueError::Unwritable(format!("the value cannot be written: {error}")))?;
    Ok(out.into())
}

/// Other fields are let through, for callers that want to say more.
#[derive(Deserialize)]
struct Request {
    n: Number,
}

#[derive(Deserialize)]
struct Answer {
    n: u64,
    result: String,
}

pub(super) fn decode_request(value: &[u8]) -> Result<u64, ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    let trimmed = value.trim_ascii();
    match trimmed.first() {
        Some(b'{') => object(value),
        // JSON knows no leading zeros.
        Some(b'0') if trimmed.len() > 1 => Err(ValueError::NotANumber(excerpt(value))),
        _ => text::decode_request(trimmed).map_err(|error| match error {
            ValueError::Empty => ValueError::NotANumber(excerpt(value)),
            other => other,
        }),
    }
}

fn object(value: &[u8]) -> Result<u64, ValueError> {
    if std::str::from_utf8(value).is_err() {
        return Err(ValueError::NotUtf8(excerpt(value)));
    }
    let not_a_number = |error: Error| {
        let said = excerpt(value);
        ValueError::NotANumber(if error.is_data() {
            format!(r#"{said}; it has to be a number, or an object with one in the field `n`: {{"n": 30}}"#)
        } else {
            format!("{said} ({error})")
        })
    };
    let Request { n } = serde_json::from_slice(value).map_err(not_a_number)?;
    match (n.as_u64(), n.as_f64()) {
        (Some(n), _) => Ok(n),
        (None, Some(n)) if n < 0.0 && n.fract() == 0.0 => Err(ValueError::Negative(excerpt(value))),
        (None, Some(n)) if n >= 2_f64.powi(64) => Err(ValueError::TooLarge(excerpt(value))),
        _ => Err(ValueError::NotANumber(excerpt(value))),
    }
}

pub(super) fn encode_result(n: u64, result: &Decimal<'_>) -> Vec<u8> {
    let n = n.to_string();
    let mut value = Vec::with_capacity(n.len() + AROUND as usize + result.digits() as usize);
    for part in ["{\"n\":", &n, ",\"result\":\""] {
        value.extend_from_slice(part.as_bytes());
    }
    result.write(&mut value);
    value.extend_from_slice(b"\"}");
    value
}

pub(super) fn decode_result(value: &[u8]) -> Result<(u64, String), ValueError> {
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    let not_a_result = || ValueError::NotAResult(excerpt(value));
    let answer: Answer = serde_json::from_slice(value).map_err(|_| not_a_result())?;
    let digits = text::digits(answer.result.as_bytes()).ok_or_else(not_a_result)?;
    Ok((answer.n, digits))
}

pub(super) fn result_number(value: &[u8]) -> Option<u64> {
    /// The result is passed over, and only has to be a string.
    #[derive(Deserialize)]
    struct Head<'a> {
        n: u64,
        #[serde(borrow)]
        result: &'a str,
    }
    let head: Head<'_> = serde_json::from_slice(value).ok()?;
    (!head.result.is_empty()).then_some(head.n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_number_or_an_object_with_n() {
        assert_eq!(decode_request(b"30"), Ok(30));
        assert_eq!(decode_request(b" 30\n"), Ok(30), "JSON allows blanks around a value");
        assert_eq!(decode_request(b"0"), Ok(0));
        assert_eq!(decode_request(br#"{"n":30}"#), Ok(30));
        assert_eq!(decode_request(br#" { "id": "x", "n": 18446744073709551615 } "#), Ok(u64::MAX));
    }

    #[test]
    fn the_kinds_of_wrong_are_told_apart() {
        for (value, class) in [
            (&b"  "[..], "not-a-number"),
            (b"\"30\"", "not-a-number"),
            (b"007", "not-a-number"),
            (b"30.0", "not-a-number"),
            (b"null", "not-a-number"),
            (b"[30]", "not-a-number"),
            (br#"{"n":"30"}"#, "not-a-number"),
            (br#"{"n":1.5}"#, "not-a-number"),
            (br#"{"m":30}"#, "not-a-number"),
            (br#"{"n":30} {"n":31}"#, "not-a-number"),
            (b"-5", "negative"),
            (br#"{"n":-5}"#, "negative"),
            (b"18446744073709551616", "above-max"),
            (br#"{"n":18446744073709551616}"#, "above-max"),
            (b"{\"n\":\"\xff\"}", "not-utf8"),
        ] {
            let error = decode_request(value).unwrap_err();
            assert_eq!(error.class(), class, "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_object_is_said() {
        for value in [r#"{"m":30}"#, r#"{"n":"30"}"#, r#"{"n":null}"#] {
            let error = decode_request(value.as_bytes()).unwrap_err().to_string();
            assert!(
                error.ends_with(
                    r#"; it has to be a number, or an object with one in the field `n`: {"n": 30}"#
                ),
                "{error}"
            );
        }
        let error = decode_request(br#"{"n":30"#).unwrap_err().to_string();
        assert!(error.ends_with("(EOF while parsing an object at line 1 column 7)"), "{error}");
        let long = format!("{{\"n\":\"{}\"}}", "x".repeat(10_000));
        let error = decode_request(long.as_bytes()).unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }

    #[test]
    fn a_result_names_both() {
        assert_eq!(encode_result(3, &crate::factorial::factorial(3)), br#"{"n":3,"result":"6"}"#);
        assert_eq!(decode_result(br#"{"result":"6","n":3}"#), Ok((3, "6".into())));
        for value in [&br#"{"n":3}"#[..], br#"{"n":3,"result":6}"#, br#"{"n":3,"result":"six"}"#, b"3;6"] {
            assert_eq!(decode_result(value).unwrap_err().class(), "not-a-result");
        }
    }
}
