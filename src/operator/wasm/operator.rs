//! Records on their way through a component.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use super::{
    super::{
        BatchOperator, Built, Call, Cancel, Cost, Operator, OperatorError, Output, SettingError,
        error::quoted,
        outside::{self, bad_answer},
    },
    Settings,
    guest::{self, Answer, Failure, Guest, Guests, Header, Input, Place},
};
use crate::{
    format::Formats,
    record::{Headers, Record, classes},
};

/// What a record costs before any was computed, in nanoseconds.
const UNKNOWN: u64 = 2_000;

/// Gives records to a component, and hands on what it answers. A tombstone goes on as it came.
pub struct Wasm {
    guests: Guests,
    /// What a record has cost lately, in nanoseconds, so that a call takes about as long as a chunk should.
    nanos: AtomicU64,
    formats: Formats,
}

/// What became of one record.
type Made = Result<Vec<Record>, OperatorError>;

/// The values that a component is asked about, each with its place among the calls.
type Asked = [(usize, Bytes)];

impl Wasm {
    pub fn build(settings: Settings, formats: Formats) -> Built {
        let guests = Guests::load(settings)?;
        Ok(Box::new(Wasm { guests, nanos: UNKNOWN.into(), formats }))
    }

    fn compute(&self, calls: Vec<Call>, cancel: &Cancel) -> Vec<Made> {
        let mut asked = Vec::with_capacity(calls.len());
        let mut bad = Vec::new();
        for (index, Call { record, .. }) in calls.iter().enumerate() {
            match record.value.as_ref().map(|value| outside::given(&self.formats, value)) {
                None => {}
                Some(Ok(value)) => asked.push((index, value)),
                Some(Err(error)) => bad.push((index, error)),
            }
        }
        let began = Instant::now();
        let answers = match asked.is_empty() {
            true => Vec::new(),
            false => match self.answers(&calls, &asked, cancel) {
                Ok(answers) => answers,
                Err(error) => {
                    let away = || Err(OperatorError::Away { message: error.reason.clone() });
                    return calls.iter().map(|_| away()).collect();
                }
            },
        };
        self.learn(began.elapsed(), asked.len());
        let mut values = Values::of(&answers);
        let (mut answers, mut bad) = (answers.into_iter(), bad.into_iter().peekable());
        let made = |(index, Call { record, .. }): (usize, Call)| match bad.next_if(|(at, _)| *at == index) {
            Some((_, error)) => Err(error),
            // A tombstone.
            None if record.value.is_none() => Ok(vec![record]),
            None => {
                let none = || Err(self.error(Failure::Garbage("gave no answer".to_owned())));
                self.made(answers.next().unwrap_or_else(none)?, record, &mut values)
            }
        };
        calls.into_iter().enumerate().map(made).collect()
    }

