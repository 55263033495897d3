//! An operator's settings, from its table in a pipeline's file.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_path_to_error::Segment;

use crate::expression::{Expression, ExpressionError};

/// What is wrong with an operator's settings.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{reason}")]
pub struct SettingError {
    /// The key that is wrong, where it is one; with dots where it is in a table of its own: `set.total`.
    pub key: Option<String>,
    /// Where in its text, in bytes, where it is an expression.
    pub at: Option<usize>,
    /// One sentence.
    pub reason: String,
}

impl SettingError {
    /// What is wrong with one key, or with all of them together.
    pub fn new(key: Option<&str>, reason: impl Into<String>) -> Self {
        SettingError { key: key.map(str::to_owned), at: None, reason: reason.into() }
    }
}

/// Checks an expression that stands under that key.
///
/// # Errors
/// What is wrong with it, and where.
pub fn expression(
    key: &str,
    source: &str,
    check: fn(&str) -> Result<Expression, ExpressionError>,
) -> Result<Expression, SettingError> {
    check(source).map_err(|error| SettingError {
        key: Some(key.to_owned()),
        at: Some(error.at),
        reason: error.reason,
    })
}

/// Reads a table into the struct whose fields are its keys.
///
/// # Errors
/// The first key that is unknown, missing, or has a wrong value.
pub fn read<T: DeserializeOwned>(table: toml::Table) -> Result<T, SettingError> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let keys = error.path().iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        });
        let key = keys.collect::<Vec<_>>().join(".");
        let key = (!key.is_empty()).then_some(key);
        SettingError { key, at: None, reason: in_plain_words(error.inner().message()) }
    })
}

/// A size such as `"128 MiB"`, or bytes.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Text(String),
    }
    let wrong = |what: &dyn std::fmt::Display| {
        D::Error::custom(format!("{what} is not a size; write it as \"128 MiB\" or in bytes"))
    };
    match Written::deserialize(deserializer) {
        Ok(Written::Bytes(bytes)) => Ok(bytes),
        Ok(Written::Text(text)) => {
            text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| wrong(&text))
        }
        Err(_) => Err(wrong(&"this")),
    }
}

/// The same, where it is written.
pub fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    size(deserializer).map(Some)
}

/// A time such as `"10 s"`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let written = toml::Value::deserialize(deserializer)?;
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    let wrong = || D::Error::custom(format!("{text} is no time above 0; write it as \"10 s\" or \"100 ms\""));
    humantime::parse_duration(&text).ok().filter(|time| !time.is_zero()).ok_or_else(wrong)
}

/// What serde says of a value, without its words and without the value itself, which may be a secret.
fn in_plain_words(message: &str) -> String {
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("{key} is missing");
    }
    if let Some((key, known)) =
        message.strip_prefix("unknown field ").and_then(|m| m.split_once(", expected "))
    {
        return format!("{key} is not a setting here; there is {}", known.trim_start_matches("one of "));
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = what_is_expected(expected);
    match found.strip_prefix("invalid type: ") {
        Some(found) => format!("it must be {expected}, not {}", what_is(found)),
        None if found.starts_with("invalid value: ") => format!("it must be {expected}"),
        None => message.to_owned(),
    }
}

fn what_is_expected(expected: &str) -> String {
    match expected {
        "u64" => "an integer, at least 0".to_owned(),
        "u32" => format!("an integer, 0 to {}", u32::MAX),
        "f64" => "a number".to_owned(),
        "a string" => "a string in quotes".to_owned(),
        "a sequence" => "an array, such as [\"a\", \"b\"]".to_owned(),
        "a map" => "a table".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn what_is(found: &str) -> &str {
    match found.split(' ').next() {
        Some("string") => "a string",
        Some("map") => "a table",
        Some("sequence") => "an array",
        Some("boolean") => "a boolean",
        Some("integer") => "an integer",
        Some("floating") => "a float",
        _ => found,
    }
}
