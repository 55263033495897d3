//! What is kept of the records of one group, and how it is written.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    operator::{OperatorError, fields},
    record::classes,
    value::{Fields, Value, write_json},
};

/// How what is kept is written: the first byte of each.
const VERSION: u8 = 1;
/// The most bytes that are kept of a group: a topic takes a record of them in any case.
const LARGEST: usize = 512 << 10;
/// What most groups need, in bytes.
const ROOM: usize = 32;
/// The most values that are collected of a group.
const MOST: usize = 1_000;

/// What is computed of the values of a group. Where a record has `null`, it has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Count,
    Sum,
    Min,
    Max,
    Average,
    Collect,
}

/// So far, of one result.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Slot {
    Count(u64),
    Sum(Number),
    /// The smallest or largest.
    Extreme(Option<Scalar>),
    Average(Number, u64),
    /// Each as JSON.
    Collect(Vec<String>),
}

/// A number: whole ones are exact.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Whole(i128),
    Float(f64),
}

/// What can be compared.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub enum Scalar {
    Number(Number),
    Text(String),
}

/// What is kept of a group: the results in the file's order, and the window's start where there are windows.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Kept(pub Vec<Slot>);

impl Number {
    fn float(self) -> f64 {
        match self {
            Number::Whole(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    fn add(self, other: Number) -> Number {
        let whole = match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => one.checked_add(other),
            _ => None,
        };
        whole.map_or_else(|| Number::Float(self.float() + other.float()), Number::Whole)
    }

    fn value(self) -> Value {
        match self {
            Number::Float(number) => Value::Float(number),
            Number::Whole(number) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => Value::Int(number),
                (_, Ok(number)) => Value::UInt(number),
                // It keeps all of its digits.
                _ => Value::Json(number.to_string().into()),
            },
        }
    }

    fn is_below(self, other: Number) -> bool {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => one < other,
            _ => self.float() < other.float(),
        }
    }
}

impl Scalar {
    fn value(self) -> Value {
        match self {
            Scalar::Number(number) => number.value(),
            Scalar::Text(text) => Value::String(text.into()),
        }
    }

    /// `None` where they cannot be compared.
    fn is_below(&self, other: &Scalar) -> Option<bool> {
        match (self, other) {
            (Scalar::Number(one), Scalar::Number(other)) => Some(one.is_below(*other)),
            (Scalar::Text(one), Scalar::Text(other)) => Some(one < other),
            _ => None,
        }
    }
}

impl Kind {
    /// Of no values.
    pub fn none(self) -> Slot {
        match self {
            Kind::Count => Slot::Count(0),
            Kind::Sum => Slot::Sum(Number::Whole(0)),
            Kind::Min | Kind::Max => Slot::Extreme(None),
            Kind::Average => Slot::Average(Number::Whole(0), 0),
            Kind::Collect => Slot::Collect(Vec::new()),
        }
    }

    fn is_kept_in(self, slot: &Slot) -> bool {
        std::mem::discriminant(&self.none()) == std::mem::discriminant(slot)
    }

    /// Takes a record's value in.
    ///
    /// # Errors
    /// Bad input, where it is of a kind that does not go with this, or there are too many.
    pub fn take(self, slot: &mut Slot, name: &str, value: Value) -> Result<(), OperatorError> {
        if value.kind() == "null" {
            return Ok(());
        }
        match slot {
            Slot::Count(count) => *count += 1,
            Slot::Sum(sum) => *sum = sum.add(number(name, &value)?),
            Slot::Average(sum, count) => {
                *sum = sum.add(number(name, &value)?);
                *count += 1;
            }
            Slot::Extreme(extreme) => {
                let new = scalar(name, value)?;
                let replaces = match (&extreme, self) {
                    (None, _) => Some(true),
                    (Some(old), Kind::Min) => new.is_below(old),
                    (Some(old), _) => old.is_below(&new),
                };
                let Some(replaces) = replaces else {
                    return Err(wrong(name, "text and numbers of one group cannot be compared"));
                };
                if replaces {
                    *extreme = Some(new);
                }
            }
            Slot::Collect(values) => {
                if values.len() >= MOST {
                    return Err(too_large(format!(
                        "`{name}` has collected {MOST} values, and takes no more"
                    )));
                }
                let mut text = Vec::new();
                write_json(&value, &mut text).map_err(|error| wrong(name, &error.to_string()))?;
                values.push(String::from_utf8(text).map_err(|error| wrong(name, &error.to_string()))?);
            }
        }
        Ok(())
    }
}