    /// Asks about all values at once. Where that fails, one of them is to blame, and each is asked about alone.
    ///
    /// # Errors
    /// Why no instance can be made.
    fn answers(
        &self,
        calls: &[Call],
        asked: &Asked,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Answer, OperatorError>>, SettingError> {
        let mut guest = self.guests.take()?;
        if let Ok(answers) = self.ask(&mut guest, calls, asked) {
            self.guests.give_back(guest);
            return Ok(answers.into_iter().map(Ok).collect());
        }
        // Nothing is known of its memory.
        drop(guest);
        let mut idle = None;
        let mut answers = Vec::with_capacity(asked.len());
        for one in asked.chunks(1) {
            answers.push(self.alone(&mut idle, calls, one)?);
            if cancel.is_cancelled() {
                // Nobody wants them.
                answers.resize_with(asked.len(), || Ok(Answer::Records(Vec::new())));
                break;
            }
        }
        idle.into_iter().for_each(|guest| self.guests.give_back(guest));
        Ok(answers)
    }

    /// Asks about one value. An instance that has computed others may fail for what those have left behind, so the last word has a
    /// new one.
    fn alone(
        &self,
        idle: &mut Option<Guest>,
        calls: &[Call],
        one: &Asked,
    ) -> Result<Result<Answer, OperatorError>, SettingError> {
        loop {
            let mut guest = idle.take().map_or_else(|| self.guests.start(), Ok)?;
            let used = guest.is_used();
            match self.ask(&mut guest, calls, one) {
                Ok(answers) => {
                    *idle = Some(guest);
                    let none = || self.error(Failure::Garbage("gave no answer".to_owned()));
                    return Ok(answers.into_iter().next().ok_or_else(none));
                }
                // It has all of its fuel for each call.
                Err(Failure::OutOfFuel) => return Ok(Err(self.error(Failure::OutOfFuel))),
                Err(failure) if !used => return Ok(Err(self.error(failure))),
                Err(_) => {}
            }
        }
    }

    fn ask(&self, guest: &mut Guest, calls: &[Call], asked: &Asked) -> Result<Vec<Answer>, Failure> {
        let origin = calls[asked[0].0]
            .place
            .as_ref()
            .map(|(partition, _)| Place { topic: &partition.topic, partition: partition.partition });
        let headers: Vec<Vec<Header<'_>>> =
            asked.iter().map(|(index, _)| headers(&calls[*index].record)).collect();
        let inputs = asked.iter().zip(&headers).map(|((index, value), headers)| {
            let Call { record, place, .. } = &calls[*index];
            Input {
                offset: place.as_ref().map_or(0, |(_, offset)| offset.0),
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value,
                headers: (!headers.is_empty()).then_some(headers.as_slice()),
            }
        });
        let answers = self.guests.apply(guest, origin, &inputs.collect::<Vec<_>>())?;
        if answers.len() != asked.len() {
            return Err(Failure::Garbage(format!(
                "gave {} answers to {} records",
                answers.len(),
                asked.len()
            )));
        }
        Ok(answers)
    }

    /// The records that an answer stands for.
    fn made(&self, answer: Answer, record: Record, values: &mut Values) -> Made {
        let taken = |value: Bytes| outside::taken(&self.formats, value, || self.guests.name().to_owned());
        match answer {
            Answer::Value(value) => {
                let value = taken(values.next(value.len()))?;
                Ok(vec![Record { value: Some(value), ..record }])
            }
            Answer::Records(records) => records
                .into_iter()
                .map(|guest::Output { key, value, headers }| {
                    let mut all = Headers::default();
                    headers
                        .into_iter()
                        .flatten()
                        .for_each(|header| all.push(header.name, header.value.map(Bytes::from)));
                    let (key, value) =
                        (key.map(Bytes::from), value.map(|value| taken(value.into())).transpose()?);
                    Ok(Record { key, value, headers: all, ..record.clone() })
                })
                .collect(),
            Answer::Refused(reason) => Err(OperatorError::BadInput {
                class: classes::REFUSED_BY_COMPONENT,
                message: format!("{} refuses it{}", self.guests.name(), quoted(reason.as_bytes())),
            }),
        }
    }

    /// What becomes of a record at which the component fails.
    fn error(&self, failure: Failure) -> OperatorError {
        let name = self.guests.name();
        let bad = |class, message| OperatorError::BadInput { class, message };
        match failure {
            Failure::OutOfFuel => {
                let fuel = self.guests.fuel();
                bad(
                    classes::OUT_OF_FUEL,
                    format!("{name} needs more than its `fuel` ({fuel}) for this record"),
                )
            }
            Failure::OutOfMemory { wanted } => {
                let wanted = guest::size(wanted);
                let message =
                    format!("{name} needs {wanted} or more for this record, more than its `memory`");
                bad(classes::OUT_OF_MEMORY, message)
            }
            Failure::Trapped(reason) => {
                bad(classes::COMPONENT_TRAPPED, format!("{name} broke off: {reason}"))
            }
            Failure::Garbage(reason) => bad_answer(format!("{name} {reason}")),
        }
    }

    /// Remembers what records cost: an eighth of it is the newest.
    fn learn(&self, took: Duration, records: usize) {
        let Some(each) = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).checked_div(records as u64)
        else {
            return;
        };
        self.nanos.store(self.nanos.load(Relaxed) / 8 * 7 + each / 8, Relaxed);
    }
}

/// The values that were answered, one behind the other: they cost one allocation, which other threads free.
struct Values(Bytes);

impl Values {
    fn of(answers: &[Result<Answer, OperatorError>]) -> Values {
        let values = || {
            answers.iter().filter_map(|answer| match answer {
                Ok(Answer::Value(value)) => Some(value),
                _ => None,
            })
        };
        let mut all = BytesMut::with_capacity(values().map(Vec::len).sum());
        values().for_each(|value| all.extend_from_slice(value));
        Values(all.freeze())
    }

    /// The next one, which has so many bytes.
    fn next(&mut self, bytes: usize) -> Bytes {
        self.0.split_to(bytes)
    }
}

/// A record's headers as they are given.
fn headers(record: &Record) -> Vec<Header<'_>> {
    record
        .headers
        .iter()
        .map(|header| Header { name: &header.name, value: header.value.as_deref() })
        .collect()
}

impl BatchOperator for Wasm {
    fn apply_batch(&self, calls: Vec<Call>, cancel: &Cancel) -> Vec<Made> {
        self.compute(calls, cancel)
    }
}

impl Operator for Wasm {
    fn cost(&self, record: &Record) -> Cost {
        Cost { nanos: self.nanos.load(Relaxed), bytes: record.size() as u64 }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        self.apply_one(record, out)
    }

    fn batched(&self) -> Option<&dyn BatchOperator> {
        Some(self)
    }

    fn about(&self) -> Option<String> {
        Some(self.guests.about())
    }

    fn holds(&self) -> u64 {
        self.guests.held()
    }
}
