//! The values that a compiled expression computes with, and what it does with them: what CEL does, kind by kind.

use std::{borrow::Cow, cmp::Ordering};

use bytes::Bytes;
use cel::common::ast::operators;

use super::bounds;
use crate::value::{Value, read_json, read_json_number};

/// Why a compiled expression gives nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The interpreter fails here too, and says how. `&&` and `||` go on if the other side decides.
    Fails,
    /// Only the interpreter knows.
    Unknown,
}

/// A value without parts.
#[derive(Clone, PartialEq, Debug)]
pub enum Scalar<'s> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Cow<'s, str>),
}

/// What is done with two scalars.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    StartsWith,
    EndsWith,
    Contains,
}

impl Operation {
    /// The one of that name in a parsed expression.
    pub fn of(operator: &str) -> Option<Operation> {
        Some(match operator {
            operators::EQUALS => Operation::Equal,
            operators::NOT_EQUALS => Operation::NotEqual,
            operators::LESS => Operation::Less,
            operators::LESS_EQUALS => Operation::LessOrEqual,
            operators::GREATER => Operation::Greater,
            operators::GREATER_EQUALS => Operation::GreaterOrEqual,
            operators::ADD => Operation::Add,
            operators::SUBSTRACT => Operation::Subtract,
            operators::MULTIPLY => Operation::Multiply,
            operators::DIVIDE => Operation::Divide,
            operators::MODULO => Operation::Modulo,
            _ => return None,
        })
    }

    /// The function of that name, which is called on a text.
    pub fn of_text(name: &str) -> Option<Operation> {
        Some(match name {
            "startsWith" => Operation::StartsWith,
            "endsWith" => Operation::EndsWith,
            "contains" => Operation::Contains,
            _ => return None,
        })
    }

    /// Whether it is called on a text.
    pub fn is_of_text(self) -> bool {
        matches!(self, Operation::StartsWith | Operation::EndsWith | Operation::Contains)
    }

    /// What it gives.
    pub fn apply<'s>(self, left: Scalar<'s>, right: Scalar<'s>) -> Result<Scalar<'s>, Stop> {
        let text = |holds: fn(&str, &str) -> bool| match (&left, &right) {
            (Scalar::Text(left), Scalar::Text(right)) => Ok(holds(left, right)),
            _ => Err(Stop::Unknown),
        };
        Ok(Scalar::Bool(match self {
            Operation::Equal => left.equals(&right),
            Operation::NotEqual => !left.equals(&right),
            Operation::Less => left.compare(&right)?.is_lt(),
            Operation::LessOrEqual => left.compare(&right)?.is_le(),
            Operation::Greater => left.compare(&right)?.is_gt(),
            Operation::GreaterOrEqual => left.compare(&right)?.is_ge(),
            Operation::StartsWith => text(|text, part| text.starts_with(part))?,
            Operation::EndsWith => text(|text, part| text.ends_with(part))?,
            Operation::Contains => text(|text, part| text.contains(part))?,
            _ => return self.compute(left, right),
        }))
    }

    /// Arithmetic: numbers of two kinds are made numbers of one, as in `numbers.rs`.
    fn compute<'s>(self, left: Scalar<'s>, right: Scalar<'s>) -> Result<Scalar<'s>, Stop> {
        for operand in [&left, &right] {
            let bytes = if let Scalar::Text(text) = operand { text.len() } else { 0 };
            bounds::spend_on_operand(bytes).map_err(|_| Stop::Fails)?;
        }
        match (left, right) {
            (Scalar::Int(left), Scalar::Int(right)) => self.of_ints(left, right).map(Scalar::Int),
            (Scalar::UInt(left), Scalar::UInt(right)) => self.of_uints(left, right).map(Scalar::UInt),
            (Scalar::Int(left), Scalar::UInt(right)) => {
                let left = u64::try_from(left).map_err(|_| Stop::Fails)?;
                self.of_uints(left, right).map(Scalar::UInt)
            }
            (Scalar::UInt(left), Scalar::Int(right)) => {
                let right = u64::try_from(right).map_err(|_| Stop::Fails)?;
                self.of_uints(left, right).map(Scalar::UInt)
            }
            (Scalar::Text(left), Scalar::Text(right)) if self == Operation::Add => {
                Ok(Scalar::Text((left.into_owned() + &right).into()))
            }
            (left, right) => {
                let both = left.float().zip(right.float()).ok_or(Stop::Fails)?;
                self.of_floats(both).map(Scalar::Float)
            }
        }
    }

    fn of_ints(self, left: i64, right: i64) -> Result<i64, Stop> {
        let computed = match self {
            Operation::Add => left.checked_add(right),
            Operation::Subtract => left.checked_sub(right),
            Operation::Multiply => left.checked_mul(right),
            Operation::Divide => left.checked_div(right),
            _ => left.checked_rem(right),
        };
        computed.ok_or(Stop::Fails)
    }

    fn of_uints(self, left: u64, right: u64) -> Result<u64, Stop> {
        let computed = match self {
            Operation::Add => left.checked_add(right),
            Operation::Subtract => left.checked_sub(right),
            Operation::Multiply => left.checked_mul(right),
            Operation::Divide => left.checked_div(right),
            _ => left.checked_rem(right),
        };
        computed.ok_or(Stop::Fails)
    }

