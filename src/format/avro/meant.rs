//! What numbers and bytes of a schema stand for, by their logical types.

use bytes::Bytes;

use super::{
    logical,
    schema::{Kind, Logical, Unit},
};
use crate::value::{ByteString, Value};

/// What an integer becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Integer {
    Number,
    Float,
    Double,
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
}

/// What bytes become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blob {
    Bytes,
    String,
    Decimal { scale: usize },
    Uuid,
}

impl Integer {
    /// By the logical type.
    pub fn of(logical: Option<Logical>) -> Integer {
        match logical {
            Some(Logical::Date) => Integer::Date,
            Some(Logical::Time(unit)) => Integer::Time(unit),
            Some(Logical::Timestamp(unit)) => Integer::Timestamp(unit),
            Some(Logical::LocalTimestamp(unit)) => Integer::LocalTimestamp(unit),
            _ => Integer::Number,
        }
    }

    /// What `n` stands for.
    ///
    /// # Errors
    /// It is beyond what can be written of it.
    pub fn value(self, n: i64) -> Result<Value, String> {
        let text = |text: Option<String>| text.map(|text| Value::String(text.into()));
        let value = match self {
            Integer::Number => Some(Value::Int(n)),
            Integer::Float => Some(Value::Float(f64::from(n as f32))),
            Integer::Double => Some(Value::Float(n as f64)),
            Integer::Date => text(logical::date(n)),
            Integer::Time(unit) => text(logical::time(n, unit)),
            Integer::Timestamp(unit) => logical::timestamp(n, unit).map(Value::Timestamp),
            Integer::LocalTimestamp(unit) => text(logical::local(n, unit)),
        };
        value.ok_or_else(|| format!("{n} is beyond what a date or a time can be"))
    }
}

impl Blob {
    /// By the type and the logical type.
    pub fn of(kind: &Kind, logical: Option<Logical>) -> Blob {
        match (kind, logical) {
            (_, Some(Logical::Decimal { scale, .. })) => Blob::Decimal { scale },
            (Kind::Fixed(_), Some(Logical::Uuid)) => Blob::Uuid,
            (Kind::String, _) => Blob::String,
            _ => Blob::Bytes,
        }
    }

    /// What bytes stand for.
    ///
    /// # Errors
    /// They are no text where there must be one.
    pub fn value(self, bytes: Bytes) -> Result<Value, String> {
        match self {
            Blob::Bytes => Ok(Value::Bytes(bytes)),
            Blob::String => match ByteString::try_from(bytes) {
                Ok(text) => Ok(Value::String(text)),
                Err(_) => Err("a string is not UTF-8".to_owned()),
            },
            Blob::Decimal { scale } => Ok(logical::decimal(&bytes, scale)),
            Blob::Uuid => {
                Ok(logical::uuid(&bytes).map_or(Value::Bytes(bytes), |text| Value::String(text.into())))
            }
        }
    }
}
