//! Keys that have a format of their own.

use bytes::Bytes;

use super::{OperatorError, error::bad_value, fields};
use crate::{
    format::{Format, Keys, ValueError},
    value::{Others, Value, Wanted, read_whole},
};

/// Reads a key, as far as it is wanted. There may be none.
///
/// # Errors
/// Bad input, where it is none of its format.
pub(super) fn read(format: &Format, key: Option<&Bytes>, wanted: &Wanted) -> Result<Value, OperatorError> {
    let Some(key) = key else { return Ok(Value::Null) };
    let read = format.read(key, wanted, Others::Dropped).map_err(bad_key)?;
    match wanted {
        Wanted::All => read_whole(read).map_err(|error| bad_key(ValueError::NotJson(error.to_string()))),
        _ => Ok(read),
    }
}

/// Writes what an expression gives as a key: in its format, where it has one; null is none.
///
/// # Errors
/// Bad input, where the format cannot hold it.
pub(super) fn write(format: Option<&Format>, key: &Value) -> Result<Option<Bytes>, OperatorError> {
    let is_null = |key: &Value| match key {
        Value::Json(text) => text.as_ref() == b"null",
        other => *other == Value::Null,
    };
    match format {
        None => fields::plain(key),
        Some(_) if is_null(key) => Ok(None),
        Some(format) => format.write(key).map(Some).map_err(bad_key),
    }
}

/// Writes a key as the sink wants it.
///
/// # Errors
/// Bad input, where it is none of its format, or the sink's cannot hold it.
pub(super) fn convert(keys: &Keys, key: &Bytes) -> Result<Option<Bytes>, OperatorError> {
    let read = |format: &Format| format.read(key, &Wanted::All, Others::Kept);
    let value = match &keys.input {
        Some(format) => read(format),
        None => read(&Format::String).or_else(|_| read(&Format::Bytes)),
    };
    write(keys.output.as_ref(), &value.map_err(bad_key)?)
}

/// A key that is none of its format, or does not fit it.
fn bad_key(error: ValueError) -> OperatorError {
    let of_key = |message: String| match message.strip_prefix("the value") {
        Some(rest) => format!("the key{rest}"),
        None => format!("the key: {message}"),
    };
    match bad_value(error) {
        OperatorError::BadInput { class, message } => {
            OperatorError::BadInput { class, message: of_key(message) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &[&str]) -> Wanted {
        let mut wanted = Wanted::Nothing;
        wanted.add(path);
        wanted
    }

    #[test]
    fn a_key_is_read_as_its_format_says_and_what_it_is_not_is_said() {
        let json = |key: &'static str, wanted: &Wanted| {
            read(&Format::Json, Some(&key.into()), wanted).map_err(|error| error.to_string())
        };
        assert_eq!(json("\"eu\"", &Wanted::All), Ok(Value::String("eu".into())));
        let fields = json(r#"{"n": [1, {"a": null}]}"#, &Wanted::All).unwrap();
        let inner = Value::Map([("a", Value::Null)].into_iter().collect());
        assert_eq!(
            fields,
            Value::Map([("n", Value::Array(vec![Value::Int(1), inner]))].into_iter().collect())
        );
        let region = json(r#"{"region": "eu", "n": 1e999}"#, &wanted(&["region"])).unwrap();
        assert_eq!(region, Value::Map([("region", Value::Json("\"eu\"".into()))].into_iter().collect()));
        assert_eq!(read(&Format::Json, None, &Wanted::All), Ok(Value::Null));
        assert!(json("eu", &Wanted::All).unwrap_err().starts_with("the key is not JSON: \"eu\""));
        assert!(json("{\"n\":1e999}", &Wanted::All).unwrap_err().ends_with("1e999 does not fit 64 bits"));
        let deep: &'static str = format!("{}{}", "[".repeat(200), "]".repeat(200)).leak();
        assert!(json(deep, &Wanted::All).unwrap_err().contains("levels"));
        let negative = read(&Format::Text, Some(&"-5".into()), &Wanted::All).unwrap_err();
        assert_eq!(negative.to_string(), "the key: the number is negative: \"-5\"");
    }

    #[test]
    fn a_key_is_written_as_its_format_says_and_null_is_none() {
        let number = Value::Int(5);
        assert_eq!(write(None, &number), Ok(Some("5".into())));
        assert_eq!(write(Some(&Format::Bincode), &number), Ok(Some(Bytes::from_static(&[1, 5]))));
        assert_eq!(write(Some(&Format::Json), &Value::String("eu".into())), Ok(Some("\"eu\"".into())));
        for null in [Value::Null, Value::Json("null".into())] {
            assert_eq!(write(Some(&Format::Json), &null), Ok(None));
        }
        let error = write(Some(&Format::String), &number).unwrap_err().to_string();
        assert_eq!(error, "the key: the format string needs text, and this is an integer");
    }

    #[test]
    fn keys_are_converted_where_the_sink_wants_another_format() {
        let convert = |input, output, key: &'static [u8]| {
            convert(&Keys { input, output: Some(output) }, &Bytes::from_static(key)).map(Option::unwrap)
        };
        assert_eq!(convert(None, Format::Json, b"eu"), Ok("\"eu\"".into()));
        assert_eq!(convert(None, Format::Bytes, b"\xff"), Ok(Bytes::from_static(b"\xff")));
        assert_eq!(convert(Some(Format::Text), Format::Json, b"007"), Ok("7".into()));
        assert!(convert(Some(Format::Text), Format::Json, b"eu").is_err());
    }
}
