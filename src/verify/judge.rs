//! Holds what came out against what must come out. Pure: facts and a promise in, anomalies out.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use super::history::{Asked, Found, History, Letter, Place};
use crate::config::{Guarantee, Order};

/// The class of a dead letter whose result does not fit its topic.
const TOO_LARGE: &str = "result-too-large";

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
    /// A worker ended by itself.
    WorkerEnded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 10] = [
        Kind::Lost,
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
            Kind::Duplicate => "double (duplicate)",
            Kind::Wrong => "wrong",
            Kind::OutOfOrder => "out of order (nonmonotonic send)",
            Kind::LetterDuplicate => "dead letters double",
            Kind::LetterWrong => "dead letters wrong",
            Kind::OffsetWentBack => "offsets gone back",
            Kind::OpenTransaction => "transactions left open",
            Kind::AbortedRead => "vanished (aborted read, G1a)",
            Kind::WorkerEnded => "workers that ended",
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

    fn request(
        &mut self,
        number: u32,
        asked: &Asked,
        expected: &Expected,
        found: &[&Found],
        dead: &[&Letter],
    ) {
        let (before, known) = (self.verdict.broken.len(), asked.place.is_some());
        let deleted = self.deleted(asked);
        // A result that did not fit while the limit was low is a dead letter; all of a request's results or none.
        let fits = |size: u64| self.history.smallest_limit.is_none_or(|limit| size <= limit);
        let too_large = !expected.results.iter().all(|(_, size)| fits(*size))
            && found.is_empty()
            && dead.first().is_some_and(|letter| letter.class == TOO_LARGE);
        let (results, class) = match too_large {
            true => (&[][..], Some(TOO_LARGE)),
            false => (expected.results.as_slice(), expected.class),
        };
        for result in
            found.iter().filter(|result| !results.iter().any(|(digest, _)| *digest == result.digest))
        {
            let what = if results.is_empty() {
                "a result, and there must be none,"
            } else {
                "a result that is not right"
            };
            self.broken(Kind::Wrong, Some(number), result.at, format!("{what} at {}", at(result.place)));
        }
        let mut missing = 0;
        for (index, (digest, _)) in results.iter().enumerate() {
            // The same result may be wanted twice.
            if results[..index].iter().any(|(earlier, _)| earlier == digest) {
                continue;
            }
            let wanted = results.iter().filter(|(other, _)| other == digest).count();
            let there: Vec<&&Found> = found.iter().filter(|result| result.digest == *digest).collect();
            missing += wanted.saturating_sub(there.len());
            for again in there.iter().skip(wanted) {
                let places: Vec<String> = there.iter().map(|result| at(result.place)).collect();
                self.repeated(
                    Kind::Duplicate,
                    number,
                    again.at,
                    format!("results at {}", places.join(" and ")),
                );
            }
        }
        missing += self.letters(number, asked, expected.request, class, dead);
        if missing > 0 && known && !deleted {
            let what = if class.is_some() { "no dead letter" } else { "no result" };
            let when = asked.acknowledged.unwrap_or(asked.at);
            let place = asked.place.map(at).unwrap_or_default();
            self.broken(Kind::Lost, Some(number), when, format!("asked at {place}: {what}"));
        }
        self.verdict.requests += u64::from(known);
        self.verdict.refused += u64::from(!known);
        self.verdict.excused += u64::from(known && missing > 0 && deleted);
        self.verdict.answered += u64::from(known && missing == 0 && self.verdict.broken.len() == before);
    }

    /// Judges a request's dead letters. Returns how many are missing.
    fn letters(
        &mut self,
        number: u32,
        asked: &Asked,
        request: u64,
        class: Option<&'static str>,
        dead: &[&Letter],
    ) -> usize {
        let Some(class) = class else {
            for letter in dead {
                let text = format!(
                    "a dead letter ({}) at {} of a request that is good",
                    letter.class,
                    at(letter.place)
                );
                self.broken(Kind::LetterWrong, Some(number), letter.at, text);
            }
            return 0;
        };
        for letter in dead {
            let what = if letter.class != class {
                format!("has class {} and not {class}", letter.class)
            } else if letter.digest != request {
                "is not the request as it came".to_owned()
            } else if asked.place.is_some() && letter.says != asked.place {
                let says = letter.says.map_or_else(|| "nowhere".to_owned(), at);
                format!("says that the request was at {says}")
            } else {
                continue;
            };
            let text = format!("the dead letter at {} {what}", at(letter.place));
            self.broken(Kind::LetterWrong, Some(number), letter.at, text);
        }
        for again in dead.iter().skip(1) {
            let places: Vec<String> = dead.iter().map(|letter| at(letter.place)).collect();
            self.repeated(
                Kind::LetterDuplicate,
                number,
                again.at,
                format!("dead letters at {}", places.join(" and ")),
            );
        }
        usize::from(dead.is_empty())
    }

    fn deleted(&self, asked: &Asked) -> bool {
        let Some(place) = asked.place else { return false };
        self.history.deleted.iter().any(|deleted| {
            deleted.generation == asked.generation
                && deleted.partition.is_none_or(|partition| partition == place.partition)
                && place.offset < deleted.before
        })
    }

    /// Where results are in order, a result is never before one whose request was earlier in the same partition (and has the
    /// same key). Of repeats the first counts: what at-least-once does again, it does again in order, from behind.
    fn order(&mut self, keys: &[u64]) {
        if self.promise.order == Order::None {
            return;
        }
        let mut results: Vec<&Found> = self.history.results.iter().collect();
        results.sort_unstable_by_key(|found| found.place);
        let mut latest: HashMap<_, (i64, Place)> = HashMap::new();
        let mut seen = HashSet::new();
        for found in results {
            let Some(number) = found.number else { continue };
            let Some((asked, key)) = self.history.asked.get(number as usize).zip(keys.get(number as usize))
            else {
                continue;
            };
            let Some(place) = asked.place else { continue };
            if !seen.insert((number, found.digest)) {
                continue;
            }
            let key = match self.promise.order {
                // A record without a key is free.
                Order::Key if *key == NO_KEY => continue,
                Order::Key => *key,
                Order::Partition | Order::None => 0,
            };
            let group = (asked.generation, place.partition, found.place.partition, key);
            let last = latest.entry(group).or_insert((place.offset, found.place));
            if place.offset < last.0 {
                let text = format!(
                    "the result at {} is of the request at {}, and the one at {} before it is of a later one, at offset {}",
                    at(found.place),
                    at(place),
                    at(last.1),
                    last.0
                );
                self.verdict.broken.push(Anomaly {
                    kind: Kind::OutOfOrder,
                    number: Some(number),
                    at: found.at,
                    text,
                });
            } else {
                *last = (place.offset, found.place);
            }
        }
    }

    /// A committed offset never goes back, until the broker forgets it.
    fn offsets(&mut self) {
        let mut latest: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
        for commit in &self.history.commits {
            let entry = latest.entry((&commit.topic, commit.partition));
            match (commit.offset, entry) {
                (Some(offset), Entry::Vacant(entry)) => {
                    entry.insert((offset, commit.at));
                }
                (Some(offset), Entry::Occupied(mut entry)) => {
                    let (before, when) = *entry.get();
                    if offset < before {
                        let text = format!(
                            "{}[{}]: {offset} was committed {} ms after {before}",
                            commit.topic,
                            commit.partition,
                            commit.at - when
                        );
                        self.verdict.broken.push(Anomaly {
                            kind: Kind::OffsetWentBack,
                            number: None,
                            at: commit.at,
                            text,
                        });
                    }
                    entry.insert((offset, commit.at));
                }
                (None, Entry::Occupied(entry)) => {
                    entry.remove();
                }
                (None, Entry::Vacant(_)) => {}
            }
        }
    }

    fn rest(&mut self) {
        for open in &self.history.open {
            let text = format!(
                "{}[{}]: a transaction is open at offset {}, and the partition ends at {}",
                open.topic, open.place.partition, open.place.offset, open.end
            );
            self.verdict.broken.push(Anomaly { kind: Kind::OpenTransaction, number: None, at: 0, text });
        }
        for text in &self.history.vanished {
            self.verdict.broken.push(Anomaly {
                kind: Kind::AbortedRead,
                number: None,
                at: 0,
                text: text.clone(),
            });
        }
        for (at, text) in &self.history.ended {
            self.verdict.broken.push(Anomaly {
                kind: Kind::WorkerEnded,
                number: None,
                at: *at,
                text: text.clone(),
            });
        }
    }
}

/// What [`Expected::key`] is where there is none.
pub const NO_KEY: u64 = 0;

fn at(place: Place) -> String {
    format!("[{}] {}", place.partition, place.offset)
}
