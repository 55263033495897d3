//! Counts, sums and so on, of the records of each key.
//!
//! Knows: expression, format, operator, record, value. Must not know: rdkafka, lsm-tree.

mod kept;

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Deserializer, de::Error};
use serde_aux::serde_introspection::serde_introspect;

use self::kept::{Kept, Kind};
use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    error::bad_value,
    evaluate::{Input, cost, failed},
    settings,
    state::State,
    windows::{Windows, check_key, entry_at, place, window_of},
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{Record, classes},
    value::{Fields, Others, Value},
};

/// Computes results of the records of each key, in all or in windows of time.
pub struct Aggregate {
    results: Vec<(String, Kind, Option<Expression>)>,
    input: Input,
    output: Format,
    windows: Option<Windows>,
    emit: Emit,
}

/// When results are handed on.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Emit {
    /// After each record of the group.
    Change,
    /// Once, when the window is closed.
    Close,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What is computed, by the field that it becomes.
    results: toml::Table,
    /// How long a window is.
    #[serde(default, deserialize_with = "span")]
    window: Option<Duration>,
    /// How long records of a window are waited for after its end.
    #[serde(default, deserialize_with = "span")]
    grace: Option<Duration>,
    emit: Option<Emit>,
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|_| D::Error::custom(format!("`{text}` is no time; write it as \"1 h\"")))
}

impl Aggregate {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        if settings.results.is_empty() {
            let reason = "nothing is computed; write `results.number = \"count\"`";
            return Err(SettingError::new(Some("results"), reason));
        }
        if !formats.output.has_fields() {
            let reason = format!(
                "an object cannot be written in the format {}; say `format = \"json\"` in `[sink]`",
                formats.output.name()
            );
            return Err(SettingError::new(None, reason));
        }
        let results = settings.results.into_iter().map(|(name, how)| result(name, how));
        let results = results.collect::<Result<Vec<_>, _>>()?;
        let emit =
            settings.emit.unwrap_or(if settings.window.is_some() { Emit::Close } else { Emit::Change });
        let windows = match (settings.window, settings.grace, emit) {
            (Some(window), _, _) if window.as_millis() == 0 => {
                return Err(SettingError::new(Some("window"), "a window has to last a millisecond at least"));
            }
            (Some(window), grace, _) => {
                Some(Windows { length: millis(window), grace: grace.map_or(0, millis) })
            }
            (None, Some(_), _) => {
                let reason = "there are no windows, so that nothing is ever late; write `window = \"1 h\"`";
                return Err(SettingError::new(Some("grace"), reason));
            }
            (None, None, Emit::Close) => {
                let reason = "there are no windows that could close; write `window = \"1 h\"`";
                return Err(SettingError::new(Some("emit"), reason));
            }
            (None, None, Emit::Change) => None,
        };
        let input =
            Input::new(&formats, Others::Dropped, results.iter().filter_map(|(_, _, by)| by.as_ref()));
        Ok(Box::new(Aggregate { results, input, output: formats.output, windows, emit }))
    }

    fn kinds(&self) -> impl ExactSizeIterator<Item = Kind> {
        self.results.iter().map(|(_, kind, _)| *kind)
    }

    /// What is kept of the group with this record.
    fn with(&self, kept: Option<Bytes>, record: &Record, out: &Output) -> Result<Kept, OperatorError> {
        let mut kept = match kept {
            Some(bytes) => Kept::read(&bytes, self.kinds())?,
            None => Kept(self.kinds().map(Kind::none).collect()),
        };
        let scope = self.input.scope(record, out)?;
        for ((name, kind, by), slot) in self.results.iter().zip(&mut kept.0) {
            let value = match by {
                Some(by) => by.evaluate(&scope).map_err(failed)?,
                None => Value::Bool(true),
            };
            kind.take(slot, name, value)?;
        }
        Ok(kept)
    }

    /// The result of a group. Its window ends there.
    fn result(&self, key: &Bytes, kept: Kept, end: Option<i64>) -> Result<Record, OperatorError> {
        let mut fields = Fields::default();
        if let (Some(windows), Some(end)) = (&self.windows, end) {
            let window = [("start", instant(end - windows.length)?), ("end", instant(end)?)];
            fields.push("window".into(), Value::Map(window.into_iter().collect()));
        }
        kept.results(self.results.iter().map(|(name, ..)| name.as_str()), &mut fields);
        let value = self.output.write(&Value::Map(fields)).map_err(bad_value)?;
        Ok(Record { key: Some(key.clone()), value: Some(value), timestamp: end, ..Record::default() })
    }

    /// Moves the time of the partition on to that of a record. The windows that are closed then are handed on, where that is wanted, and
    /// forgotten.
    fn close(
        &self,
        windows: &Windows,
        record: i64,
        (scope, state): (u8, &mut dyn State),
        out: &mut Vec<Record>,
    ) -> Result<i64, OperatorError> {
        let (now, closed) = windows.move_on(record, scope, state)?;
        for (place, kept) in closed.iter().filter(|_| self.emit == Emit::Close) {
            if let Some((end, key)) = window_of(place) {
                out.push(self.result(&key, Kept::read(kept, self.kinds())?, Some(end))?);
            }
        }
        Ok(now)
    }
}

