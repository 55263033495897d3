//! Formats: bytes to values and back; and for the factorial, numbers (`n`) and results (`n` and its digits), which are too large
//! and too many to become values first.
//!
//! One file a format. Values that no operator looks into go through as bytes, whatever the format.
//!
//! Knows: factorial, record, registry, value. Must not know: rdkafka, tokio.

mod avro;
mod bincode;
mod error;
mod json;
mod needs;
mod numbers;
mod protobuf;
mod sides;
mod text;

#[cfg_attr(not(internals), doc(hidden))]
pub use avro::{Avro, Schema as AvroSchema};
pub use error::ValueError;
#[cfg_attr(not(internals), doc(hidden))]
pub use protobuf::{Message as ProtobufMessage, Protobuf};
pub use sides::{Formats, Keys};

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    factorial::Decimal,
    value::{Others, Value, Wanted, timestamp_text},
};

/// How values are written in a topic. Cheap to clone.
///
/// ```
/// use pipeline::{factorial::factorial, format::Format};
///
/// assert_eq!(Format::Text.decode_request(b"30"), Ok(30));
/// assert_eq!(Format::Text.encode_result(3, &factorial(3)), Ok(b"3;6".to_vec()));
/// assert_eq!(Format::Json.encode_result(3, &factorial(3)), Ok(br#"{"n":3,"result":"6"}"#.to_vec()));
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// Decimal ASCII: `30`, and `30;265252859812191058636308480000000`.
    #[default]
    Text,
    /// `30` or `{"n":30}`, and `{"n":30,"result":"265252859812191058636308480000000"}`.
    Json,
    /// A length-prefixed binary integer, and `n` followed by one: about 0.42 of the text's size.
    Bincode,
    /// Any text in UTF-8.
    String,
    /// Any bytes.
    Bytes,
    /// Avro's binary encoding, with a schema.
    Avro(Arc<Avro>),
    /// A Protobuf message.
    Protobuf(Arc<Protobuf>),
}

impl Format {
    /// The name that a pipeline's file uses.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Bincode => "bincode",
            Format::String => "string",
            Format::Bytes => "bytes",
            Format::Avro { .. } => "avro",
            Format::Protobuf { .. } => "protobuf",
        }
    }

    /// Reads a value for expressions to look into, as far as they do.
    ///
    /// ```
    /// use pipeline::{format::Format, value::{Others, Value, Wanted}};
    ///
    /// assert_eq!(Format::Text.read(&"30".into(), &Wanted::All, Others::Dropped), Ok(Value::Int(30)));
    /// ```
    ///
    /// # Errors
    /// Why the bytes are none of this format.
    pub fn read(&self, bytes: &Bytes, wanted: &Wanted, others: Others) -> Result<Value, ValueError> {
        let number = |n: u64| i64::try_from(n).map_or(Value::UInt(n), Value::Int);
        match self {
            Format::Text => text::decode_request(bytes).map(number),
            Format::Bincode => bincode::decode_request(bytes).map(number),
            Format::Json => json::read(bytes, wanted, others),
            Format::String => match bytes.clone().try_into() {
                Ok(text) => Ok(Value::String(text)),
                Err(_) => Err(ValueError::NotUtf8(error::excerpt(bytes))),
            },
            Format::Bytes => Ok(Value::Bytes(bytes.clone())),
            Format::Avro(avro) => avro.read(bytes, wanted, others),
            Format::Protobuf(protobuf) => protobuf.read(bytes, wanted, others),
        }
    }

    /// Writes a value.
    ///
    /// # Errors
    /// Why this format cannot hold it.
    pub fn write(&self, value: &Value) -> Result<Bytes, ValueError> {
        let unwritable = |needs: &str| {
            let what = value.kind();
            ValueError::Unwritable(format!("the format {} needs {needs}, and this is {what}", self.name()))
        };
        let number = || match value {
            Value::Int(n) => u64::try_from(*n).map_err(|_| unwritable("a number that is not negative")),
            Value::UInt(n) => Ok(*n),
            _ => Err(unwritable("a number")),
        };
        match (self, value) {
            (Format::Json, value) => json::write(value),
            (Format::Avro(avro), value) => avro.write(value),
            (Format::Protobuf(protobuf), value) => protobuf.write(value),
            (Format::String | Format::Bytes, Value::String(text)) => Ok(text.as_bytes().clone()),
            (Format::Bytes, Value::Bytes(bytes)) => Ok(bytes.clone()),
            (Format::String | Format::Bytes, Value::Timestamp(time)) => Ok(timestamp_text(time).into()),
            (Format::String | Format::Bytes, Value::Json(text)) => self.write(&json::value(text)?),
            (Format::Text | Format::Bincode, Value::Json(text)) => self.write(&json::value(text)?),
            (Format::Text | Format::Bincode, _) => Ok(self.encode_request(number()?)?.into()),
            (Format::String, _) => Err(unwritable("text")),
            (Format::Bytes, _) => Err(unwritable("bytes or text")),
        }
    }
}

