//! What was requested and what came of it: only facts, in milliseconds since 1970 UTC.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::requests::number_of;
use crate::{
    kafka::verify::{Committed, Seen},
    record::{FINISHED, Headers, Record, ResultTopic, error},
};

/// A partition and an offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A request that was produced.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Asked {
    /// When it was handed to the producer.
    pub at: i64,
    /// When the broker acknowledged it.
    pub acknowledged: Option<i64>,
    /// Where it is in the request topic; `None` without an acknowledgement.
    pub place: Option<Place>,
    /// Where a reader of the request topic has seen it: twice where the producer's client has written a batch again.
    pub seen: BTreeSet<Place>,
    /// How often the request topic had been recreated by then.
    pub generation: u32,
    /// When a `read_committed` reader first saw a result or a dead letter of it.
    pub answered: Option<i64>,
    /// Whether the operators drop it, so that no result is expected.
    pub silent: bool,
}

impl Asked {
    /// How many requests it is.
    pub fn times(&self) -> usize {
        self.seen.len().max(1)
    }

    /// Whether it is there in the request topic.
    pub fn is_at(&self, place: Place) -> bool {
        self.place == Some(place) || self.seen.contains(&place)
    }
}

/// A record of a result topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which of the result topics it is in.
    pub topic: ResultTopic,
    /// The request that it belongs to; `None` without the header.
    pub number: Option<u32>,
    /// A hash of its content.
    pub digest: u64,
    /// Where it is.
    pub place: Place,
    /// When it was written.
    pub at: i64,
}

/// A record of the dead-letter topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The request that it belongs to; `None` without the header.
    pub number: Option<u32>,
    /// What is in it, without what makes it a dead letter.
    pub digest: u64,
    /// Its class.
    pub class: String,
    /// Where it says that the request was.
    pub says: Option<Place>,
    /// Where it is.
    pub place: Place,
    /// When it was written.
    pub at: i64,
}

/// A partition whose committed records end before its records do, although nothing is running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTransaction {
    /// The topic.
    pub topic: String,
    /// Where the transaction begins.
    pub place: Place,
    /// The partition's end.
    pub end: i64,
}

/// Records that a fault deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// How often the request topic had been recreated by then.
    pub generation: u32,
    /// The partition.
    pub partition: i32,
    /// Deletion counts from this offset on: older requests had been answered by then and must have their
    /// results.
    pub from: i64,
    /// Deletion counts before this offset; `i64::MAX` if the topic was recreated.
    pub before: i64,
}

impl Deleted {
    /// Whether that request was deleted.
    pub fn has(&self, asked: &Asked) -> bool {
        let is_in = |place: &Place| {
            self.partition == place.partition && (self.from..self.before).contains(&place.offset)
        };
        self.generation == asked.generation && asked.place.iter().chain(&asked.seen).any(is_in)
    }
}

/// Everything known about a run.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// The requests; a request's number is its index.
    pub asked: Vec<Asked>,
    /// The committed records of the result topics, each partition's in order.
    pub results: Vec<Found>,
    /// Those of the dead-letter topic.
    pub letters: Vec<Letter>,
    /// Records that a reader saw during the run and that are gone now, in words.
    pub vanished: Vec<String>,
    /// The group's commits, in order.
    pub commits: Vec<Committed>,
    /// Transactions that stay open.
    pub open: Vec<OpenTransaction>,
    /// Requests that may have been deleted before they were read.
    pub deleted: Vec<Deleted>,
    /// When the request topic was recreated.
    pub made_again: Vec<i64>,
    /// The smallest record size that the result topics ever allowed, in bytes.
    pub smallest_limit: Option<u64>,
    /// Workers that ended by themselves, or did not end on SIGTERM: when, and their last output.
    pub ended: Vec<(i64, String)>,
    /// Requests that were answered only after all workers had been started again.
    pub stalled: Vec<u32>,
}

impl Found {
    /// Converts a record of that result topic.
    pub fn of(seen: &Seen, topic: ResultTopic) -> Found {
        Found {
            topic,
            number: number_of(&seen.record),
            digest: digest(&Record { to: topic, ..seen.record.clone() }),
            place: Place { partition: seen.partition, offset: seen.offset },
            at: seen.record.timestamp.unwrap_or_default(),
        }
    }
}

impl Letter {
    /// Converts a record of the dead-letter topic.
    pub fn of(seen: &Seen) -> Letter {
        let record = &seen.record;
        let (mut headers, mut said) = (Headers::default(), BTreeMap::new());
        for header in record.headers.iter() {
            if header.name.starts_with(error::PREFIX) {
                let value = header.value.as_deref().unwrap_or_default();
                said.insert(header.name.as_str(), String::from_utf8_lossy(value).into_owned());
            } else {
                headers.push(header.name.clone(), header.value.clone());
            }
        }
        let number = |name| said.get(name).and_then(|value| value.parse::<i64>().ok());
        let says = number(error::PARTITION).zip(number(error::OFFSET));
        Letter {
            number: number_of(record),
            digest: digest(&Record { headers, ..record.clone() }),
            says: says.map(|(partition, offset)| Place { partition: partition as i32, offset }),
            class: said.remove(error::CLASS).unwrap_or_default(),
            place: Place { partition: seen.partition, offset: seen.offset },
            at: record.timestamp.unwrap_or_default(),
        }
    }
}

/// A hash of a record's content and topic: key, value and headers, not the timestamp.
pub fn digest(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&record.key, &record.value, record.to).hash(&mut hasher);
    // Who computed a result, or whether it was known, is not its content.
    for header in record.headers.iter().filter(|header| header.name != FINISHED) {
        (&header.name, &header.value).hash(&mut hasher);
    }
    hasher.finish()
}
