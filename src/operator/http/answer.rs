//! What an answer means for its record.

use std::{error::Error, ops::RangeInclusive, time::Duration};

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use super::super::error::{STATUS_4XX, STATUS_5XX, STATUS_429};

/// The longest that a service may ask to be left alone for.
const LONGEST: Duration = Duration::from_secs(300);

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The answer is its new value.
    Take,
    /// It is tried again.
    Retry,
    /// It is dropped.
    Drop,
    /// It is a dead letter.
    Refuse,
}

/// The statuses that mean something else than their class says.
pub struct Statuses {
    pub retry: Vec<RangeInclusive<u16>>,
    pub drop: Vec<RangeInclusive<u16>>,
}

impl Statuses {
    pub fn action(&self, status: StatusCode) -> Action {
        let is_in = |list: &[RangeInclusive<u16>]| list.iter().any(|range| range.contains(&status.as_u16()));
        match () {
            () if is_in(&self.drop) => Action::Drop,
            () if is_in(&self.retry) => Action::Retry,
            () if status.is_success() => Action::Take,
            () => Action::Refuse,
        }
    }
}

/// The name of the failure that a status is, where the record is tried again.
pub fn failure(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => STATUS_429,
        500.. => STATUS_5XX,
        _ => STATUS_4XX,
    }
}

/// A status, `"404"`, or all of a class, `"5xx"`.
pub fn class(text: &str) -> Option<RangeInclusive<u16>> {
    let range = match text.strip_suffix("xx") {
        Some(class) => {
            let first = class.parse::<u16>().ok()?.checked_mul(100)?;
            first..=first + 99
        }
        None => {
            let status = text.parse().ok()?;
            status..=status
        }
    };
    ((100..=599).contains(range.start()) && text.len() == 3).then_some(range)
}

/// When the service wants to be asked again, where it says so in seconds (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// What is at the bottom of an error: the layers above it only say that a request failed.
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
