//! Values that are read to the end: nothing in them is text any more that still has to be looked into.

use super::{Fields, JsonError, Value, read_json};

/// How many levels of arrays and objects are read at once: as many as a parser of JSON does, and no more than a stack holds.
const DEEPEST: usize = 128;

/// Reads all of a value that is still text.
///
/// # Errors
/// A number that does not fit 64 bits, or too many levels.
pub fn read_whole(value: Value) -> Result<Value, JsonError> {
    whole(value, DEEPEST)
}

fn whole(value: Value, levels: usize) -> Result<Value, JsonError> {
    let inner = |value: Value| match levels.checked_sub(1) {
        Some(levels) => whole(value, levels),
        None => Err(JsonError::Syntax(format!("it has more than {DEEPEST} levels"))),
    };
    match value {
        Value::Json(text) => whole(read_json(&text)?, levels),
        Value::Array(values) => Ok(Value::Array(values.into_iter().map(inner).collect::<Result<_, _>>()?)),
        Value::Map(fields) => {
            let read = fields.iter().map(|(name, value)| Ok((name.clone(), inner(value.clone())?)));
            Ok(Value::Map(read.collect::<Result<Fields, JsonError>>()?))
        }
        other => Ok(other),
    }
}
