//! What a route's values are: how a question becomes a request, and a result an answer.

use bytes::Bytes;

use super::Question;
use crate::{
    config::Values,
    format::{Format, ValueError},
};

impl Values {
    /// The largest number that can be asked for; `None` where the route does not take numbers.
    pub fn max(&self) -> Option<u64> {
        match self {
            Values::Numbers { max, .. } => Some(*max),
            Values::Bytes => None,
        }
    }

    /// The value of the request for a question.
    ///
    /// # Errors
    /// The format cannot write it.
    pub fn request(&self, question: &Question) -> Result<Vec<u8>, ValueError> {
        Ok(match (question, self) {
            (Question::Number(n), Values::Numbers { request, .. }) => request.encode_request(*n)?,
            (Question::Number(n), Values::Bytes) => n.to_string().into_bytes(),
            (Question::Value(value), _) => value.to_vec(),
        })
    }

    /// The question that a result answers, where the result itself says so.
    pub fn question_of(&self, result: &[u8]) -> Option<Question> {
        match self {
            Values::Numbers { result: format, .. } => format.result_number(result).map(Question::Number),
            Values::Bytes => None,
        }
    }

    /// Whether [`answer`](Values::answer) takes the same time for a large result as for a small one.
    pub fn answers_by_slicing(&self) -> bool {
        matches!(self, Values::Bytes | Values::Numbers { result: Format::Text, .. })
    }

    /// The answer that is in a result: the digits of a number, or all of its bytes.
    ///
    /// # Errors
    /// Why the result cannot be read.
    pub fn answer(&self, result: &Bytes) -> Result<Bytes, ValueError> {
        match self {
            Values::Bytes => Ok(result.clone()),
            Values::Numbers { result: Format::Text, .. } => {
                // It was recognized as a result by its separator.
                let start = result.iter().position(|byte| *byte == b';').map_or(0, |at| at + 1);
                Ok(result.slice(start..))
            }
            Values::Numbers { result: format, .. } => {
                format.decode_result(result).map(|(_, digits)| digits.into())
            }
        }
    }

    /// The media type of an answer that is not JSON.
    pub fn content_type(&self) -> &'static str {
        match self {
            Values::Numbers { .. } => "text/plain; charset=utf-8",
            Values::Bytes => "application/octet-stream",
        }
    }
}
