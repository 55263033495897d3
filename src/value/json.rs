//! JSON text to values and back (RFC 8259).
//!
//! A number that is an integer stays one: what does not fit 64 bits is refused where it is looked into, and goes through as its
//! text where it is not. Floating-point numbers are those of 64 bits (IEEE 754), as in JavaScript.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Fields, Scan, Value, Wanted};

/// Why text is not JSON, or a value cannot be written as JSON.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum JsonError {
    /// What the parser says, with line and column in the text.
    #[error("{0}")]
    Syntax(String),
    /// A number beyond 64 bits that is to be computed with.
    #[error("the number {0} does not fit 64 bits")]
    TooLarge(String),
    /// JSON has no infinity and no NaN.
    #[error("JSON cannot write the number {0}")]
    NotFinite(String),
}

/// What becomes of an object's fields that nobody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Others {
    /// They are left out.
    Dropped,
    /// They stay the text that they are.
    Kept,
}

/// Reads of a JSON text what is wanted. All of the text is checked to be JSON.
///
/// Objects on the way to what is wanted become [`Value::Map`]; what is wanted itself is [`Value::Json`], to be read when it
/// is looked at ([`read_json`]).
///
/// ```
/// use pipeline::value::{Others, Value, Wanted, read_json, read_json_fields};
///
/// let mut wanted = Wanted::Nothing;
/// wanted.add(&["n"]);
/// let Ok(Value::Map(fields)) = read_json_fields(&r#"{"n": 5, "x": [1]}"#.into(), &wanted, Others::Dropped) else { panic!() };
/// assert_eq!(fields.len(), 1);
/// let Some(Value::Json(text)) = fields.get("n") else { panic!() };
/// assert_eq!(read_json(text), Ok(Value::Int(5)));
/// ```
///
/// # Errors
/// The first place at which it is no JSON.
pub fn read_json_fields(text: &Bytes, wanted: &Wanted, others: Others) -> Result<Value, JsonError> {
    if *wanted == Wanted::All
        && let Some(value) = checked(text)
    {
        return Ok(Value::Json(slice(text, value)));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { text, wanted, others };
    let value = seed.deserialize(&mut deserializer).map_err(syntax)?;
    deserializer.end().map_err(syntax)?;
    Ok(value)
}

/// The value that all of a text is, where it is plain JSON: nothing is made of it, so a look at each byte is enough.
fn checked(text: &[u8]) -> Option<&str> {
    let mut scan = Scan::new(text);
    let begin = scan.begin();
    scan.skip()?;
    let value = scan.since(begin)?;
    scan.is_at_end().then_some(value)
}

fn syntax(error: serde_json::Error) -> JsonError {
    JsonError::Syntax(error.to_string())
}

struct Seed<'a> {
    text: &'a Bytes,
    wanted: &'a Wanted,
    others: Others,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if let Wanted::Fields(_) = self.wanted {
            // Only an object has fields; anything else is read as what it is, and the expression finds no field in it.
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
        Ok(Value::Json(slice(self.text, raw.get())))
    }
}

/// The part of the text, without a copy.
fn slice(text: &Bytes, part: &str) -> Bytes {
    text.slice_ref(part.as_bytes())
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key_seed(Name)? {
            match self.wanted.field(&name) {
                Some(wanted) => {
                    let value = map.next_value_seed(Seed { wanted, ..self })?;
                    fields.push(shared(self.text, name), value);
                }
                None if self.others == Others::Kept => {
                    let raw: &RawValue = map.next_value()?;
                    fields.push(shared(self.text, name), Value::Json(slice(self.text, raw.get())));
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Map(fields))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::UInt(value), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Seed { wanted: &Wanted::All, ..self })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }
}

/// A piece of the text, as a slice of it where nothing in it was escaped.
fn shared(text: &Bytes, piece: Cow<'_, str>) -> ByteString {
    match piece {
        // It is UTF-8 already.
        Cow::Borrowed(piece) => ByteString::try_from(slice(text, piece)).unwrap_or_else(|_| piece.into()),
        Cow::Owned(piece) => piece.into(),
    }
}

