//! What the formats with a schema say of a value that does not fit it.

use crate::value::Value;

/// The value as a floating-point number.
pub fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(n) => Ok(*n),
        Value::Int(n) => Ok(*n as f64),
        Value::UInt(n) => Ok(*n as f64),
        other => Err(needs("a number", other)),
    }
}

/// That something else is needed.
pub fn needs(what: &str, value: &Value) -> String {
    format!("{what} is needed, and this is {}", value.kind())
}
