//! `30` or `{"n":30}`, and `{"n":30,"result":"265252859812191058636308480000000"}`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::FormatError;

/// A request is a number and at most a name beside it; what is longer is not read at all.
const LONGEST_REQUEST: usize = 1_024;

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Plain(Number),
    Named { n: Number },
}

#[derive(Serialize)]
struct NewResult<'a> {
    n: u64,
    result: &'a str,
}

#[derive(Deserialize)]
struct ReadResult {
    n: u64,
    result: String,
}

pub fn decode_request(value: &[u8]) -> Result<u64, FormatError> {
    if value.len() > LONGEST_REQUEST {
        return Err(FormatError::not_a_number(value));
    }
    if let Err(error) = std::str::from_utf8(value) {
        return Err(FormatError::NotUtf8 { position: error.valid_up_to() });
    }
    let number = match serde_json::from_slice(value) {
        Ok(Request::Plain(number) | Request::Named { n: number }) => number,
        Err(_) => return Err(FormatError::not_a_number(value)),
    };
    if let Some(number) = number.as_u64() {
        return Ok(number);
    }
    if number.as_i64().is_some() {
        Err(FormatError::negative(value))
    } else {
        Err(FormatError::not_a_number(value))
    }
}

pub fn encode_result(n: u64, digits: &str) -> Bytes {
    let mut value = Vec::with_capacity(48 + digits.len());
    // Writing a number and digits to memory does not fail; if it did, an empty value would say so to all.
    if serde_json::to_writer(&mut value, &NewResult { n, result: digits }).is_err() {
        value.clear();
    }
    value.into()
}

pub fn decode_result(value: &[u8]) -> Result<(u64, String), FormatError> {
    let result: ReadResult = serde_json::from_slice(value).map_err(|_| FormatError::not_a_number(value))?;
    if result.result.is_empty() || !result.result.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FormatError::not_a_number(value));
    }
    Ok((result.n, result.result))
}
