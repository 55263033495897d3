//! Reads questions from the last part of a path, or from the body of a POST. Knows no server, so that it is
//! fuzzed without one.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::gateway::Question;

/// Why a question is refused.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not a number; this is how it begins.
    #[error("\"{0}\" is not a whole number")]
    NotANumber(String),
    /// It is above the largest number that the route takes, which is this.
    #[error("n is above `max_n`, which is {0}")]
    TooLarge(u64),
    /// One body has more questions than one may have.
    #[error("{asked} at once are more than {limit}")]
    TooMany {
        /// Questions in the body.
        asked: usize,
        /// The most that one body may have.
        limit: usize,
    },
    /// The body is no list of questions.
    #[error("send [1, 2, 3] or {{\"n\": [1, 2, 3]}}")]
    NoList,
}

/// The question in a part of a path: a number up to `max`, or the bytes as they are where there is no `max`.
///
/// # Errors
/// Where it is not a number, or above `max`.
pub fn question(value: &str, max: Option<u64>) -> Result<Question, Refusal> {
    let Some(max) = max else { return Ok(Question::Value(value.to_owned().into())) };
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown: String = value.chars().take(40).collect();
        return Err(Refusal::NotANumber(shown.escape_debug().to_string()));
    }
    match value.parse() {
        Ok(n) if n <= max => Ok(Question::Number(n)),
        _ => Err(Refusal::TooLarge(max)),
    }
}

/// The questions in a body, at most `limit`: `[1, 2, 3]` or `{"n": [1, 2, 3]}`.
///
/// # Errors
/// Where the body is no such list, is too long, or has a question that is refused.
pub fn questions(body: &[u8], max: Option<u64>, limit: usize) -> Result<Vec<Question>, Refusal> {
    let values = list(body).map_err(|_| Refusal::NoList)?;
    if values.len() > limit {
        return Err(Refusal::TooMany { asked: values.len(), limit });
    }
    let one = |value: &RawValue| match value.get() {
        text if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|_| Refusal::NoList)?;
            question(&text, max)
        }
        number => question(number, max),
    };
    values.into_iter().map(one).collect()
}

/// The members as they are written: a number that is too large for Rust's types keeps its digits, and what is
/// inside a member takes no memory.
fn list(body: &[u8]) -> serde_json::Result<Vec<&RawValue>> {
    #[derive(Deserialize)]
    struct Object<'a> {
        #[serde(borrow)]
        n: Vec<&'a RawValue>,
    }
    match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(body).map(|Object { n }| n),
        _ => serde_json::from_slice(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_is_a_number_up_to_the_largest_or_bytes() {
        assert_eq!(question("007", Some(7)), Ok(Question::Number(7)));
        assert_eq!(question("8", Some(7)), Err(Refusal::TooLarge(7)));
        assert_eq!(question(&"9".repeat(5_000), Some(u64::MAX)), Err(Refusal::TooLarge(u64::MAX)));
        for value in ["", "+1", "-1", "1.0", "\u{661}", "0x1", " 1"] {
            assert!(matches!(question(value, Some(7)), Err(Refusal::NotANumber(_))), "{value}");
            assert_eq!(question(value, None), Ok(Question::Value(value.to_owned().into())));
        }
    }

    #[test]
    fn what_is_refused_is_shown_in_part_and_without_control_characters() {
        let refusal = question(&format!("\n\u{1b}[31m{}", "x".repeat(5_000)), Some(7)).unwrap_err();
        let shown = format!("\\n\\u{{1b}}[31m{}", "x".repeat(34));
        assert_eq!(refusal.to_string(), format!("\"{shown}\" is not a whole number"));
    }

    #[test]
    fn a_body_is_a_list_of_no_more_than_may_be_asked() {
        let numbers = |body: &str| questions(body.as_bytes(), Some(100), 3);
        let one_two = Ok(vec![Question::Number(1), Question::Number(2)]);
        assert_eq!(numbers("[1, \"2\"]"), one_two);
        assert_eq!(numbers(" {\"more\": {}, \"n\": [1, 2]}\n"), one_two);
        assert_eq!(numbers("[]"), Ok(Vec::new()));
        assert_eq!(numbers("[1, 2, 3, 101]"), Err(Refusal::TooMany { asked: 4, limit: 3 }));
        assert_eq!(numbers("[1, 101]"), Err(Refusal::TooLarge(100)));
        assert_eq!(numbers("[1, [2]]"), Err(Refusal::NotANumber("[2]".to_owned())));
        assert_eq!(numbers("[18446744073709551616]"), Err(Refusal::TooLarge(100)));
        assert_eq!(numbers("[1e2]"), Err(Refusal::NotANumber("1e2".to_owned())));
        for body in ["", "1, 2", "7", "null", "{}", "{\"n\": 7}", "[1", "[1] [2]", "[\"\\ud800\"]"] {
            assert_eq!(numbers(body), Err(Refusal::NoList), "{body}");
        }
        assert_eq!(questions(b"[\"\xff\"]", None, 3), Err(Refusal::NoList));
        assert_eq!(questions(b"[\"a\\u0000\"]", None, 3), Ok(vec![Question::Value("a\0".into())]));
        let digits = "20000000000000000000";
        assert_eq!(
            questions(format!("[{digits}]").as_bytes(), None, 3),
            Ok(vec![Question::Value(digits.into())])
        );
    }
}