/// What the pipeline itself asks of a format.
#[cfg_attr(not(internals), doc(hidden))]
impl Format {
    /// Whether its values are numbers, or have one: what the factorial needs.
    pub fn has_numbers(&self) -> bool {
        !matches!(self, Format::String | Format::Bytes)
    }

    /// Whether its values can be objects, whose fields can be set.
    pub fn has_fields(&self) -> bool {
        matches!(self, Format::Json) || self.has_schema()
    }

    /// Whether its values are as a schema says.
    pub fn has_schema(&self) -> bool {
        matches!(self, Format::Avro(_) | Format::Protobuf(_))
    }

    /// Whether a value can be read at once, without a question to a schema registry.
    pub fn is_at_hand(&self, value: &Bytes) -> bool {
        match self {
            Format::Avro(avro) => avro.is_at_hand(value),
            Format::Protobuf(protobuf) => protobuf.is_at_hand(value),
            _ => true,
        }
    }

    /// Asks the schema registry, where the format has one, whether values may be written; what it says.
    ///
    /// # Errors
    /// Why they may not.
    pub fn survey(&self) -> Result<Option<String>, String> {
        match self {
            Format::Avro(avro) => avro.survey(),
            Format::Protobuf(protobuf) => protobuf.survey(),
            _ => Ok(None),
        }
        .map_err(|error| error.to_string())
    }

    /// The value in another format.
    ///
    /// # Errors
    /// The bytes are none of this format, or the other one cannot hold what they say.
    pub fn convert(&self, bytes: &Bytes, to: &Format) -> Result<Bytes, ValueError> {
        let at_once = match (self, to) {
            (Format::Json, Format::Avro(avro)) => avro.of_json(bytes),
            (Format::Avro(avro), Format::Json) => avro.as_json(bytes),
            _ => None,
        };
        match at_once {
            Some(converted) => Ok(converted.into()),
            None => to.write(&self.read(bytes, &Wanted::All, Others::Kept)?),
        }
    }

