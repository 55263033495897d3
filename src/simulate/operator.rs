//! The operator of a history: the first word of a record's value decides what it makes of it.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::script::RecordKind;
use crate::{
    operator::{Cost, Operator, OperatorError, Output},
    record::Record,
};

/// The class of dead letters.
pub const BAD: &str = "bad";

#[derive(Default)]
pub struct Scripted {
    /// Records that have failed in passing once.
    failed: Mutex<HashSet<Bytes>>,
}

impl Operator for Scripted {
    fn cost(&self, record: &Record) -> Cost {
        Cost { nanos: if is(record, RecordKind::Costly) { 1_000_000_000 } else { 100_000 }, bytes: 10 }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let value = record.value.clone().unwrap_or_default();
        if is(&record, RecordKind::Bad) {
            return Err(OperatorError::BadInput { class: BAD, message: "as the script wants it".to_owned() });
        }
        if is(&record, RecordKind::Flaky) {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.insert(value.clone()) {
                return Err(OperatorError::Passing { failure: "not-yet", message: "not yet".to_owned() });
            }
        }
        let results = match () {
            () if is(&record, RecordKind::Drop) => 0,
            () if is(&record, RecordKind::Twice) => 2,
            () => 1,
        };
        for number in 1..=results {
            let value = result_of(&value, number);
            out.push(Record { value: Some(value), ..record.clone() });
        }
        Ok(())
    }
}

/// The value of a record's result with that number, from 1.
pub fn result_of(value: &[u8], number: u8) -> Bytes {
    [value, b" -> ", &[b'0' + number]].concat().into()
}

fn is(record: &Record, kind: RecordKind) -> bool {
    record.value.as_ref().is_some_and(|value| value.starts_with(kind.name().as_bytes()))
}
