//! Values to Avro's binary encoding, as a schema says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use num_bigint::BigInt;

use super::{
    super::{
        error::{below, short},
        needs::{float, needs},
    },
    default, logical,
    schema::{Field, Id, Kind, Logical, Schema},
};
use crate::value::{Fields, Value, read_json, timestamp_text};

/// How often a union's branch may be tried that then does not fit, in one record.
const TRIES: u32 = 1_000;
/// Values within each other.
pub(super) const DEPTH: usize = 128;

/// Writes a value behind what is in `out`.
///
/// # Errors
/// Which part of it does not fit the schema.
pub(super) fn value(schema: &Schema, value: &Value, out: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut writer = Writer::new(schema, out);
    writer.write(schema.root(), value, DEPTH)?;
    Ok(writer.out)
}

pub(super) struct Writer<'a> {
    pub schema: &'a Schema,
    pub out: Vec<u8>,
    tries: u32,
}

type Written = Result<(), String>;

impl<'a> Writer<'a> {
    /// Writes behind what is in `out`.
    pub fn new(schema: &'a Schema, out: Vec<u8>) -> Self {
        Writer { schema, out, tries: TRIES }
    }

    pub fn long(&mut self, n: i64) {
        let mut n = ((n << 1) ^ (n >> 63)) as u64;
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.out.extend_from_slice(bytes);
    }

    pub fn write(&mut self, id: Id, value: &Value, depth: usize) -> Written {
        let schema = self.schema;
        let of = schema.of(id);
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("it has more than {DEPTH} levels"));
        };
        if let Kind::Union(branches) = &of.kind {
            return self.union(branches, value, depth);
        }
        if let (Some(Logical::Decimal { precision, scale }), Some(number)) = (of.logical, number_text(value))
        {
            let number = logical::unscaled(&number, precision, scale)?;
            return self.decimal(&of.kind, &number);
        }
        match (&of.kind, value) {
            (_, Value::Json(text)) => {
                let value = read_json(text).map_err(|error| error.to_string())?;
                return self.write(id, &value, depth + 1);
            }
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Bool(yes)) => self.out.push((*yes).into()),
            (Kind::Int, value) => {
                let n = integer(value, of.logical)?;
                let n = i32::try_from(n).map_err(|_| format!("{n} does not fit the 32 bits of an int"))?;
                self.long(n.into());
            }
            (Kind::Long, value) => {
                let n = integer(value, of.logical)?;
                self.long(n);
            }
            (Kind::Float, value) => {
                let n = float(value)?;
                self.out.extend_from_slice(&(n as f32).to_le_bytes());
            }
            (Kind::Double, value) => {
                let n = float(value)?;
                self.out.extend_from_slice(&n.to_le_bytes());
            }
            (Kind::String, Value::String(text)) => self.bytes(text.as_bytes()),
            (Kind::String, Value::Timestamp(time)) => self.bytes(timestamp_text(time).as_bytes()),
            (Kind::Bytes, value) => {
                let bytes = plain_bytes(value).ok_or_else(|| needs("bytes, or text in base64", value))?;
                self.bytes(&bytes);
            }
            (Kind::Fixed(size), value) => {
                let bytes =
                    self.fixed(value, of.logical).ok_or_else(|| needs("bytes, or text in base64", value))?;
                if bytes.len() != *size {
                    return Err(format!(
                        "a `fixed` of {size} bytes is needed, and these are {}",
                        bytes.len()
                    ));
                }
                self.out.extend_from_slice(&bytes);
            }
            (Kind::Enum { symbols, .. }, Value::String(text)) => {
                let place = symbols.iter().position(|symbol| symbol == text);
                let place = place
                    .ok_or_else(|| format!("`{}` is none of the symbols of `{}`", short(text), of.name))?;
                self.long(place as i64);
            }
            (Kind::Array(items), Value::Array(values)) => {
                if !values.is_empty() {
                    self.long(values.len() as i64);
                    values.iter().try_for_each(|value| self.write(*items, value, depth))?;
                }
                self.out.push(0);
            }
            (Kind::Map(values), Value::Map(fields)) => {
                if !fields.is_empty() {
                    self.long(fields.len() as i64);
                    for (name, value) in fields.iter() {
                        self.bytes(name.as_bytes());
                        self.write(*values, value, depth).map_err(|reason| below(name, &reason))?;
                    }
                }
                self.out.push(0);
            }
            (Kind::Record(fields), Value::Map(values)) => self.record(fields, values, depth)?,
            (kind, value) => return Err(needs(kind.name(), value)),
        }
        Ok(())
    }

    fn record(&mut self, fields: &[Field], values: &Fields, depth: usize) -> Written {
        let mut found = 0;
        for field in fields {
            let written = match (values.get(&field.name), &field.default) {
                (Some(value), _) => {
                    found += 1;
                    self.write(field.of, value, depth)
                }
                (None, Some(default)) => default::value(self.schema, field.of, default)
                    .and_then(|value| self.write(field.of, &value, depth)),
                (None, None) => Err("it is missing, and has no default".to_owned()),
            };
            written.map_err(|reason| below(&field.name, &reason))?;
        }
        if found < values.len() {
            let unknown = |name: &str| !fields.iter().any(|field| field.name == name);
            if let Some((name, _)) = values.iter().find(|(name, _)| unknown(name)) {
                return Err(format!("the schema has no field `{}`", short(name)));
            }
        }
        Ok(())
    }

    /// The first branch of the value's own kind that takes it, else the first that can.
    pub fn union(&mut self, branches: &[Id], value: &Value, depth: usize) -> Written {
        let start = self.out.len();
        let mut reasons = Vec::new();
        for own in [true, false] {
            for (place, branch) in branches.iter().enumerate() {
                if self.is_own(*branch, value) != own {
                    continue;
                }
                self.long(place as i64);
                match self.write(*branch, value, depth) {
                    Ok(()) => return Ok(()),
                    Err(reason) => reasons.push((own, reason)),
                }
                self.out.truncate(start);
                self.tries = self.tries.checked_sub(1).ok_or("too many branches of unions do not fit")?;
            }
        }
        // What is said of the one kind that would do says most.
        match &reasons[..] {
            [(true, reason), ..] => Err(reason.clone()),
            _ => Err(needs("one of a union's branches", value)),
        }
    }

    /// Whether a value is of the branch's own kind, so that nothing is lost in it.
    fn is_own(&self, id: Id, value: &Value) -> bool {
        let of = self.schema.of(id);
        match (&of.kind, value) {
            (_, Value::Json(text)) => match (text.first(), &of.kind) {
                (Some(b'-' | b'0'..=b'9'), kind) => {
                    let whole = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
                    let decimal = matches!(of.logical, Some(Logical::Decimal { .. }));
                    decimal
                        || if whole {
                            matches!(kind, Kind::Int | Kind::Long)
                        } else {
                            matches!(kind, Kind::Float | Kind::Double)
                        }
                }
                _ => read_json(text).is_ok_and(|value| self.is_own(id, &value)),
            },
            (Kind::Null, Value::Null) | (Kind::Boolean, Value::Bool(_)) => true,
            (Kind::Int | Kind::Long, Value::Int(_) | Value::UInt(_)) => of.logical.is_none(),
            (Kind::Long, Value::Timestamp(_)) => matches!(of.logical, Some(Logical::Timestamp(_))),
            (Kind::Double, Value::Float(_)) => true,
            (Kind::Float, Value::Float(n)) => f64::from(*n as f32).to_bits() == n.to_bits(),
            (Kind::String, Value::String(_)) => true,
            (Kind::Enum { symbols, .. }, Value::String(text)) => symbols.contains(text),
            (Kind::Bytes, Value::Bytes(_)) => true,
            (Kind::Fixed(size), Value::Bytes(bytes)) => bytes.len() == *size,
            (Kind::Array(_), Value::Array(_)) => true,
            (Kind::Map(_) | Kind::Record(_), Value::Map(_)) => true,
            _ => false,
        }
    }

    fn decimal(&mut self, kind: &Kind, number: &BigInt) -> Written {
        match kind {
            Kind::Fixed(size) => {
                let bytes = logical::padded(number, *size);
                let bytes = bytes
                    .ok_or_else(|| format!("the number needs more than the {size} bytes of its `fixed`"))?;
                self.out.extend_from_slice(&bytes);
            }
            _ => self.bytes(&number.to_signed_bytes_be()),
        }
        Ok(())
    }

    fn fixed(&self, value: &Value, logical: Option<Logical>) -> Option<Bytes> {
        match (value, logical) {
            (Value::String(text), Some(Logical::Uuid)) => {
                logical::uuid_bytes(text).map(|bytes| Bytes::copy_from_slice(&bytes))
            }
            _ => plain_bytes(value),
        }
    }
}

