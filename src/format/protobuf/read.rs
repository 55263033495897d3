//! Messages to values.

use bytes::Bytes;
use chrono::DateTime;
use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value as Read};

use super::{ValueError, not_protobuf};
use crate::value::{Fields, Others, Value, Wanted};

/// Reads a message, and makes values of the fields that are wanted. How deep messages may be within each other is bounded by
/// `prost`, which holds each length against what is left, too.
///
/// # Errors
/// The bytes are none of that message.
pub(super) fn value(
    message: &MessageDescriptor,
    bytes: Bytes,
    wanted: &Wanted,
    others: Others,
) -> Result<Value, ValueError> {
    let message =
        DynamicMessage::decode(message.clone(), bytes).map_err(|error| not_protobuf(error.to_string()))?;
    Ok(whole(&message, wanted, others))
}

fn whole(message: &DynamicMessage, wanted: &Wanted, others: Others) -> Value {
    let descriptor = message.descriptor();
    if let Some(value) = well_known(message, descriptor.full_name()) {
        return value;
    }
    let mut fields = Fields::default();
    for field in descriptor.fields() {
        let inner = match others {
            Others::Kept => Some(&Wanted::All),
            Others::Dropped => wanted.field(field.name()),
        };
        let Some(inner) = inner else { continue };
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        let value = one(&message.get_field(&field), &field.kind(), inner, others);
        fields.push(field.name().into(), value);
    }
    Value::Map(fields)
}

fn one(value: &Read, kind: &Kind, wanted: &Wanted, others: Others) -> Value {
    match value {
        Read::Bool(yes) => Value::Bool(*yes),
        Read::I32(n) => Value::Int((*n).into()),
        Read::I64(n) => Value::Int(*n),
        Read::U32(n) => Value::Int((*n).into()),
        Read::U64(n) => unsigned(*n),
        Read::F32(n) => Value::Float((*n).into()),
        Read::F64(n) => Value::Float(*n),
        Read::String(text) => Value::String(text.as_str().into()),
        Read::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Read::EnumNumber(number) => {
            let named = match kind {
                Kind::Enum(of) => of.get_value(*number),
                _ => None,
            };
            // A newer writer may have a value without a name here.
            named.map_or(Value::Int((*number).into()), |value| Value::String(value.name().into()))
        }
        Read::Message(message) => whole(message, wanted, others),
        Read::List(list) => {
            Value::Array(list.iter().map(|item| one(item, kind, &Wanted::All, Others::Kept)).collect())
        }
        Read::Map(map) => {
            let of = match kind {
                Kind::Message(entry) => entry.map_entry_value_field().kind(),
                other => other.clone(),
            };
            let mut entries: Vec<(&MapKey, &Read)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entry =
                |(key, value): (&MapKey, &Read)| (name(key), one(value, &of, &Wanted::All, Others::Kept));
            Value::Map(entries.into_iter().map(entry).collect())
        }
    }
}

fn unsigned(n: u64) -> Value {
    i64::try_from(n).map_or(Value::UInt(n), Value::Int)
}

fn name(key: &MapKey) -> String {
    match key {
        MapKey::Bool(yes) => yes.to_string(),
        MapKey::I32(n) => n.to_string(),
        MapKey::I64(n) => n.to_string(),
        MapKey::U32(n) => n.to_string(),
        MapKey::U64(n) => n.to_string(),
        MapKey::String(text) => text.clone(),
    }
}

/// Messages of Protobuf's own that stand for something simpler.
fn well_known(message: &DynamicMessage, name: &str) -> Option<Value> {
    let name = name.strip_prefix("google.protobuf.")?;
    let field = |number| message.get_field_by_number(number);
    match name {
        "Timestamp" => {
            let seconds = field(1)?.as_i64()?;
            let nanos = u32::try_from(field(2)?.as_i32()?).ok()?;
            DateTime::from_timestamp(seconds, nanos).map(Value::Timestamp)
        }
        "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value"
        | "StringValue" | "UInt32Value" | "UInt64Value" => {
            Some(one(field(1)?.as_ref(), &Kind::Bool, &Wanted::All, Others::Kept))
        }
        _ => None,
    }
}
