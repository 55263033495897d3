//! Fields within a value, by the path to them.

use bytes::Bytes;

use super::{OperatorError, error::bad_value};
use crate::{
    format::{Format, ValueError},
    record::classes,
    value::{Fields, Value, read_json, timestamp_text},
};

/// Sets the field at a path; objects on the way that are not there are made.
///
/// # Errors
/// Bad input, where something on the way is no object.
pub(super) fn set(root: &mut Value, path: &[String], value: Value) -> Result<(), OperatorError> {
    let Some((first, rest)) = path.split_first() else {
        *root = value;
        return Ok(());
    };
    let fields = object(root, first)?;
    if rest.is_empty() {
        fields.set(first, value);
        return Ok(());
    }
    if fields.get(first).is_none() {
        fields.set(first, Value::Map(Fields::default()));
    }
    match fields.get_mut(first) {
        Some(inner) => set(inner, rest, value),
        None => Ok(()),
    }
}

/// Takes the field at a path out, if it is there.
///
/// # Errors
/// Bad input, where something on the way is no object.
pub(super) fn remove(root: &mut Value, path: &[String]) -> Result<(), OperatorError> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let fields = object(root, first)?;
    if rest.is_empty() {
        fields.remove(first);
        return Ok(());
    }
    fields.get_mut(first).map_or(Ok(()), |inner| remove(inner, rest))
}

/// What a JSON text is that was not looked into so far.
///
/// # Errors
/// Bad input, where it is a number that does not fit.
pub(super) fn read(text: &Bytes) -> Result<Value, OperatorError> {
    read_json(text).map_err(|error| bad_value(ValueError::NotJson(error.to_string())))
}

/// The fields of an object, which is read if it was not so far.
fn object<'a>(value: &'a mut Value, field: &str) -> Result<&'a mut Fields, OperatorError> {
    if let Value::Json(text) = &*value {
        *value = read(text)?;
    }
    let kind = value.kind();
    match value {
        Value::Map(fields) => Ok(fields),
        _ => Err(OperatorError::BadInput {
            class: classes::NOT_AN_OBJECT,
            message: format!("there is no object with a field `{field}`: this is {kind}"),
        }),
    }
}

/// A value as the text of a key or a header: text and bytes as they are, anything else as JSON; null is none.
pub(super) fn plain(value: &Value) -> Result<Option<Bytes>, OperatorError> {
    match value {
        Value::Null => Ok(None),
        Value::String(_) | Value::Bytes(_) => Format::Bytes.write(value).map(Some).map_err(bad_value),
        Value::Timestamp(time) => Ok(Some(timestamp_text(time).into())),
        Value::Json(text) => match text.first() {
            Some(b'"' | b'n') => plain(&read(text)?),
            _ => Ok(Some(text.clone())),
        },
        other => Format::Json.write(other).map(Some).map_err(bad_value),
    }
}
