//! Values to messages.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::DateTime;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value as Made,
    prost::Message as _,
};

use super::{
    super::{
        error::{below, short},
        needs::{float, needs},
    },
    ValueError,
};
use crate::value::{Value, read_json, timestamp_text};

/// Values within each other.
const DEPTH: usize = 100;

/// Writes a message behind what is in `out`.
///
/// # Errors
/// Which part of the value does not fit it.
pub(super) fn value(
    message: &MessageDescriptor,
    value: &Value,
    mut out: Vec<u8>,
) -> Result<Bytes, ValueError> {
    let unwritable = |reason| ValueError::Unwritable(format!("the value does not fit the schema: {reason}"));
    let message = whole(message, value, DEPTH).map_err(unwritable)?;
    message.encode(&mut out).map_err(|error| unwritable(error.to_string()))?;
    Ok(out.into())
}

fn whole(of: &MessageDescriptor, value: &Value, depth: usize) -> Result<DynamicMessage, String> {
    let Some(depth) = depth.checked_sub(1) else { return Err(format!("it has more than {DEPTH} levels")) };
    let mut message = DynamicMessage::new(of.clone());
    if let Value::Json(text) = value {
        let value = read_json(text).map_err(|error| error.to_string())?;
        return whole(of, &value, depth + 1);
    }
    if well_known(&mut message, value)? {
        return Ok(message);
    }
    let Value::Map(fields) = value else {
        return Err(needs(&format!("a message `{}`", of.full_name()), value));
    };
    for (name, value) in fields.iter() {
        let field = of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name));
        let field = field
            .ok_or_else(|| format!("the message `{}` has no field `{}`", of.full_name(), short(name)))?;
        if is_null(value) {
            continue;
        }
        let made = self::field(&field, value, depth).map_err(|reason| below(name, &reason))?;
        message.set_field(&field, made);
    }
    Ok(message)
}

fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::Json(text) if text.as_ref() == b"null")
}

fn field(field: &FieldDescriptor, value: &Value, depth: usize) -> Result<Made, String> {
    if let Value::Json(text) = value {
        let value = read_json(text).map_err(|error| error.to_string())?;
        return self::field(field, &value, depth);
    }
    match (field.kind(), value) {
        (Kind::Message(entry), Value::Map(fields)) if field.is_map() => {
            let (key, of) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            let entry = |(name, value): &(crate::value::ByteString, Value)| {
                let key =
                    map_key(&key, name).ok_or_else(|| format!("`{}` is no key of that map", short(name)))?;
                Ok((key, one(&of, value, depth).map_err(|reason| below(name, &reason))?))
            };
            Ok(Made::Map(fields.iter().map(entry).collect::<Result<HashMap<_, _>, String>>()?))
        }
        (_, other) if field.is_map() => Err(needs("an object", other)),
        (kind, Value::Array(values)) if field.is_list() => {
            Ok(Made::List(values.iter().map(|value| one(&kind, value, depth)).collect::<Result<_, _>>()?))
        }
        (_, other) if field.is_list() => Err(needs("an array", other)),
        (kind, value) => one(&kind, value, depth),
    }
}

fn one(kind: &Kind, value: &Value, depth: usize) -> Result<Made, String> {
    let too_large = |n: i128| format!("{n} does not fit {}", kind_name(kind));
    Ok(match (kind, value) {
        (Kind::Message(of), value) => Made::Message(whole(of, value, depth)?),
        (kind, Value::Json(text)) => one(kind, &read_json(text).map_err(|error| error.to_string())?, depth)?,
        (Kind::Bool, Value::Bool(yes)) => Made::Bool(*yes),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, value) => {
            let n = integer(value)?;
            Made::I32(i32::try_from(n).map_err(|_| too_large(n))?)
        }
        (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, value) => {
            let n = integer(value)?;
            Made::I64(i64::try_from(n).map_err(|_| too_large(n))?)
        }
        (Kind::Uint32 | Kind::Fixed32, value) => {
            let n = integer(value)?;
            Made::U32(u32::try_from(n).map_err(|_| too_large(n))?)
        }
        (Kind::Uint64 | Kind::Fixed64, value) => {
            let n = integer(value)?;
            Made::U64(u64::try_from(n).map_err(|_| too_large(n))?)
        }
        (Kind::Float, value) => Made::F32(float(value)? as f32),
        (Kind::Double, value) => Made::F64(float(value)?),
        (Kind::String, Value::String(text)) => Made::String(text.to_string()),
        (Kind::String, Value::Timestamp(time)) => Made::String(timestamp_text(time)),
        (Kind::Bytes, Value::Bytes(bytes)) => Made::Bytes(bytes.clone()),
        (Kind::Bytes, Value::String(text)) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Made::Bytes(bytes.into()),
            Err(_) => return Err("bytes, or text in base64, are needed, and this is a string".to_owned()),
        },
        (Kind::Enum(of), Value::String(name)) => match of.get_value_by_name(name) {
            Some(value) => Made::EnumNumber(value.number()),
            None => return Err(format!("`{}` is none of the values of `{}`", short(name), of.full_name())),
        },
        (Kind::Enum(_), value) => {
            let n = integer(value)?;
            Made::EnumNumber(i32::try_from(n).map_err(|_| too_large(n))?)
        }
        (kind, value) => return Err(needs(&kind_name(kind), value)),
    })
}

fn kind_name(kind: &Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn integer(value: &Value) -> Result<i128, String> {
    match value {
        Value::Int(n) => Ok((*n).into()),
        Value::UInt(n) => Ok((*n).into()),
        // What was computed with a fraction, and came out whole.
        Value::Float(n) if n.fract() == 0.0 && n.abs() < 2_f64.powi(64) => Ok(*n as i128),
        // As Protobuf's JSON has integers of 64 bits.
        Value::String(text) => text.parse().map_err(|_| needs("an integer", value)),
        other => Err(needs("an integer", other)),
    }
}

fn map_key(kind: &Kind, name: &str) -> Option<MapKey> {
    match kind {
        Kind::String => Some(MapKey::String(name.to_owned())),
        Kind::Bool => name.parse().ok().map(MapKey::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => name.parse().ok().map(MapKey::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => name.parse().ok().map(MapKey::I64),
        Kind::Uint32 | Kind::Fixed32 => name.parse().ok().map(MapKey::U32),
        Kind::Uint64 | Kind::Fixed64 => name.parse().ok().map(MapKey::U64),
        _ => None,
    }
}

/// Fills a message of Protobuf's own that stands for something simpler; whether it is one.
fn well_known(message: &mut DynamicMessage, value: &Value) -> Result<bool, String> {
    let of = message.descriptor();
    let Some(name) = of.full_name().strip_prefix("google.protobuf.") else { return Ok(false) };
    match (name, value) {
        ("Timestamp", Value::Timestamp(_) | Value::String(_)) => {
            let time = match value {
                Value::String(text) => DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).ok(),
                Value::Timestamp(time) => Some(*time),
                _ => None,
            };
            let time = time.ok_or_else(|| needs("a timestamp such as \"2026-01-31T12:00:00Z\"", value))?;
            message.set_field_by_number(1, Made::I64(time.timestamp()));
            message.set_field_by_number(2, Made::I32(time.timestamp_subsec_nanos() as i32));
        }
        (_, Value::Map(_)) => return Ok(false),
        (name, value) if name.ends_with("Value") => match of.get_field(1) {
            Some(inner) if of.fields().len() == 1 => message.set_field(&inner, one(&inner.kind(), value, 1)?),
            _ => return Ok(false),
        },
        _ => return Ok(false),
    }
    Ok(true)
}