/// A field's name, borrowed from the text where nothing in it is escaped: most names are only looked at.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Reads one JSON value, one level deep: an array's and an object's own values stay text until they are looked at.
///
/// # Errors
/// The first place at which it is no JSON, or an integer that does not fit 64 bits.
pub fn read_json(text: &Bytes) -> Result<Value, JsonError> {
    match text.first() {
        Some(b'{') => read_json_fields(text, &Wanted::Fields(Vec::new()), Others::Kept),
        Some(b'[') => {
            let parts: Vec<&RawValue> = serde_json::from_slice(text).map_err(syntax)?;
            Ok(Value::Array(parts.into_iter().map(|raw| Value::Json(slice(text, raw.get()))).collect()))
        }
        Some(b'"') if !text.contains(&b'\\') => {
            let string: &str = serde_json::from_slice(text).map_err(syntax)?;
            Ok(Value::String(shared(text, Cow::Borrowed(string))))
        }
        Some(b'-' | b'0'..=b'9') => read_json_number(text),
        _ => read_json_fields(text, &Wanted::Fields(Vec::new()), Others::Kept),
    }
}

/// Reads one JSON number.
///
/// # Errors
/// That it is none, or does not fit 64 bits.
pub fn read_json_number(text: &[u8]) -> Result<Value, JsonError> {
    let written = std::str::from_utf8(text).unwrap_or_default();
    if written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        if let Ok(n) = written.parse() {
            return Ok(Value::Int(n));
        }
        if let Ok(n) = written.parse() {
            return Ok(Value::UInt(n));
        }
    } else if written.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        && let Ok(n) = written.parse::<f64>()
        && n.is_finite()
    {
        // By the standard library, which finds the nearest one; serde_json may be off by the last digit.
        return Ok(Value::Float(n));
    }
    // What is no number at all is said as JSON's reader says it.
    serde_json::from_slice::<IgnoredAny>(text).map_err(syntax)?;
    let digits: String = written.chars().take(40).collect();
    Err(JsonError::TooLarge(if written.len() > 40 { digits + "…" } else { digits }))
}

