//! Why an operator could not compute a record.

use thiserror::Error;

use crate::format::ValueError;

/// The failures that pass of the operators here, with what each is.
pub const FAILURES: &[(&str, &str)] = &[
    (TIMEOUT, "no answer within `timeout`"),
    (CONNECTION, "a connection that breaks"),
    (STATUS_429, "a service that has too much to do"),
    (STATUS_4XX, "any other such status that `retry` has"),
    (STATUS_5XX, "a service that fails"),
    (PROGRAM_ENDED, "a program that ends, or prints what is no answer"),
];
pub(super) const TIMEOUT: &str = "timeout";
pub(super) const CONNECTION: &str = "connection";
pub(super) const STATUS_429: &str = "status-429";
pub(super) const STATUS_4XX: &str = "status-4xx";
pub(super) const STATUS_5XX: &str = "status-5xx";
pub(super) const PROGRAM_ENDED: &str = "program-ended";

/// How much of an answer is quoted, in characters.
const QUOTED: usize = 200;

/// Why an operator could not compute a record; the kind decides what becomes of the record.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum OperatorError {
    /// The record can never be computed: it goes to the dead-letter topic.
    #[error("{message}")]
    BadInput {
        /// A short name in kebab case, such as `not-a-number`: a metric's label and a dead letter's header.
        class: &'static str,
        /// One sentence that says what is wrong with this record.
        message: String,
    },
    /// It may work later: tried again with a growing pause, then a dead letter.
    #[error("{message}")]
    Passing {
        /// A short name in kebab case, such as `timeout`: `[retry.NAME]` says how it is tried again.
        failure: &'static str,
        /// One sentence that says what failed.
        message: String,
    },
    /// Something outside that has to be asked does not answer: tried again until it does, however long that takes.
    #[error("{message}")]
    Away {
        /// One sentence that says what does not answer.
        message: String,
    },
    /// Nothing can be computed any more: the pipeline stops, and nothing is committed past this record.
    #[error("{message}")]
    Fatal {
        /// One sentence that says what is broken and what to do.
        message: String,
    },
}

/// The beginning of what somebody outside answered, for the end of a message.
pub(super) fn quoted(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(QUOTED) {
        _ if text.is_empty() => String::new(),
        Some((end, _)) => format!(": {}…", &text[..end]),
        None => format!(": {text}"),
    }
}

/// A value that is none of its format, or does not fit it.
pub(super) fn bad_value(error: ValueError) -> OperatorError {
    let message = error.to_string();
    match error {
        ValueError::Away(_) => OperatorError::Away { message },
        ValueError::Refused(_) => OperatorError::Fatal { message },
        error => OperatorError::BadInput { class: error.class(), message },
    }
}
