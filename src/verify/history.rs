//! What was asked and what came of it: facts alone, in milliseconds since 1970 UTC.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::requests::number_of;
use crate::{
    kafka::verify::{Committed, Seen},
    record::{Headers, Record, error},
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
    /// When the broker said that it has it.
    pub acknowledged: Option<i64>,
    /// Where it is in the request topic; `None` where nobody knows of it.
    pub place: Option<Place>,
    /// How often the request topic had been made again by then.
    pub generation: u32,
    /// When a reader of committed records first had a result or a dead letter of it.
    pub answered: Option<i64>,
    /// Nothing comes of it: the operators drop it.
    pub silent: bool,
}

/// A record of the result topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The request that it belongs to; `None` where it does not say.
    pub number: Option<u32>,
    /// What is in it.
    pub digest: u64,
    /// Where it is.
    pub place: Place,
    /// When it was written.
    pub at: i64,
}

/// A record of the dead-letter topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The request that it belongs to; `None` where it does not say.
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

/// A partition whose committed records end before its records do, although nothing runs any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTransaction {
    /// The topic.
    pub topic: String,
    /// The partition, and where the transaction begins.
    pub place: Place,
    /// The partition's end.
    pub end: i64,
}

/// Records that a fault deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// How often the request topic had been made again by then.
    pub generation: u32,
    /// The partition.
    pub partition: i32,
    /// Those from this offset on: what was long behind those that were answered by then must have its results.
    pub from: i64,
    /// Those before this offset; all where the topic was made again.
    pub before: i64,
}

impl Deleted {
    /// Whether that request is among them.
    pub fn has(&self, asked: &Asked) -> bool {
        asked.place.is_some_and(|place| {
            self.generation == asked.generation
                && self.partition == place.partition
                && (self.from..self.before).contains(&place.offset)
        })
    }
}

/// All that is known of a run.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// What was asked; a request's number is its index.
    pub asked: Vec<Asked>,
    /// The committed records of the result topic, each partition's in order.
    pub results: Vec<Found>,
    /// Those of the dead-letter topic.
    pub letters: Vec<Letter>,
    /// What readers had been given while it ran and is not there any more, in words.
    pub vanished: Vec<String>,
    /// The group's commits, in order.
    pub commits: Vec<Committed>,
    /// What is open for ever.
    pub open: Vec<OpenTransaction>,
    /// What was deleted before it may have been read.
    pub deleted: Vec<Deleted>,
    /// When the topic of requests was made again.
    pub made_again: Vec<i64>,
    /// The smallest size, in bytes, that a result topic's record was ever allowed to have.
    pub smallest_limit: Option<u64>,
    /// Workers that ended by themselves, or did not end when they were told to: when, and what they said.
    pub ended: Vec<(i64, String)>,
    /// Requests that were answered only after all workers had been started again.
    pub stalled: Vec<u32>,
}

impl Found {
    /// A record of the result topic, as it is.
    pub fn of(seen: &Seen) -> Found {
        Found {
            number: number_of(&seen.record),
            digest: digest(&seen.record),
            place: Place { partition: seen.partition, offset: seen.offset },
            at: seen.record.timestamp.unwrap_or_default(),
        }
    }
}

impl Letter {
    /// A record of the dead-letter topic, as it is.
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

/// What tells one record's content from another's: key, value and headers, not the timestamp.
pub fn digest(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&record.key, &record.value).hash(&mut hasher);
    for header in record.headers.iter() {
        (&header.name, &header.value).hash(&mut hasher);
    }
    hasher.finish()
}
