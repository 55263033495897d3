//! Values on their way to what is outside the pipeline, and back: a service, a component, and what they say.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{OperatorError, error::bad_value};
use crate::{
    format::{Format, Formats, ValueError},
    record::classes,
    value::{Others, Wanted},
};

/// How many lines are logged a second, and how long each may be, in bytes.
const LINES: u32 = 10;
pub(super) const LONGEST_LINE: u64 = 1_000;

/// A value as it is given away: as it came, but JSON where its format has a schema.
///
/// # Errors
/// Bad input, where the value is none of its format.
pub(super) fn given(formats: &Formats, value: &Bytes) -> Result<Bytes, OperatorError> {
    match formats.input.has_schema() {
        true => formats.input.convert(value, &Format::Json).map_err(bad_value),
        false => Ok(value.clone()),
    }
}

/// A value that `who` has answered, in the sink's format.
///
/// # Errors
/// A bad answer, where it is none.
pub(super) fn taken(
    formats: &Formats,
    answer: Bytes,
    who: impl FnOnce() -> String,
) -> Result<Bytes, OperatorError> {
    let format = &formats.output;
    let converted = match format {
        // Any bytes are one.
        Format::Bytes => Ok(answer),
        format if format.has_schema() => Format::Json.convert(&answer, format),
        format => format.read(&answer, &Wanted::All, Others::Kept).map(|_| answer),
    };
    converted.map_err(|error| unusable(error, || format!("what {} answered", who())))
}

/// Why an answer, which `what` names, is no value of the sink's format. A registry that is away is no fault of the answer.
pub(super) fn unusable(error: ValueError, what: impl FnOnce() -> String) -> OperatorError {
    match bad_value(error) {
        OperatorError::BadInput { message, .. } => {
            bad_answer(format!("{} cannot be used: {message}", what()))
        }
        other => other,
    }
}

/// An answer that is no use.
pub(super) fn bad_answer(message: String) -> OperatorError {
    OperatorError::BadInput { class: classes::BAD_ANSWER, message }
}

/// The lines that somebody outside has for the log: some a second.
pub(super) struct Lines {
    since: Instant,
    logged: u32,
    left_out: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Lines { since: Instant::now(), logged: 0, left_out: 0 }
    }
}

impl Lines {
    /// One more line: it is said, or left out. How many those were is reported once a second.
    pub fn line(&mut self, say: impl FnOnce(), report: impl FnOnce(u64)) {
        if self.since.elapsed() >= Duration::from_secs(1) {
            if self.left_out > 0 {
                report(self.left_out);
            }
            *self = Lines::default();
        }
        if self.logged < LINES {
            self.logged += 1;
            say();
        } else {
            self.left_out += 1;
        }
    }
}