/// What is computed for one result, as the file says: `"count"`, or `{ sum = "value.amount" }`.
fn result(name: String, how: toml::Value) -> Result<(String, Kind, Option<Expression>), SettingError> {
    let key = format!("results.{name}");
    let unknown = || {
        let reason = "write \"count\", or one of `sum`, `min`, `max`, `average` and `collect` with an expression: `{ sum = \"value.amount\" }`";
        SettingError::new(Some(&key), reason)
    };
    let (kind, source) = match how {
        toml::Value::String(word) if word == "count" => return Ok((name, Kind::Count, None)),
        toml::Value::Table(table) => {
            let mut entries = table.into_iter();
            match (entries.next(), entries.next()) {
                (Some((kind, toml::Value::String(source))), None) => (kind, source),
                _ => return Err(unknown()),
            }
        }
        _ => return Err(unknown()),
    };
    let kind = match kind.as_str() {
        "count" => Kind::Count,
        "sum" => Kind::Sum,
        "min" => Kind::Min,
        "max" => Kind::Max,
        "average" => Kind::Average,
        "collect" => Kind::Collect,
        _ => return Err(unknown()),
    };
    let by = settings::expression(&key, &source, Expression::new)?;
    Ok((name, kind, Some(by)))
}

fn instant(millis: i64) -> Result<Value, OperatorError> {
    let instant: Option<DateTime<Utc>> = Utc.timestamp_millis_opt(millis).single();
    instant.map(Value::Timestamp).ok_or_else(|| OperatorError::BadInput {
        class: classes::BAD_TIMESTAMP,
        message: format!("{millis} ms is no time of this calendar"),
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Operator for Aggregate {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let Some(key) = record.key.clone() else {
            return Err(OperatorError::BadInput {
                class: classes::NO_KEY,
                message: "the record has no key, and what is computed is computed for each key".to_owned(),
            });
        };
        let Some(shared) = out.state().cloned() else {
            return Err(OperatorError::Fatal { message: "`aggregate` has no state here".to_owned() });
        };
        check_key(&key)?;
        let (scope, mut made, mut state) = (out.scope(), Vec::new(), shared.lock());
        let (end, place) = match &self.windows {
            None => (None, entry_at(scope, &key)),
            Some(windows) => {
                let Some(timestamp) = record.timestamp else {
                    return Err(OperatorError::BadInput {
                        class: classes::BAD_TIMESTAMP,
                        message: "the record has no timestamp, which says in which window it is".to_owned(),
                    });
                };
                let end = windows.end(timestamp);
                let now = self.close(windows, timestamp, (scope, &mut *state), &mut made)?;
                if end <= windows.closed_before(now) {
                    let late = Duration::from_millis((now - timestamp).unsigned_abs());
                    return Err(OperatorError::BadInput {
                        class: classes::TOO_LATE,
                        message: format!(
                            "the record's window is closed: it is {} older than the newest one of its partition",
                            humantime::format_duration(late)
                        ),
                    });
                }
                (Some(end), place(scope, end, &key))
            }
        };
        let kept = self.with(state.get(&place)?, &record, out)?;
        state.put(place.into(), Some(kept.write()?));
        if self.emit == Emit::Change {
            let result = self.result(&key, kept, end)?;
            made.push(Record { timestamp: record.timestamp, headers: record.headers, ..result });
        }
        drop(state);
        made.into_iter().for_each(|record| out.push(record));
        Ok(())
    }

    fn remembers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
