//! A record's value as a number, for operators that need one.

use super::{OperatorError, error::bad_value};
use crate::{
    format::Format,
    record::{Record, classes},
};

/// The number that a record's value is.
///
/// # Errors
/// Bad input, with the class of what the value is instead.
pub(super) fn number(record: &Record, format: &Format) -> Result<u64, OperatorError> {
    let Some(value) = &record.value else {
        let message = "the record is a tombstone: it has no value".to_owned();
        return Err(OperatorError::BadInput { class: classes::TOMBSTONE, message });
    };
    format.decode_request(value).map_err(bad_value)
}
