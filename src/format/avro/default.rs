//! A field's default, from a schema's JSON.

use serde_json::Value as Json;

use super::{
    meant::{Blob, Integer},
    schema::{Id, Kind, Schema},
};
use crate::value::{Fields, Value};

/// Defaults within defaults.
const DEPTH: usize = 64;

/// The value that a default is for a type.
///
/// # Errors
/// Why it is none of it.
pub(super) fn value(schema: &Schema, of: Id, default: &Json) -> Result<Value, String> {
    made(schema, of, default, DEPTH)
}

fn made(schema: &Schema, of: Id, default: &Json, depth: usize) -> Result<Value, String> {
    let Some(depth) = depth.checked_sub(1) else { return Err("it has no end".to_owned()) };
    let kind = schema.of(of);
    let wrong = || Err(format!("{default} is none of the type {}", kind.kind.name()));
    let (integer, blob) = (Integer::of(kind.logical), Blob::of(&kind.kind, kind.logical));
    match (&kind.kind, default) {
        (Kind::Null, Json::Null) => Ok(Value::Null),
        (Kind::Boolean, Json::Bool(yes)) => Ok(Value::Bool(*yes)),
        (Kind::Int | Kind::Long, Json::Number(n)) => match n.as_i64() {
            Some(n) => integer.value(n),
            None => wrong(),
        },
        (Kind::Float | Kind::Double, Json::Number(n)) => {
            n.as_f64().map_or_else(wrong, |n| Ok(Value::Float(n)))
        }
        (Kind::String, Json::String(text)) => Ok(Value::String(text.as_str().into())),
        // Each character is a byte.
        (Kind::Bytes | Kind::Fixed(_), Json::String(text)) => {
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            let Some(bytes) = bytes else { return wrong() };
            if matches!(kind.kind, Kind::Fixed(size) if size != bytes.len()) {
                return wrong();
            }
            blob.value(bytes.into())
        }
        (Kind::Enum { symbols, .. }, Json::String(symbol)) => {
            let symbol = symbols.iter().find(|known| **known == symbol.as_str());
            symbol.map_or_else(wrong, |symbol| Ok(Value::String(symbol.clone())))
        }
        (Kind::Array(items), Json::Array(list)) => list
            .iter()
            .map(|item| made(schema, *items, item, depth))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        (Kind::Map(values), Json::Object(map)) => {
            let entry = |(name, value): (&String, &Json)| {
                Ok((name.as_str().to_owned(), made(schema, *values, value, depth)?))
            };
            map.iter().map(entry).collect::<Result<Fields, String>>().map(Value::Map)
        }
        (Kind::Record(fields), Json::Object(map)) => {
            let field = |field: &super::schema::Field| {
                let Some(default) = map.get(&*field.name).or(field.default.as_ref()) else {
                    return Err(format!("there is no field `{}` in {default}", field.name));
                };
                Ok((field.name.clone(), made(schema, field.of, default, depth)?))
            };
            fields.iter().map(field).collect::<Result<Fields, String>>().map(Value::Map)
        }
        // By the specification of 1.12 any branch; before, the first.
        (Kind::Union(branches), default) => branches
            .iter()
            .find_map(|branch| made(schema, *branch, default, depth).ok())
            .map_or_else(wrong, Ok),
        _ => wrong(),
    }
}
