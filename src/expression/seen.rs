//! A record, as a compiled expression sees it: nothing is made of it that the expression does not ask for.

use std::borrow::Cow;

use bytes::Bytes;

use super::scalar::{Scalar, Stop};
use crate::{
    record::{Offset, Record, TopicPartition},
    value::{Found, Value},
};

/// Where a record was read; `None` in a test without a topic.
pub type Place<'s> = Option<(&'s TopicPartition, Offset)>;

/// A field below `value`, and its number in the compiled expression's paths.
pub struct Field {
    pub path: Vec<String>,
    pub place: usize,
}

/// One record.
pub struct Seen<'s> {
    pub record: &'s Record,
    pub place: Place<'s>,
    pub value: Held<'s>,
    /// Its key, where that has a format.
    pub key: Option<&'s Value>,
}

/// Its value.
pub enum Held<'s> {
    /// As it was read.
    Read(&'s Value),
    /// As it came, in JSON, with what was found in it.
    Json(&'s Bytes, &'s [Found<'s>]),
}

impl<'s> Seen<'s> {
    /// The field's value as it was read: a part that is copied stays as it came.
    pub fn copy(&self, field: &Field) -> Result<Value, Stop> {
        match self.value {
            Held::Read(value) => find(value, &field.path).cloned(),
            Held::Json(text, found) => match found[field.place] {
                Found::Text(part) => Ok(Value::Json(text.slice_ref(part.as_bytes()))),
                Found::Missing => Err(Stop::Fails),
                Found::NoObject => Err(Stop::Unknown),
            },
        }
    }

    /// The field's value, read.
    pub fn field(&self, field: &Field) -> Result<Scalar<'s>, Stop> {
        match self.value {
            Held::Read(value) => Scalar::of(find(value, &field.path)?),
            Held::Json(_, found) => match found[field.place] {
                Found::Text(part) => Scalar::of_json(part),
                Found::Missing => Err(Stop::Fails),
                Found::NoObject => Err(Stop::Unknown),
            },
        }
    }

    /// Whether there is such a field.
    pub fn has(&self, field: &Field) -> Result<bool, Stop> {
        match self.value {
            Held::Read(value) => {
                let Some((last, before)) = field.path.split_last() else { return Err(Stop::Unknown) };
                match find(value, before)? {
                    Value::Map(fields) => Ok(fields.get(last).is_some()),
                    _ => Err(Stop::Unknown),
                }
            }
            Held::Json(_, found) => match found[field.place] {
                Found::Text(_) => Ok(true),
                Found::Missing => Ok(false),
                Found::NoObject => Err(Stop::Unknown),
            },
        }
    }

    /// The last header of that name.
    pub fn header(&self, name: &str) -> Result<Scalar<'s>, Stop> {
        match self.record.headers.iter().rev().find(|header| header.name == name) {
            Some(header) => header.value.as_deref().map_or(Ok(Scalar::Null), text),
            None => Err(Stop::Fails),
        }
    }

    /// The key, or a field of it.
    pub fn key(&self, path: &[String]) -> Result<Scalar<'s>, Stop> {
        match self.key {
            Some(key) => Scalar::of(find(key, path)?),
            None if path.is_empty() => self.record.key.as_deref().map_or(Ok(Scalar::Null), text),
            None => Err(Stop::Unknown),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &'s str {
        self.place.map_or("", |(place, _)| &*place.topic)
    }

    /// The partition.
    pub fn partition(&self) -> i64 {
        self.place.map_or(0, |(place, _)| place.partition.into())
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.place.map_or(0, |(_, offset)| offset.0)
    }
}

fn text(bytes: &[u8]) -> Result<Scalar<'_>, Stop> {
    std::str::from_utf8(bytes).map(|text| Scalar::Text(Cow::Borrowed(text))).map_err(|_| Stop::Unknown)
}

fn find<'v>(value: &'v Value, path: &[String]) -> Result<&'v Value, Stop> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Map(fields) => fields.get(name).ok_or(Stop::Fails),
        _ => Err(Stop::Unknown),
    })
}