    /// Writes a value that stands in a file: JSON for a format with a schema, digits for `bincode`, and the text itself for others.
    ///
    /// # Errors
    /// The text is none that the format can write.
    pub fn from_text(&self, text: &str) -> Result<Bytes, ValueError> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        match self {
            Format::Avro(_) | Format::Protobuf(_) | Format::Bincode => self.write(&Value::Json(text)),
            _ => Ok(text),
        }
    }

    /// A value as text, for people: JSON for a format with a schema, digits for `bincode`. What cannot be read is the text that its
    /// bytes are.
    pub fn to_text(&self, value: &Bytes) -> String {
        let json = || self.read(value, &Wanted::All, Others::Kept).and_then(|value| json::write(&value)).ok();
        let json = if self.has_schema() || *self == Format::Bincode { json() } else { None };
        String::from_utf8_lossy(&json.unwrap_or_else(|| value.clone())).into_owned()
    }

    /// Reads a request's number. Leading zeros are accepted (`007` is 7); signs, blanks and digits of other
    /// scripts are not.
    ///
    /// # Errors
    /// Which kind of wrong the value is.
    pub fn decode_request(&self, value: &[u8]) -> Result<u64, ValueError> {
        match self {
            Format::Text | Format::String | Format::Bytes => text::decode_request(value),
            Format::Json => json::decode_request(value),
            Format::Bincode => bincode::decode_request(value),
            Format::Avro(_) | Format::Protobuf(_) => numbers::of_request(&self.fields(value, &["n"])?),
        }
    }

    /// Writes a request's number.
    ///
    /// # Errors
    /// The format's schema has no place for it.
    pub fn encode_request(&self, n: u64) -> Result<Vec<u8>, ValueError> {
        Ok(match self {
            Format::Text | Format::Json | Format::String | Format::Bytes => n.to_string().into_bytes(),
            Format::Bincode => bincode::encode_request(n),
            Format::Avro(avro) => avro.write(&numbers::request(n, avro.schema()?.is_record()))?.into(),
            Format::Protobuf(protobuf) => protobuf.write(&numbers::request(n, true))?.into(),
        })
    }

    /// Writes a result, once, into a buffer of its size.
    ///
    /// # Errors
    /// The format's schema has no place for it.
    pub fn encode_result(&self, n: u64, result: &Decimal<'_>) -> Result<Vec<u8>, ValueError> {
        Ok(match self {
            Format::Text | Format::String | Format::Bytes => text::encode_result(n, result),
            Format::Json => json::encode_result(n, result),
            Format::Bincode => bincode::encode_result(n, result),
            Format::Avro(avro) => {
                avro.write(&numbers::result(n, result, avro.schema()?.decimal("result"))?)?.into()
            }
            Format::Protobuf(protobuf) => protobuf.write(&numbers::result(n, result, None)?)?.into(),
        })
    }

    /// The bytes of the result for `n` with that many digits; `bincode`'s may be a few less.
    pub fn result_size(&self, n: u64, digits: u64) -> u64 {
        let n_digits = u64::from(n.checked_ilog10().unwrap_or(0)) + 1;
        match self {
            Format::Text | Format::String | Format::Bytes => n_digits + 1 + digits,
            Format::Json => n_digits + json::AROUND + digits,
            Format::Bincode => bincode::result_size(digits),
            Format::Avro(_) | Format::Protobuf(_) => n_digits + digits + numbers::AROUND,
        }
    }

    /// Which number a value is the result for, without the work of decoding it all. `None` where it is no result.
    ///
    /// ```
    /// use pipeline::format::Format;
    ///
    /// assert_eq!(Format::Text.result_number(b"3;6"), Some(3));
    /// assert_eq!(Format::Text.result_number(b"3"), None);
    /// ```
    pub fn result_number(&self, value: &[u8]) -> Option<u64> {
        match self {
            Format::Text | Format::String | Format::Bytes => text::result_number(value),
            Format::Json => json::result_number(value),
            Format::Bincode => bincode::result_number(value),
            Format::Avro(_) | Format::Protobuf(_) => Some(self.decode_result(value).ok()?.0),
        }
    }

    /// Reads a result: `n`, and the result's digits without leading zeros.
    ///
    /// # Errors
    /// Which kind of wrong the value is.
    pub fn decode_result(&self, value: &[u8]) -> Result<(u64, String), ValueError> {
        match self {
            Format::Text | Format::String | Format::Bytes => text::decode_result(value),
            Format::Json => json::decode_result(value),
            Format::Bincode => bincode::decode_result(value),
            Format::Avro(_) | Format::Protobuf(_) => {
                numbers::of_result(&self.fields(value, &["n", "result"])?)
            }
        }
    }

    /// Fields of a value.
    fn fields(&self, value: &[u8], names: &[&str]) -> Result<Value, ValueError> {
        self.read(&Bytes::copy_from_slice(value), &numbers::wanted(names), Others::Dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::cpu_time::cpu_time;

    static ALL: [Format; 3] = [Format::Text, Format::Json, Format::Bincode];

    #[test]
    fn the_empty_value_is_empty_in_every_format() {
        for format in &ALL {
            assert_eq!(format.decode_request(b""), Err(ValueError::Empty), "{format:?}");
            assert_eq!(format.decode_result(b""), Err(ValueError::Empty), "{format:?}");
        }
    }

    #[test]
    fn ten_megabytes_of_anything_are_refused_fast_with_a_short_sentence() {
        for fill in [b'9', b'a', b' ', b'{', b'[', b'-', b'"', 0xff] {
            let value = vec![fill; 10 << 20];
            for format in &ALL {
                let start = cpu_time();
                let error = format.decode_request(&value).unwrap_err();
                let took = cpu_time() - start;
                assert!(took < Duration::from_millis(500), "{format:?} {fill} {took:?}");
                assert!(error.to_string().len() < 200, "{error}");
                format.decode_result(&value).unwrap_err();
            }
        }
    }

    #[test]
    fn bincode_results_take_about_two_fifths_of_the_text() {
        let result = crate::factorial::factorial(5_000);
        let ratio = Format::Bincode.encode_result(5_000, &result).unwrap().len() as f64
            / Format::Text.encode_result(5_000, &result).unwrap().len() as f64;
        assert!((0.41..0.43).contains(&ratio), "{ratio}");
    }

    #[test]
    fn values_are_read_and_written_as_the_format_says() {
        let read = |format: Format, text: &'static str| format.read(&text.into(), &Wanted::All, Others::Kept);
        assert_eq!(read(Format::Text, "30"), Ok(Value::Int(30)));
        assert_eq!(read(Format::Text, "18446744073709551615"), Ok(Value::UInt(u64::MAX)));
        assert_eq!(read(Format::Text, "x").unwrap_err().class(), "not-a-number");
        assert_eq!(read(Format::String, "x"), Ok(Value::String("x".into())));
        assert_eq!(read(Format::Bytes, "x"), Ok(Value::Bytes("x".into())));
        assert_eq!(read(Format::Json, "{").unwrap_err().class(), "not-json");
        let not_utf8 = Format::String.read(&Bytes::from_static(&[0xff]), &Wanted::All, Others::Kept);
        assert_eq!(not_utf8.unwrap_err().class(), "not-utf8");

        let write = |format: Format, value: Value| {
            format.write(&value).map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
        };
        assert_eq!(write(Format::Text, Value::Int(30)), Ok(b"30".to_vec()));
        assert_eq!(write(Format::Bincode, Value::Json("30".into())), Ok(vec![1, 30]));
        assert_eq!(write(Format::String, Value::Json("\"a\"".into())), Ok(b"a".to_vec()));
        assert_eq!(write(Format::Bytes, Value::String("a".into())), Ok(b"a".to_vec()));
        assert_eq!(
            write(Format::Text, Value::Int(-1)),
            Err("the format text needs a number that is not negative, and this is an integer".to_owned())
        );
        assert_eq!(
            write(Format::String, Value::Json("{}".into())),
            Err("the format string needs text, and this is an object".to_owned())
        );
        assert_eq!(
            write(Format::Json, Value::Float(f64::NAN)),
            Err("the value cannot be written: JSON cannot write the number NaN".to_owned())
        );
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(n: u64) {
            for format in &ALL {
                prop_assert_eq!(format.decode_request(&format.encode_request(n).unwrap()), Ok(n));
            }
        }

        #[test]
        fn a_result_is_read_as_it_was_written_and_has_the_size_that_was_promised(
            n: u64,
            digits in "[1-9][0-9]{0,400}",
        ) {
            for format in &ALL {
                let integer: num_bigint::BigUint = digits.parse().unwrap();
                let value = format.encode_result(n, &Decimal::from(&integer)).unwrap();
                let promised = format.result_size(n, digits.len() as u64);
                prop_assert!(value.len() as u64 <= promised && promised <= value.len() as u64 + 24);
                prop_assert_eq!(format.decode_result(&value), Ok((n, digits.clone())));
            }
        }

        #[test]
        fn no_bytes_make_a_reader_panic(value: Vec<u8>) {
            for format in &ALL {
                let _ = format.decode_request(&value);
                let _ = format.decode_result(&value);
            }
        }
    }
}