/// Bytes, or the text that JSON has for them.
fn plain_bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::String(text) => STANDARD.decode(text.as_bytes()).ok().map(Into::into),
        _ => None,
    }
}

/// A number as text, for a decimal.
fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::Int(n) => Some(n.to_string()),
        Value::UInt(n) => Some(n.to_string()),
        Value::Float(n) if n.is_finite() => Some(n.to_string()),
        Value::String(text) => Some(text.to_string()),
        Value::Json(text) if text.first() == Some(&b'"') => match read_json(text) {
            Ok(Value::String(text)) => Some(text.to_string()),
            _ => None,
        },
        Value::Json(text) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}

fn integer(value: &Value, logical: Option<Logical>) -> Result<i64, String> {
    let from_text = |text: &str| match logical? {
        Logical::Date => logical::days(text),
        Logical::Time(unit) => logical::time_count(text, unit),
        Logical::Timestamp(unit) => logical::count(logical::instant(text)?, unit),
        Logical::LocalTimestamp(unit) => logical::local_count(text, unit),
        _ => None,
    };
    let found = match (value, logical) {
        (Value::Int(n), _) => Some(*n),
        (Value::UInt(n), _) => i64::try_from(*n).ok(),
        // What was computed with a fraction, and came out whole.
        (Value::Float(n), _) if n.fract() == 0.0 && n.abs() < 2_f64.powi(63) => Some(*n as i64),
        (Value::Timestamp(time), Some(Logical::Timestamp(unit))) => logical::count(*time, unit),
        (Value::String(text), _) => from_text(text),
        _ => None,
    };
    found.ok_or_else(|| {
        needs(
            match logical {
                Some(Logical::Date) => "a date such as \"2026-01-31\"",
                Some(Logical::Time(_)) => "a time such as \"12:00:00\"",
                Some(Logical::Timestamp(_)) => "a timestamp such as \"2026-01-31T12:00:00Z\"",
                Some(Logical::LocalTimestamp(_)) => "a local timestamp such as \"2026-01-31T12:00:00\"",
                _ => "an integer of 64 bits",
            },
            value,
        )
    })
}
