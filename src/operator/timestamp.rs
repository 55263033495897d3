//! Gives each record another timestamp.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output,
    evaluate::{Input, cost},
    fields, settings,
};
use crate::{
    expression::Expression,
    format::Formats,
    record::{Record, classes},
    value::{Others, Value},
};

/// Sets the timestamp to what an expression gives: an instant, its text as in RFC 3339, or milliseconds since 1970 UTC. Null leaves it
/// as it is. One that is too far from the record's own is refused: a broker deletes what is old, and what is ahead of its time stays for
/// long.
#[derive(Debug)]
pub struct SetTimestamp {
    to: Expression,
    within: Duration,
    input: Input,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The new timestamp.
    to: String,
    /// How far it may be from the record's own.
    #[serde(default = "week", deserialize_with = "settings::duration")]
    within: Duration,
}

fn week() -> Duration {
    Duration::from_secs(7 * 24 * 60 * 60)
}

impl SetTimestamp {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let Settings { to, within } = settings::read(table)?;
        let to = settings::expression("to", &to, Expression::new)?;
        let input = Input::new(&formats, Others::Dropped, [&to]);
        Ok(Box::new(SetTimestamp { to, within, input }))
    }

    fn timestamp(&self, record: &Record, out: &Output) -> Result<Option<i64>, OperatorError> {
        let found = self.input.evaluate(&self.to, record, out)?;
        let Some(timestamp) = millis(&found)? else { return Ok(record.timestamp) };
        if let Some(own) = record.timestamp
            && u128::from(timestamp.abs_diff(own)) > self.within.as_millis()
        {
            let (text, within) = (shown(timestamp), humantime::format_duration(self.within));
            return Err(bad(format!(
                "{text} is more than {within} from the record's own timestamp, {}",
                shown(own)
            )));
        }
        Ok(Some(timestamp))
    }
}

/// Milliseconds since 1970 UTC; `None` for null.
fn millis(found: &Value) -> Result<Option<i64>, OperatorError> {
    let wrong = || {
        let text = fields::plain(found)?.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&text).chars().take(100).collect();
        let cure =
            "is no instant since 1970, no text such as 2026-01-31T12:00:00Z, and no number of milliseconds";
        Err(bad(format!("{text} {cure}")))
    };
    let millis = match found {
        Value::Null => return Ok(None),
        Value::Json(text) => return millis(&fields::read(text)?),
        Value::Timestamp(time) => time.timestamp_millis(),
        Value::Int(millis) => *millis,
        Value::String(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => time.timestamp_millis(),
            Err(_) => return wrong(),
        },
        _ => return wrong(),
    };
    if millis < 0 { wrong() } else { Ok(Some(millis)) }
}

fn bad(message: String) -> OperatorError {
    OperatorError::BadInput { class: classes::BAD_TIMESTAMP, message }
}

fn shown(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).map_or_else(|| millis.to_string(), |time| time.to_rfc3339())
}

impl Operator for SetTimestamp {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let timestamp = self.timestamp(&record, out)?;
        out.push(Record { timestamp, ..record });
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    const OWN: i64 = 1_769_860_800_000; // 2026-01-31T12:00:00Z

    fn set(toml: &str, value: &'static str) -> Result<Option<i64>, String> {
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let operator =
            SetTimestamp::build(toml.parse().unwrap(), formats).map_err(|error| error.to_string())?;
        let mut out = Output::default();
        let record = Record { value: Some(value.into()), timestamp: Some(OWN), ..Record::default() };
        operator.apply(record, &mut out).map_err(|error| error.to_string())?;
        let [made] = &out.drain().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(made.value.as_deref(), Some(value.as_bytes()), "the value stays as it came");
        Ok(made.timestamp)
    }

    #[test]
    fn an_instant_its_text_and_milliseconds_are_timestamps_and_null_is_none() {
        for (to, value, expected) in [
            ("value.at", r#"{"at": 1769860800001}"#, OWN + 1),
            ("value.at", r#"{"at": "2026-01-31T13:00:01.5+01:00"}"#, OWN + 1_500),
            ("timestamp(value.at) + duration('1h')", r#"{"at": "2026-01-31T12:00:00Z"}"#, OWN + 3_600_000),
            ("timestamp - duration('1s')", "{}", OWN - 1_000),
            ("value.seconds * 1000", r#"{"seconds": 1769860805}"#, OWN + 5_000),
            ("value.at", r#"{"at": null}"#, OWN),
        ] {
            assert_eq!(set(&format!("to = {to:?}"), value), Ok(Some(expected)), "{to} {value}");
        }
    }

    #[test]
    fn what_is_no_timestamp_or_too_far_away_is_refused_in_a_sentence() {
        let at = |value| set("to = 'value.at'", value).unwrap_err();
        for value in
            [r#"{"at": "yesterday"}"#, r#"{"at": -1}"#, r#"{"at": 1.5}"#, r#"{"at": [1]}"#, r#"{"at": true}"#]
        {
            assert!(at(value).contains("is no instant since 1970"), "{}", at(value));
        }
        assert_eq!(
            at(r#"{"at": "2026-02-07T12:00:00.001Z"}"#),
            "2026-02-07T12:00:00.001+00:00 is more than 7days from the record's own timestamp, 2026-01-31T12:00:00+00:00"
        );
        let near =
            |within: &str| set(&format!("to = 'value.at'\nwithin = '{within}'"), r#"{"at": 1769860801000}"#);
        assert_eq!(near("1 s"), Ok(Some(OWN + 1_000)));
        assert!(near("999 ms").is_err());
        assert!(at("{}").contains("there is no field `at`"));
        assert_eq!(near("0 s"), Err("0 s is no time above 0; write it as \"10 s\" or \"100 ms\"".to_owned()));
    }
}
