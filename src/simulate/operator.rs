//! The operator of a history: what it makes of a record is the first word of its value.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::script::Kind;
use crate::{
    operator::{Cost, Operator, OperatorError, Output},
    record::Record,
};

/// The class of the dead letters that bad input makes.
pub const BAD: &str = "bad";

#[derive(Default)]
pub struct Scripted {
    /// What has failed in passing once.
    failed: Mutex<HashSet<Bytes>>,
}

impl Operator for Scripted {
    fn cost(&self, record: &Record) -> Cost {
        Cost { nanos: if is(record, Kind::Costly) { 1_000_000_000 } else { 100_000 }, bytes: 10 }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let value = record.value.clone().unwrap_or_default();
        if is(&record, Kind::Bad) {
            return Err(OperatorError::BadInput { class: BAD, message: "as the script wants it".to_owned() });
        }
        if is(&record, Kind::Flaky) {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.insert(value.clone()) {
                return Err(OperatorError::Passing { message: "not yet".to_owned() });
            }
        }
        let results = match () {
            () if is(&record, Kind::Drop) => 0,
            () if is(&record, Kind::Twice) => 2,
            () => 1,
        };
        for number in 1..=results {
            let value = result_of(&value, number);
            out.push(Record { value: Some(value), ..record.clone() });
        }
        Ok(())
    }
}

/// The value of a record's result of that number, from 1.
pub fn result_of(value: &[u8], number: u8) -> Bytes {
    [value, b" -> ", &[b'0' + number]].concat().into()
}

fn is(record: &Record, kind: Kind) -> bool {
    record.value.as_ref().is_some_and(|value| value.starts_with(kind.name().as_bytes()))
}
