//! Values: what a record's bytes mean, between a format that reads them and an operator that looks into them.
//!
//! Nothing is read that nobody looks into. A filter by key never reads the value, and of a JSON object only the fields that an
//! expression names are read: the others stay the text that they are ([`Value::Json`]), and are written again as they came.
//! What only has to be looked at is found where it stands ([`Paths`]), and no value is made.
//!
//! Knows: nothing else here. Must not know: rdkafka, tokio, cel.

mod json;
mod paths;
mod scan;
mod wanted;
mod whole;

use bytes::Bytes;
pub use bytestring::ByteString;
use chrono::{DateTime, SecondsFormat, Utc};

pub use json::Others;
#[cfg_attr(not(internals), doc(hidden))]
pub use json::{JsonError, read_json, read_json_fields, read_json_number, write_json, write_json_string};
#[cfg_attr(not(internals), doc(hidden))]
pub use paths::{Found, Paths};
#[cfg_attr(not(internals), doc(hidden))]
pub use scan::Scan;
pub use wanted::Wanted;
#[cfg_attr(not(internals), doc(hidden))]
pub use whole::read_whole;

/// A value with a structure. Strings, bytes and JSON text are slices of the record's own buffer where that is possible.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: JSON's `null`, and the value of a tombstone.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from -2^63 to 2^63 - 1.
    Int(i64),
    /// An integer from 2^63 to 2^64 - 1, or of a format whose integers have no sign.
    UInt(u64),
    /// A floating-point number of 64 bits.
    Float(f64),
    /// Text.
    String(ByteString),
    /// Bytes that are no text.
    Bytes(Bytes),
    /// An instant, to the nanosecond; JSON has it as text, in UTC.
    Timestamp(DateTime<Utc>),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by name, in the order in which they were written.
    Map(Fields),
    /// A JSON value that was not looked into: its text, without blanks around it. A decimal number of another format is one, too,
    /// so that it keeps all of its digits.
    Json(Bytes),
}

impl Value {
    /// What kind of value this is, for messages: "a string".
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::UInt(_) => "an integer",
            Value::Float(_) => "a floating-point number",
            Value::String(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::Timestamp(_) => "a timestamp",
            Value::Array(_) => "an array",
            Value::Map(_) => "an object",
            Value::Json(text) => match text.first() {
                Some(b'{') => "an object",
                Some(b'[') => "an array",
                Some(b'"') => "a string",
                Some(b't' | b'f') => "a boolean",
                Some(b'n') => "null",
                _ => "a number",
            },
        }
    }
}

/// An instant as text, as RFC 3339 has it: `2026-01-31T12:00:00.500Z`.
#[cfg_attr(not(internals), doc(hidden))]
pub fn timestamp_text(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The fields of an object, in the order in which they were written.
///
/// ```
/// use pipeline::value::{Fields, Value};
///
/// let mut fields: Fields = [("a", Value::Int(1)), ("b", Value::Null)].into_iter().collect();
/// fields.set("a", Value::Int(2));
/// assert_eq!(fields.get("a"), Some(&Value::Int(2)));
/// assert!(fields.remove("b").is_some() && fields.get("b").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(ByteString, Value)>);

impl Fields {
    /// Adds a field at the end; one of that name that is there already stays, and the last one counts.
    pub fn push(&mut self, name: ByteString, value: Value) {
        self.0.push((name, value));
    }

    /// The value of that name; of several, the last.
    pub fn get(&self, name: &str) -> Option<&Value> {
        Some(&self.0.iter().rev().find(|(found, _)| found == name)?.1)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        Some(&mut self.0.iter_mut().rev().find(|(found, _)| found == name)?.1)
    }

    /// Gives the field of that name this value, in its place; at the end where there is none.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.get_mut(name) {
            Some(place) => *place = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Takes the fields of that name out, and returns the value that counted.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let mut removed = None;
        self.0.retain_mut(|(found, value)| {
            let keep = found != name;
            if !keep {
                removed = Some(std::mem::replace(value, Value::Null));
            }
            keep
        });
        removed
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (ByteString, Value)> {
        self.0.iter()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<ByteString>> FromIterator<(N, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(fields: I) -> Self {
        Fields(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}