impl Slot {
    fn value(self) -> Value {
        match self {
            Slot::Count(count) => Number::Whole(count.into()).value(),
            Slot::Sum(sum) => sum.value(),
            Slot::Extreme(extreme) => extreme.map_or(Value::Null, Scalar::value),
            Slot::Average(_, 0) => Value::Null,
            Slot::Average(sum, count) => Value::Float(sum.float() / count as f64),
            Slot::Collect(values) => {
                Value::Array(values.into_iter().map(|text| Value::Json(text.into())).collect())
            }
        }
    }
}

impl Kept {
    /// Reads what was written for these kinds.
    ///
    /// # Errors
    /// [`OperatorError::Fatal`] where it was kept for others.
    pub fn read(bytes: &[u8], kinds: impl ExactSizeIterator<Item = Kind>) -> Result<Kept, OperatorError> {
        let kept = bytes.split_first().filter(|(version, _)| **version == VERSION);
        let kept = kept.and_then(|(_, rest)| {
            bincode::serde::decode_from_slice::<Kept, _>(rest, bincode::config::standard()).ok()
        });
        let fits = |kept: &Kept| {
            kept.0.len() == kinds.len() && kinds.zip(&kept.0).all(|(kind, slot)| kind.is_kept_in(slot))
        };
        kept.map(|(kept, _)| kept).filter(fits).ok_or_else(|| OperatorError::Fatal {
            message: "what is kept of earlier records was computed for other `results`: undo the change of the operator, or begin anew \
                      with another `state.changelog`"
                .to_owned(),
        })
    }

    /// As bytes.
    ///
    /// # Errors
    /// Bad input, where they are too many.
    pub fn write(&self) -> Result<Bytes, OperatorError> {
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.push(VERSION);
        // Only maps of unknown length, and such, cannot be written.
        bincode::serde::encode_into_std_write(self, &mut bytes, bincode::config::standard())
            .map_err(|error| OperatorError::Fatal { message: error.to_string() })?;
        if bytes.len() > LARGEST {
            let kept = bytes.len();
            return Err(too_large(format!(
                "{kept} bytes would be kept of the record's group, and at most {LARGEST} are"
            )));
        }
        Ok(bytes.into())
    }

    /// The results by their names.
    pub fn results<'a>(self, names: impl Iterator<Item = &'a str>, fields: &mut Fields) {
        for (name, slot) in names.zip(self.0) {
            fields.push(name.into(), slot.value());
        }
    }
}

fn number(name: &str, value: &Value) -> Result<Number, OperatorError> {
    match value {
        Value::Int(number) => Ok(Number::Whole(i128::from(*number))),
        Value::UInt(number) => Ok(Number::Whole(i128::from(*number))),
        Value::Float(number) => Ok(Number::Float(*number)),
        Value::Json(text) => match fields::read(text)? {
            Value::Json(text) => {
                // A decimal number with more digits than the others take.
                let text = std::str::from_utf8(&text).unwrap_or_default();
                let whole = text.parse().map(Number::Whole).ok();
                whole
                    .or_else(|| text.parse().map(Number::Float).ok())
                    .ok_or_else(|| wrong(name, &format!("{} is no number", value.kind())))
            }
            plain => number(name, &plain),
        },
        other => Err(wrong(name, &format!("{} is no number", other.kind()))),
    }
}

fn scalar(name: &str, value: Value) -> Result<Scalar, OperatorError> {
    let plain = match &value {
        Value::Json(text) => fields::read(text)?,
        _ => value,
    };
    match plain {
        Value::String(text) => Ok(Scalar::Text(text.to_string())),
        number_or_not => number(name, &number_or_not).map(Scalar::Number),
    }
}

fn wrong(name: &str, why: &str) -> OperatorError {
    OperatorError::BadInput { class: classes::EXPRESSION_FAILED, message: format!("`results.{name}`: {why}") }
}

fn too_large(message: String) -> OperatorError {
    OperatorError::BadInput { class: classes::STATE_TOO_LARGE, message }
}