/// Writes a value as JSON. Bytes are written as a string in base64, as Protobuf's JSON does.
///
/// # Errors
/// A number that JSON cannot write.
pub fn write_json(value: &Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => plain(value, out),
        Value::UInt(value) => plain(value, out),
        Value::Float(value) if !value.is_finite() => return Err(JsonError::NotFinite(value.to_string())),
        Value::Float(value) => plain(value, out),
        Value::String(value) => write_json_string(value, out),
        Value::Bytes(value) => plain(&STANDARD.encode(value), out),
        Value::Timestamp(time) => plain(&super::timestamp_text(time), out),
        Value::Json(text) => out.extend_from_slice(text),
        Value::Array(values) => {
            out.push(b'[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_json(value, out)?;
            }
            out.push(b']');
        }
        Value::Map(fields) => {
            out.push(b'{');
            for (place, (name, value)) in fields.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_json_string(name, out);
                out.push(b':');
                write_json(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Writes text as a JSON string.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    // Most texts have nothing to escape.
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        return plain(text, out);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// What serde_json cannot fail to write into memory.
fn plain<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str =
        r#" {"id":"7","order":{"amount":12.50,"id":12345678901234567890123},"tags":["a","b\n"],"x":1.0} "#;

    fn wanted(paths: &[&[&str]]) -> Wanted {
        let mut wanted = Wanted::Nothing;
        paths.iter().for_each(|path| wanted.add(path));
        wanted
    }

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        write_json(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_looked_into_is_written_as_it_came() {
        let text = Bytes::from(ORDER);
        let value = read_json_fields(&text, &wanted(&[&["order", "amount"]]), Others::Kept).unwrap();
        assert_eq!(written(&value), ORDER.trim(), "12.50, 1.0 and 23 digits stay what they are");
        let Value::Map(fields) = &value else { panic!("{value:?}") };
        let Some(Value::Map(order)) = fields.get("order") else { panic!("{value:?}") };
        assert_eq!(order.get("amount"), Some(&Value::Json("12.50".into())));
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        let value =
            read_json_fields(&ORDER.into(), &wanted(&[&["order", "amount"], &["no"]]), Others::Dropped);
        assert_eq!(written(&value.unwrap()), r#"{"order":{"amount":12.50}}"#);
    }

    #[test]
    fn a_value_is_read_one_level_deep() {
        let read = |text: &'static str| read_json(&Bytes::from(text));
        assert_eq!(read("5"), Ok(Value::Int(5)));
        assert_eq!(read("-5"), Ok(Value::Int(-5)));
        assert_eq!(read("-0"), Ok(Value::Int(0)));
        assert_eq!(read("18446744073709551615"), Ok(Value::UInt(u64::MAX)));
        assert_eq!(read("5.0"), Ok(Value::Float(5.0)));
        assert_eq!(read("1e3"), Ok(Value::Float(1_000.0)));
        assert_eq!(read("0.30000000000000004"), Ok(Value::Float(0.1 + 0.2)));
        assert!(
            matches!(read("-"), Err(JsonError::Syntax(_)))
                && matches!(read("1-2"), Err(JsonError::Syntax(_)))
        );
        assert_eq!(read("18446744073709551616"), Err(JsonError::TooLarge("18446744073709551616".into())));
        assert_eq!(read("null"), Ok(Value::Null));
        assert_eq!(read("true"), Ok(Value::Bool(true)));
        assert_eq!(read(r#""a""#), Ok(Value::String("a".into())));
        assert_eq!(read(r#""\u00e9\n""#), Ok(Value::String("é\n".into())));
        assert_eq!(
            read("[1, [2]]"),
            Ok(Value::Array(vec![Value::Json("1".into()), Value::Json("[2]".into())]))
        );
        let fields: Fields =
            [("a", Value::Json("1".into())), ("é", Value::Json("{}".into()))].into_iter().collect();
        assert_eq!(read(r#"{"a": 1, "\u00e9": {}}"#), Ok(Value::Map(fields)));
    }

    #[test]
    fn what_is_no_json_says_where() {
        for (text, expected) in [
            ("{\"a\":1", "EOF while parsing an object at line 1 column 6"),
            ("{\"a\":1} x", "trailing characters at line 1 column 9"),
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"b\":01,\"a\":1}", "invalid number at line 1 column 7"),
        ] {
            let error = read_json_fields(&text.into(), &wanted(&[&["a"]]), Others::Dropped).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_document_that_is_nested_without_an_end_is_refused_and_nothing_overflows() {
        let deep = Bytes::from("[".repeat(1 << 20));
        assert!(read_json_fields(&deep, &Wanted::All, Others::Kept).is_err());
        let closed = Bytes::from(format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)));
        let value = read_json_fields(&closed, &wanted(&[&["b"]]), Others::Kept).unwrap();
        assert_eq!(written(&value).len(), closed.len());
    }

    #[test]
    fn every_kind_is_written() {
        let fields: Fields = [
            ("n", Value::Null),
            ("i", Value::Int(-1)),
            ("u", Value::UInt(u64::MAX)),
            ("f", Value::Float(0.1)),
            ("s", Value::String("a\"\n".into())),
            ("b", Value::Bytes(Bytes::from_static(&[0xff, 0]))),
            ("l", Value::Array(vec![Value::Bool(true), Value::Bool(false)])),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            written(&Value::Map(fields)),
            r#"{"n":null,"i":-1,"u":18446744073709551615,"f":0.1,"s":"a\"\n","b":"/wA=","l":[true,false]}"#
        );
        let infinite = write_json(&Value::Float(f64::INFINITY), &mut Vec::new()).unwrap_err();
        assert_eq!(infinite.to_string(), "JSON cannot write the number inf");
    }

    proptest::proptest! {
        #[test]
        fn what_is_only_checked_is_what_the_parser_takes(
            parts in proptest::collection::vec("[\\[\\]{}:,\" \n]|\"a\":|\"é\\\\u00e9\"|-?[0-9]{1,2}(\\.5)?(e3)?|true|null|\\PC", 0..12),
        ) {
            let text = parts.concat();
            let parsed = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            let checked = checked(text.as_bytes());
            // What it gives up at is the parser's.
            proptest::prop_assert!(checked.is_none() || checked == parsed, "{text}: {checked:?}, {parsed:?}");
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            for wanted in [Wanted::All, wanted(&[&["a", "b"]])] {
                let _ = read_json_fields(&bytes.clone().into(), &wanted, Others::Kept);
            }
            let _ = read_json(&bytes.into());
        }
    }
}
