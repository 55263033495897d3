//! Compares what came out with what must come out. Pure: facts and a promise in, anomalies out.

mod request;
mod rest;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::history::{Found, History, Letter, Place, digest};
use crate::{
    config::{Guarantee, Order},
    record::{Record, wire_size},
    testing::TestDriver,
};

/// [`Expected::key`] of a request without a key.
pub const NO_KEY: u64 = 0;

/// The pipeline's guarantees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// Whether results may be repeated.
    pub guarantee: Guarantee,
    /// Which results must be in order.
    pub order: Order,
}

/// What must come of a request: the operators' results, computed without Kafka.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Its results: each one's content hash, and its largest possible size on the wire, in bytes.
    pub results: Vec<(u64, u64)>,
    /// The class of its dead letter, if it is bad input.
    pub class: Option<&'static str>,
    /// The hash of the request's content.
    pub request: u64,
    /// The hash of its key.
    pub key: u64,
}

impl Expected {
    /// Runs the operators on a request.
    pub fn of(operators: &mut TestDriver, request: &Record) -> Expected {
        let before = operators.dead_letters().len();
        // A fatal error would stop the pipeline: no result is expected then.
        let results = operators.pipe(request.clone()).unwrap_or_default();
        let key = Record { key: request.key.clone(), ..Record::default() };
        Expected {
            results: results.iter().map(|result| (digest(result), wire_size(result))).collect(),
            class: operators.dead_letters().get(before).map(|letter| letter.class),
            request: digest(request),
            key: if request.key.is_some() { digest(&key) } else { NO_KEY },
        }
    }

    /// Whether neither a result nor a dead letter is expected.
    pub fn is_silent(&self) -> bool {
        self.results.is_empty() && self.class.is_none()
    }
}

/// A kind of anomaly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AnomalyKind {
    /// A request in its topic has neither result nor dead letter.
    Lost,
    /// A request was answered only after all workers had been restarted.
    Stalled,
    /// A result appears more often than it must.
    Duplicate,
    /// A result is not what the operators make of its request, or has no request.
    Wrong,
    /// A result is before one whose request was earlier.
    OutOfOrder,
    /// A dead letter appears more than once.
    LetterDuplicate,
    /// A dead letter is not what it must be, or its request was good.
    LetterWrong,
    /// A group's committed offset is lower than an earlier one.
    OffsetWentBack,
    /// A transaction is still open although no worker is left to end it.
    OpenTransaction,
    /// A record that a `read_committed` reader saw is gone.
    AbortedRead,
    /// A worker ended by itself, or did not stop on SIGTERM.
    WorkerEnded,
}

impl AnomalyKind {
    /// All kinds.
    pub const ALL: [AnomalyKind; 11] = [
        AnomalyKind::Lost,
        AnomalyKind::Stalled,
        AnomalyKind::Duplicate,
        AnomalyKind::Wrong,
        AnomalyKind::OutOfOrder,
        AnomalyKind::LetterDuplicate,
        AnomalyKind::LetterWrong,
        AnomalyKind::OffsetWentBack,
        AnomalyKind::OpenTransaction,
        AnomalyKind::AbortedRead,
        AnomalyKind::WorkerEnded,
    ];

    /// Its name, with Jepsen's term if there is one.
    pub fn name(self) -> &'static str {
        match self {
            AnomalyKind::Lost => "lost (lost write)",
            AnomalyKind::Stalled => "stalled",
            AnomalyKind::Duplicate => "double (duplicate)",
            AnomalyKind::Wrong => "wrong",
            AnomalyKind::OutOfOrder => "out of order (nonmonotonic send)",
            AnomalyKind::LetterDuplicate => "dead letters double",
            AnomalyKind::LetterWrong => "dead letters wrong",
            AnomalyKind::OffsetWentBack => "offsets gone back",
            AnomalyKind::OpenTransaction => "transactions left open",
            AnomalyKind::AbortedRead => "vanished (aborted read, G1a)",
            AnomalyKind::WorkerEnded => "workers that ended or hung",
        }
    }
}

/// One violation of what must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anomaly {
    /// Its kind.
    pub kind: AnomalyKind,
    /// The request, if it is about one.
    pub number: Option<u32>,
    /// When it happened, as far as known, in milliseconds since 1970 UTC.
    pub at: i64,
    /// What is wrong, in words.
    pub text: String,
}

/// The judgement of a run.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Anomalies that break the promise.
    pub broken: Vec<Anomaly>,
    /// Anomalies that the promise allows: repeats under at-least-once.
    pub allowed: Vec<Anomaly>,
    /// Requests that are or were in their topic.
    pub requests: u64,
    /// Requests with everything that must come of them.
    pub answered: u64,
    /// Requests that a fault deleted before they were read: no result is expected.
    pub excused: u64,
    /// Requests that no broker accepted: no result is expected either.
    pub refused: u64,
}

impl Verdict {
    /// How many anomalies of that kind break the promise.
    pub fn broken(&self, kind: AnomalyKind) -> usize {
        self.broken.iter().filter(|anomaly| anomaly.kind == kind).count()
    }
}

/// Judges a run. `expected` returns what must come of the request with that number.
pub fn judge(promise: Promise, history: &History, mut expected: impl FnMut(u32) -> Expected) -> Verdict {
    let mut judging = Judging { promise, history, verdict: Verdict::default() };
    let mut results: HashMap<u32, Vec<&Found>> = HashMap::new();
    for found in &history.results {
        match found.number.filter(|number| (*number as usize) < history.asked.len()) {
            Some(number) => results.entry(number).or_default().push(found),
            None => judging.broken(
                AnomalyKind::Wrong,
                None,
                found.at,
                format!("the result at {} belongs to no request", at(found.place)),
            ),
        }
    }
    let mut letters: HashMap<u32, Vec<&Letter>> = HashMap::new();
    for letter in &history.letters {
        match letter.number.filter(|number| (*number as usize) < history.asked.len()) {
            Some(number) => letters.entry(number).or_default().push(letter),
            None => judging.broken(
                AnomalyKind::LetterWrong,
                None,
                letter.at,
                format!("the dead letter at {} belongs to no request", at(letter.place)),
            ),
        }
    }
    let mut keys = Vec::with_capacity(history.asked.len());
    for (number, asked) in history.asked.iter().enumerate() {
        let number = number as u32;
        let expected = expected(number);
        keys.push(expected.key);
        let found = results.get(&number).map(Vec::as_slice).unwrap_or_default();
        let dead = letters.get(&number).map(Vec::as_slice).unwrap_or_default();
        judging.request(number, asked, &expected, found, dead);
    }
    judging.order(&keys);
    judging.offsets();
    judging.rest();
    judging.verdict
}

struct Judging<'a> {
    promise: Promise,
    history: &'a History,
    verdict: Verdict,
}

impl Judging<'_> {
    fn broken(&mut self, kind: AnomalyKind, number: Option<u32>, at: i64, text: String) {
        self.verdict.broken.push(Anomaly { kind, number, at, text });
    }

    /// Whether at-least-once allows it; exactly-once does not.
    fn repeated(&mut self, kind: AnomalyKind, number: u32, at: i64, text: String) {
        let anomaly = Anomaly { kind, number: Some(number), at, text };
        match self.promise.guarantee {
            Guarantee::ExactlyOnce => self.verdict.broken.push(anomaly),
            Guarantee::AtLeastOnce => self.verdict.allowed.push(anomaly),
        }
    }
}

fn at(place: Place) -> String {
    format!("[{}] {}", place.partition, place.offset)
}