    fn of_floats(self, (left, right): (f64, f64)) -> Result<f64, Stop> {
        match self {
            Operation::Add => Ok(left + right),
            Operation::Subtract => Ok(left - right),
            Operation::Multiply => Ok(left * right),
            Operation::Divide => Ok(left / right),
            _ => Err(Stop::Fails),
        }
    }
}

impl<'s> Scalar<'s> {
    /// What a value is, reading it where it is still text.
    pub fn of(value: &'s Value) -> Result<Scalar<'s>, Stop> {
        Ok(match value {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Int(n) => Scalar::Int(*n),
            Value::UInt(n) => Scalar::UInt(*n),
            Value::Float(n) => Scalar::Float(*n),
            Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
            Value::Json(text) => {
                return Scalar::of_json(std::str::from_utf8(text).map_err(|_| Stop::Unknown)?);
            }
            _ => return Err(Stop::Unknown),
        })
    }

    /// What a JSON value is.
    pub fn of_json(text: &'s str) -> Result<Scalar<'s>, Stop> {
        let spent = |spent: Result<(), _>| spent.map_err(|_: cel::ExecutionError| Stop::Fails);
        if let Some(string) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
            && !string.contains('\\')
        {
            spent(bounds::spend_on_text(string.len()))?;
            return Ok(Scalar::Text(Cow::Borrowed(string)));
        }
        spent(bounds::spend_on_reading(text.as_bytes()))?;
        if let Some(n) = small(text) {
            return Ok(Scalar::Int(n));
        }
        match text.as_bytes() {
            b"null" => Ok(Scalar::Null),
            b"true" => Ok(Scalar::Bool(true)),
            b"false" => Ok(Scalar::Bool(false)),
            // Some of it is escaped, and so it is copied.
            [b'"', ..] => match read_json(&Bytes::copy_from_slice(text.as_bytes())) {
                Ok(Value::String(text)) => Ok(Scalar::Text(Cow::Owned(text.to_string()))),
                _ => Err(Stop::Unknown),
            },
            [b'-' | b'0'..=b'9', ..] => match read_json_number(text.as_bytes()) {
                Ok(Value::Int(n)) => Ok(Scalar::Int(n)),
                Ok(Value::UInt(n)) => Ok(Scalar::UInt(n)),
                Ok(Value::Float(n)) => Ok(Scalar::Float(n)),
                _ => Err(Stop::Unknown),
            },
            _ => Err(Stop::Unknown),
        }
    }

    /// Itself, without a copy of its text.
    pub fn borrowed(&self) -> Scalar<'_> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Bool(value) => Scalar::Bool(*value),
            Scalar::Int(n) => Scalar::Int(*n),
            Scalar::UInt(n) => Scalar::UInt(*n),
            Scalar::Float(n) => Scalar::Float(*n),
            Scalar::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        }
    }

    /// As a part of a result.
    pub fn into_value(self) -> Result<Value, Stop> {
        Ok(match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(n) => Value::Int(n),
            Scalar::UInt(n) => Value::UInt(n),
            Scalar::Float(n) => Value::Float(n),
            Scalar::Text(text) => {
                bounds::spend_on_text(text.len()).map_err(|_| Stop::Fails)?;
                Value::String(text.into_owned().into())
            }
        })
    }

    /// With the other sign.
    pub fn negative(self) -> Result<Scalar<'s>, Stop> {
        match self {
            Scalar::Int(n) => n.checked_neg().map(Scalar::Int).ok_or(Stop::Fails),
            Scalar::Float(n) => Ok(Scalar::Float(-n)),
            _ => Err(Stop::Unknown),
        }
    }

    /// Whether the two are equal: numbers by what they are, whatever their kind.
    pub fn equals(&self, other: &Scalar<'_>) -> bool {
        match (self, other) {
            (Scalar::Null, Scalar::Null) => true,
            (Scalar::Null, _) | (_, Scalar::Null) => false,
            _ => self.compare(other) == Ok(Ordering::Equal),
        }
    }

    /// Which of the two is less. Only values of one kind, and numbers, can be compared.
    fn compare(&self, other: &Scalar<'_>) -> Result<Ordering, Stop> {
        match (self, other) {
            (Scalar::Int(one), Scalar::Int(other)) => Ok(one.cmp(other)),
            (Scalar::UInt(one), Scalar::UInt(other)) => Ok(one.cmp(other)),
            (Scalar::Int(one), Scalar::UInt(other)) => Ok(i128::from(*one).cmp(&i128::from(*other))),
            (Scalar::UInt(one), Scalar::Int(other)) => Ok(i128::from(*one).cmp(&i128::from(*other))),
            (Scalar::Text(one), Scalar::Text(other)) => Ok(one.cmp(other)),
            (Scalar::Bool(one), Scalar::Bool(other)) => Ok(one.cmp(other)),
            _ => {
                let (one, other) = self.float().zip(other.float()).ok_or(Stop::Fails)?;
                one.partial_cmp(&other).ok_or(Stop::Fails)
            }
        }
    }

    /// A number as a floating-point number.
    fn float(&self) -> Option<f64> {
        match self {
            Scalar::Float(n) => Some(*n),
            Scalar::Int(n) => Some(*n as f64),
            Scalar::UInt(n) => Some(*n as f64),
            _ => None,
        }
    }
}

/// A number of a few digits: most are.
fn small(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let n = digits
        .bytes()
        .try_fold(0, |n: i64, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))?;
    Some(if digits.len() < text.len() { -n } else { n })
}
