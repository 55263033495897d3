//! A record as JSON: as it is given to a program in a line, or to a service in a batch, and what they answer.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{
    Call, OperatorError,
    error::{bad_value, quoted},
    outside::{bad_answer, unusable},
};
use crate::{
    format::Format,
    record::{Record, classes},
    value::{Others, Value, Wanted, write_json},
};

/// A record, but for its value, which stands behind.
#[derive(Serialize)]
struct Head<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

/// Who answers.
pub struct Answerer {
    /// For messages.
    pub name: &'static str,
    /// The class of what it refuses.
    pub refused: &'static str,
}

pub const PROGRAM: Answerer = Answerer { name: "the program", refused: classes::REFUSED_BY_PROGRAM };
pub const SERVICE: Answerer = Answerer { name: "the service", refused: classes::REFUSED_BY_SERVICE };

/// What is answered about one record.
#[derive(Deserialize)]
pub struct Answer<'a> {
    /// The number of the record.
    pub id: u64,
    /// The new value; null is none.
    #[serde(default, borrow, deserialize_with = "written")]
    value: Option<&'a RawValue>,
    /// Several new values; the record is dropped where there is none.
    #[serde(default, borrow)]
    values: Option<Vec<&'a RawValue>>,
    /// Why it is a dead letter.
    #[serde(default, borrow)]
    error: Option<Cow<'a, str>>,
    /// Another key.
    #[serde(default, borrow)]
    key: Option<Cow<'a, str>>,
}

/// Null is a value too.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Appends a record as one line of JSON: `{"id":…,"topic":…,"value":…}`, without a line break.
///
/// # Errors
/// Bad input, where its value is none of the format or JSON cannot hold it; then nothing is appended.
pub fn write(out: &mut Vec<u8>, id: u64, call: &Call, format: &Format) -> Result<(), OperatorError> {
    let value = match &call.record.value {
        Some(bytes) => format.read(bytes, &Wanted::All, Others::Kept).map_err(bad_value)?,
        None => Value::Null,
    };
    let place = call.place.as_ref();
    let head = Head {
        id,
        topic: place.map(|(partition, _)| &*partition.topic),
        partition: place.map(|(partition, _)| partition.partition),
        offset: place.map(|(_, offset)| offset.0),
        timestamp: call.record.timestamp,
        key: call.record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()),
    };
    let begin = out.len();
    // Nothing of it can fail in memory.
    let _ = serde_json::to_writer(&mut *out, &head);
    // The value stands in the same object.
    out.pop();
    out.extend_from_slice(b",\"value\":");
    let start = out.len();
    if let Err(error) = write_json(&value, out) {
        out.truncate(begin);
        return Err(OperatorError::BadInput { class: classes::NOT_WRITABLE, message: error.to_string() });
    }
    // A line break can only be a blank: in a string it is escaped.
    out[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    out.push(b'}');
    Ok(())
}

impl<'a> Answer<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, with its beginning.
    pub fn read(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line)
            .map_err(|error| format!(
                "on its standard output only answers may be, a line of JSON each with the `id` of its record ({error}){}",
                quoted(line)
            ))
    }

    /// What becomes of the record.
    ///
    /// # Errors
    /// Bad input, where it is refused or the answer is no use.
    pub fn records(
        &self,
        call: &Call,
        format: &Format,
        Answerer { name, refused }: &Answerer,
    ) -> Result<Vec<Record>, OperatorError> {
        if let Some(error) = &self.error {
            let message = format!("{name} refuses it{}", quoted(error.as_bytes()));
            return Err(OperatorError::BadInput { class: refused, message });
        }
        let values = match (&self.value, &self.values) {
            (Some(value), None) => std::slice::from_ref(value),
            (None, Some(values)) => values,
            _ => {
                return Err(bad_answer(format!("{name}'s answer must have `value`, `values` or `error`")));
            }
        };
        let own = call.record.key.as_ref();
        let key = match &self.key {
            Some(key) if own.is_none_or(|own| key.as_bytes() != own) => {
                Some(Bytes::copy_from_slice(key.as_bytes()))
            }
            _ => own.cloned(),
        };
        let record = |value: &&RawValue| {
            let value = match value.get() {
                "null" => None,
                text => {
                    let written = format.write(&Value::Json(Bytes::copy_from_slice(text.as_bytes())));
                    Some(written.map_err(|error| unusable(error, || format!("{name}'s answer")))?)
                }
            };
            Ok(Record { value, key: key.clone(), ..call.record.clone() })
        };
        values.iter().map(record).collect()
    }
}
