//! Holds what came out against what must come out. Pure: facts and a promise in, anomalies out.

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

/// What [`Expected::key`] is where there is none.
pub const NO_KEY: u64 = 0;

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// Whether results may be repeated.
    pub guarantee: Guarantee,
    /// Which results are in order.
    pub order: Order,
}

/// What the operators make of a request, run without Kafka.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Its results: what is in each, and how large it is on the wire at most, in bytes.
    pub results: Vec<(u64, u64)>,
    /// The class of its dead letter, where it is one.
    pub class: Option<&'static str>,
    /// What is in the request itself.
    pub request: u64,
    /// What is in its key.
    pub key: u64,
}

impl Expected {
    /// What must come of a request, by the operators themselves.
    pub fn of(operators: &mut TestDriver, request: &Record) -> Expected {
        let before = operators.dead_letters().len();
        // An operator's fatal error would stop the pipeline, whatever it is asked: nothing must come of it then.
        let results = operators.pipe(request.clone()).unwrap_or_default();
        let key = Record { key: request.key.clone(), ..Record::default() };
        Expected {
            results: results.iter().map(|result| (digest(result), wire_size(result))).collect(),
            class: operators.dead_letters().get(before).map(|letter| letter.class),
            request: digest(request),
            key: if request.key.is_some() { digest(&key) } else { NO_KEY },
        }
    }

    /// Whether nothing comes of the request.
    pub fn is_silent(&self) -> bool {
        self.results.is_empty() && self.class.is_none()
    }
}

/// A kind of wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A request in its topic has neither result nor dead letter.
    Lost,
    /// A request was answered only after all workers had been started again.
    Stalled,
    /// A result is there more often than it must be.
    Duplicate,
    /// A result is not what the operators make of its request, or has no request.
    Wrong,
    /// A result is before one whose request was earlier.
    OutOfOrder,
    /// A dead letter is there more often than once.
    LetterDuplicate,
    /// A dead letter is not what it must be, or nothing dead was asked.
    LetterWrong,
    /// A group's committed offset is lower than an earlier one.
    OffsetWentBack,
    /// A transaction is neither committed nor aborted although nobody is there to do it.
    OpenTransaction,
    /// A record that a reader of committed records was given is not there any more.
    AbortedRead,
    /// A worker ended by itself, or did not when it was told to.
    WorkerEnded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 11] = [
        Kind::Lost,
        Kind::Stalled,
        Kind::Duplicate,
        Kind::Wrong,
        Kind::OutOfOrder,
        Kind::LetterDuplicate,
        Kind::LetterWrong,
        Kind::OffsetWentBack,
        Kind::OpenTransaction,
        Kind::AbortedRead,
        Kind::WorkerEnded,
    ];

    /// Its name, with Jepsen's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lost => "lost (lost write)",
            Kind::Stalled => "stalled",
            Kind::Duplicate => "double (duplicate)",
            Kind::Wrong => "wrong",
            Kind::OutOfOrder => "out of order (nonmonotonic send)",
            Kind::LetterDuplicate => "dead letters double",
            Kind::LetterWrong => "dead letters wrong",
            Kind::OffsetWentBack => "offsets gone back",
            Kind::OpenTransaction => "transactions left open",
            Kind::AbortedRead => "vanished (aborted read, G1a)",
            Kind::WorkerEnded => "workers that ended or hung",
        }
    }
}

/// One thing that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anomaly {
    /// What kind.
    pub kind: Kind,
    /// The request, where it is about one.
    pub number: Option<u32>,
    /// When it came about, as far as that can be known, in milliseconds since 1970 UTC.
    pub at: i64,
    /// What is wrong, in words.
    pub text: String,
}

/// What a run amounts to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What breaks the promise.
    pub broken: Vec<Anomaly>,
    /// What the promise allows: repeats, where it is at-least-once.
    pub allowed: Vec<Anomaly>,
    /// Requests that are in their topic, or were.
    pub requests: u64,
    /// Requests with all that must come of them.
    pub answered: u64,
    /// Requests that a fault deleted before they were read: nothing is expected of them.
    pub excused: u64,
    /// Requests that no broker has taken: nothing is expected of them either.
    pub refused: u64,
}

impl Verdict {
    /// How many anomalies of that kind break the promise.
    pub fn broken(&self, kind: Kind) -> usize {
        self.broken.iter().filter(|anomaly| anomaly.kind == kind).count()
    }
}

/// Judges a run. `expected` says what must come of the request of that number.
pub fn judge(promise: Promise, history: &History, mut expected: impl FnMut(u32) -> Expected) -> Verdict {
    let mut judging = Judging { promise, history, verdict: Verdict::default() };
    let mut results: HashMap<u32, Vec<&Found>> = HashMap::new();
    for found in &history.results {
        match found.number.filter(|number| (*number as usize) < history.asked.len()) {
            Some(number) => results.entry(number).or_default().push(found),
            None => judging.broken(
                Kind::Wrong,
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
                Kind::LetterWrong,
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
    fn broken(&mut self, kind: Kind, number: Option<u32>, at: i64, text: String) {
        self.verdict.broken.push(Anomaly { kind, number, at, text });
    }

    /// What at-least-once allows and exactly-once does not.
    fn repeated(&mut self, kind: Kind, number: u32, at: i64, text: String) {
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
