//! Leaves out records whose id has come before.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, RecordId,
    evaluate::cost,
    settings,
    state::State,
    windows::{Windows, check_key, place},
};
use crate::{
    format::Formats,
    record::{Offset, Record, classes},
};

/// How much older than the newest one a record may be for what came before it still to be known, in milliseconds.
const LATE: i64 = 300_000;

/// Hands on the first record with an id, and drops those that come within some time of it.
///
/// Ids are kept in windows as long as that time, so the first one with an id is in the window of a record or in one beside it.
pub struct Deduplicate {
    id: RecordId,
    /// In milliseconds.
    within: i64,
    windows: Windows,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// An expression that gives a record's id.
    by: String,
    /// How far apart two records are at most that are the same.
    #[serde(deserialize_with = "settings::duration")]
    within: Duration,
}

/// The first record with an id: when it was, and where, if that is known.
#[derive(Clone, Copy)]
struct First {
    timestamp: i64,
    offset: Option<Offset>,
}

impl Deduplicate {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        let within = i64::try_from(settings.within.as_millis()).unwrap_or(i64::MAX).max(1);
        let id = RecordId::new(&settings.by, &formats, &[])?;
        let windows = Windows { length: within, grace: within.saturating_add(LATE) };
        Ok(Box::new(Deduplicate { id, within, windows }))
    }

    /// Whether a record with that id has come before this one.
    fn has_come(
        &self,
        id: &[u8],
        this: First,
        scope: u8,
        state: &mut dyn State,
    ) -> Result<bool, OperatorError> {
        let (now, _) = self.windows.move_on(this.timestamp, scope, state)?;
        let end = self.windows.end(this.timestamp);
        for end in [end, end.saturating_sub(self.windows.length), end.saturating_add(self.windows.length)] {
            let Some(first) = state.get(&place(scope, end, id))?.and_then(|kept| First::read(&kept)) else {
                continue;
            };
            // One that is read again, since its results were not committed, is the same record and no second one.
            if first.offset.is_some() && first.offset == this.offset {
                return Ok(false);
            }
            if this.timestamp.abs_diff(first.timestamp) <= self.within.unsigned_abs() {
                return Ok(true);
            }
        }
        // What is older is not waited for, and would never be forgotten.
        if end > self.windows.closed_before(now) {
            state.put(place(scope, end, id).into(), Some(this.written()));
        }
        Ok(false)
    }
}

impl First {
    fn written(self) -> Bytes {
        let offset = self.offset.map(|offset| offset.0.to_be_bytes());
        [&self.timestamp.to_be_bytes()[..], offset.as_ref().map_or(&[], |offset| &offset[..])].concat().into()
    }

    fn read(kept: &[u8]) -> Option<Self> {
        let (timestamp, offset) = kept.split_first_chunk()?;
        let offset = offset.first_chunk().map(|offset| Offset(i64::from_be_bytes(*offset)));
        Some(First { timestamp: i64::from_be_bytes(*timestamp), offset })
    }
}

impl Operator for Deduplicate {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let Some(id) = self.id.of(&record, out) else {
            out.push(record);
            return Ok(());
        };
        let Some(timestamp) = record.timestamp else {
            return Err(OperatorError::BadInput {
                class: classes::BAD_TIMESTAMP,
                message: "the record has no timestamp, which says how long its id is kept".to_owned(),
            });
        };
        let Some(shared) = out.state().cloned() else {
            return Err(OperatorError::Fatal { message: "`deduplicate` has no state here".to_owned() });
        };
        check_key(&id)?;
        let first = First { timestamp, offset: out.place().map(|(_, offset)| offset) };
        if !self.has_come(&id, first, out.scope(), &mut *shared.lock())? {
            out.push(record);
        }
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }

    fn remembers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
