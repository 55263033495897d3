//! Why bytes are not a value.

use thiserror::Error;

use crate::{record::classes, registry::RegistryError};

/// The class that callers see of a value that is no result; no dead letter has it.
const NOT_A_RESULT: &str = "not-a-result";
/// The class of what a registry does not give; no dead letter has it.
const REGISTRY: &str = "registry";

/// Why a value cannot be read. Quotes at most 40 characters of it.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum ValueError {
    /// No bytes at all.
    #[error("the value is empty")]
    Empty,
    /// Bytes that are no text, in a format that is.
    #[error("the value is not UTF-8: {0}")]
    NotUtf8(String),
    /// Anything else than a number.
    #[error("the value is not a number: {0}")]
    NotANumber(String),
    /// A minus sign and digits.
    #[error("the number is negative: {0}")]
    Negative(String),
    /// Above 2^64 - 1.
    #[error("the number does not fit 64 bits: {0}")]
    TooLarge(String),
    /// Text that is no result.
    #[error("the value is not a result: {0}")]
    NotAResult(String),
    /// Text that is no JSON.
    #[error("the value is not JSON: {0}")]
    NotJson(String),
    /// Bytes that do not fit their schema: the class, such as `not-avro`, and the sentence.
    #[error("{1}")]
    NotOfSchema(&'static str, String),
    /// A registry that has to be asked does not answer now.
    #[error("{0}")]
    Away(String),
    /// A registry that has to be asked refuses, and will for every record.
    #[error("{0}")]
    Refused(String),
    /// A value that the format cannot hold.
    #[error("{0}")]
    Unwritable(String),
}

impl ValueError {
    /// The dead letter's class.
    pub fn class(&self) -> &'static str {
        match self {
            ValueError::Empty => classes::EMPTY,
            ValueError::NotUtf8(_) => classes::NOT_UTF8,
            ValueError::NotANumber(_) => classes::NOT_A_NUMBER,
            ValueError::Negative(_) => classes::NEGATIVE,
            ValueError::TooLarge(_) => classes::ABOVE_MAX,
            // No worker reads results.
            ValueError::NotAResult(_) => NOT_A_RESULT,
            ValueError::NotJson(_) => classes::NOT_JSON,
            ValueError::Unwritable(_) => classes::NOT_WRITABLE,
            ValueError::NotOfSchema(class, _) => class,
            // Neither becomes a dead letter.
            ValueError::Away(_) | ValueError::Refused(_) => REGISTRY,
        }
    }
}

impl ValueError {
    /// What a registry's answer is for a value. What it does not have is wrong with the value, and of that class; of the schema
    /// that is written with, where `class` is empty, it is wrong with the pipeline.
    pub(super) fn of_registry(error: RegistryError, class: &'static str) -> Self {
        match error {
            RegistryError::Away(sentence) => ValueError::Away(sentence),
            RegistryError::Unknown(sentence) if !class.is_empty() => ValueError::NotOfSchema(class, sentence),
            RegistryError::Unknown(sentence) | RegistryError::Refused(sentence) => {
                ValueError::Refused(sentence)
            }
        }
    }
}

const QUOTED: usize = 40;

/// The beginning of a value, in quotes and escaped, with its size where that is not all.
pub(super) fn excerpt(value: &[u8]) -> String {
    // A character has at most four bytes.
    let beginning = String::from_utf8_lossy(&value[..value.len().min(4 * QUOTED)]);
    let quoted: String = beginning.chars().take(QUOTED).collect();
    if quoted.len() == value.len() {
        format!("\"{}\"", quoted.escape_debug())
    } else {
        format!("\"{}\"… ({} bytes)", quoted.escape_debug(), value.len())
    }
}

/// The beginning of a text, escaped.
pub(super) fn short(text: &str) -> String {
    let mut escaped = text.escape_debug();
    let short: String = escaped.by_ref().take(QUOTED).collect();
    if escaped.next().is_some() { short + "…" } else { short }
}

/// A reason, with the path to the field that it is about.
pub(super) fn below(name: &str, reason: &str) -> String {
    match reason.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
        Some((path, reason)) => format!("`{}.{path}`: {reason}", short(name)),
        None => format!("`{}`: {reason}", short(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_escaped() {
        assert_eq!(excerpt(b"a\"b\n\x1b[31m"), r#""a\"b\n\u{1b}[31m""#);
        let long = "é".repeat(100);
        assert_eq!(excerpt(long.as_bytes()), format!("\"{}\"… (200 bytes)", "é".repeat(40)));
    }

    #[test]
    fn bytes_that_are_no_text_are_quoted_as_replacement_characters() {
        assert_eq!(excerpt(b"a\xff"), "\"a\u{fffd}\"… (2 bytes)");
    }
}
