//! An operator's settings, from its table in a pipeline's file.

use serde::de::DeserializeOwned;
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
        let key = match error.path().iter().next() {
            Some(Segment::Map { key }) => Some(key.clone()),
            _ => None,
        };
        SettingError { key, at: None, reason: error.inner().message().to_owned() }
    })
}
