//! Order by key with retry topics: which records wait there.
//!
//! A record that comes behind one of its key that waits goes where that one is, and so on until it is the oldest: it never overtakes. All
//! of this is of one partition: the retry topics' partitions of the same number have the same owner.
//!
//! Several lanes send to a retry topic, and take turns. So it may have a record before the older one that it waits behind, and what lies
//! there in which order is known only once it was sent.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{chunk::Chunk, later};
use crate::record::{Batch, Offset, Record, retry};

/// About what a record takes, in bytes.
const RECORD: u64 = 128;

/// The records that wait in the retry topics of one partition.
#[derive(Debug)]
pub struct Parked {
    state: Mutex<State>,
    hasher: RandomState,
    /// How many there are, so that a pipeline in which nothing fails locks nothing.
    count: AtomicUsize,
}

#[derive(Default, Debug)]
struct State {
    /// By the hash of the key, and by the offset where each was read first. Two keys with one hash hold each other back.
    keys: HashMap<u64, BTreeMap<Offset, Copy>>,
    /// How many were ever sent or found.
    sent: u64,
}

/// Where a record waits now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waits {
    /// The place of the retry topic.
    pub topic: usize,
    /// When it is tried again, in milliseconds since 1970 UTC.
    pub at: u64,
}

/// A record in a retry topic.
#[derive(Clone, Copy, Debug)]
struct Copy {
    waits: Waits,
    /// Higher than that of any other that was sent before it; `None` where it is still to be sent.
    number: Option<u64>,
}

impl Copy {
    /// Whether it was sent, and before that one was.
    fn is_before(&self, other: &Copy) -> bool {
        self.number.zip(other.number).is_some_and(|(own, other)| own < other)
    }
}

impl Parked {
    /// None waits yet.
    pub fn new() -> Self {
        Parked { state: Mutex::default(), hasher: RandomState::new(), count: AtomicUsize::new(0) }
    }

    /// Where the record waits that is before this one: the next older one of its key. `None` where this one is the oldest. `first` is its
    /// offset where it was read first, and `topic` the place of the retry topic that it was read from now, if it was.
    pub fn before(&self, key: &[u8], first: Offset, topic: Option<usize>) -> Option<Waits> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let mut found = None;
        self.change(key, |records, _| {
            let own = records.get(&first).copied();
            while let Some((older, copy)) =
                records.range(..first).next_back().map(|(first, copy)| (*first, *copy))
            {
                // The records of a topic are done with in their order. What was sent there before this one was, or it is lost.
                let is_past = topic == Some(copy.waits.topic) && own.is_some_and(|own| copy.is_before(&own));
                if !is_past {
                    found = Some(copy.waits);
                    break;
                }
                records.remove(&older);
            }
        });
        found
    }

    /// A record is to be sent to a retry topic.
    pub fn insert(&self, key: &[u8], first: Offset, waits: Waits) {
        self.change(key, |records, _| {
            records.insert(first, Copy { waits, number: None });
        });
    }

    /// It is sent.
    pub fn sent(&self, record: &Record) {
        let (Some(key), Some(first)) = (&record.key, record.headers.number(retry::OFFSET)) else { return };
        self.change(key, |records, sent| {
            if let Some(copy) = records.get_mut(&Offset(first)) {
                *sent += 1;
                copy.number = Some(*sent);
            }
        });
    }

    /// A record no longer waits there. It may wait elsewhere, or once more.
    pub fn remove(&self, key: &[u8], first: Offset, waits: Waits) {
        self.change(key, |records, _| {
            if records.get(&first).is_some_and(|copy| copy.waits == waits) {
                records.remove(&first);
            }
        });
    }

    /// A record was found in the retry topic of that place.
    pub fn find(&self, topic: usize, batch: &Batch, index: usize) {
        if let (Some(key), Some((first, at))) = (batch.key(index), later::parked(batch, index)) {
            self.change(&key, |records, sent| {
                *sent += 1;
                records.insert(first, Copy { waits: Waits { topic, at }, number: Some(*sent) });
            });
        }
    }

    /// What records of the retry topic of that place have become is handed over.
    pub fn leave(&self, topic: usize, chunk: &Chunk) {
        for (held, index) in chunk.places() {
            let parked = later::parked(&held.batch, index);
            if let (Some(key), Some((first, at))) = (held.batch.key(index), parked) {
                self.remove(&key, first, Waits { topic, at });
            }
        }
    }

    /// The bytes that it takes.
    pub fn holds(&self) -> u64 {
        self.count.load(Relaxed) as u64 * RECORD
    }

    fn change(&self, key: &[u8], change: impl FnOnce(&mut BTreeMap<Offset, Copy>, &mut u64)) {
        let hash = self.hasher.hash_one(key);
        let mut state = self.lock();
        let State { keys, sent } = &mut *state;
        let records = keys.entry(hash).or_default();
        let before = records.len();
        change(records, sent);
        let after = records.len();
        if after == 0 {
            keys.remove(&hash);
        }
        self.count.store(self.count.load(Relaxed) + after - before, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Headers;

    fn waits(topic: usize, at: u64) -> Waits {
        Waits { topic, at }
    }

    /// The record of that key that was read first at that offset is sent.
    fn send(parked: &Parked, first: i64) {
        let mut headers = Headers::default();
        headers.push(retry::OFFSET, Some(first.to_string().into()));
        parked.sent(&Record { key: Some("k".into()), headers, ..Record::default() });
    }

    #[test]
    fn a_record_waits_where_the_next_older_one_of_its_key_does() {
        let parked = Parked::new();
        let before = |first, topic| parked.before(b"k", Offset(first), topic);
        assert_eq!(before(9, None), None);
        parked.insert(b"k", Offset(3), waits(1, 900));
        parked.insert(b"k", Offset(5), waits(0, 100));
        assert_eq!(before(9, None), Some(waits(0, 100)), "not past the one that is between");
        assert_eq!(before(5, Some(0)), Some(waits(1, 900)), "that one goes on to the older one");
        assert_eq!(before(3, Some(1)), None, "which is the oldest");
        assert_eq!(parked.before(b"other", Offset(9), None), None);
    }

    #[test]
    fn a_key_is_free_once_all_of_its_records_are_done() {
        let parked = Parked::new();
        parked.insert(b"k", Offset(5), waits(0, 100));
        parked.insert(b"k", Offset(7), waits(0, 100));
        parked.remove(b"k", Offset(5), waits(0, 100));
        assert!(parked.before(b"k", Offset(9), None).is_some() && parked.holds() > 0);
        parked.remove(b"k", Offset(7), waits(0, 100));
        assert_eq!((parked.before(b"k", Offset(9), None), parked.holds()), (None, 0));
        assert!(parked.lock().keys.is_empty(), "nothing is remembered of keys that are free");
    }

    #[test]
    fn one_that_waits_once_more_in_its_topic_has_those_behind_it_do_so_too() {
        let parked = Parked::new();
        parked.insert(b"k", Offset(5), waits(0, 100));
        parked.insert(b"k", Offset(7), waits(0, 100));
        assert_eq!(parked.before(b"k", Offset(5), Some(0)), None);
        parked.insert(b"k", Offset(5), waits(0, 200));
        parked.remove(b"k", Offset(5), waits(0, 100));
        assert_eq!(parked.before(b"k", Offset(7), Some(0)), Some(waits(0, 200)));
    }

    #[test]
    fn one_that_was_lost_holds_nothing_up_for_ever() {
        let parked = Parked::new();
        parked.insert(b"k", Offset(5), waits(0, 100));
        assert_eq!(parked.before(b"k", Offset(7), None), Some(waits(0, 100)));
        send(&parked, 5);
        parked.insert(b"k", Offset(7), waits(0, 100));
        send(&parked, 7);
        // The topic has this one, so what was before it there has come to nothing.
        assert_eq!(parked.before(b"k", Offset(7), Some(0)), None);
    }

    #[test]
    fn one_that_is_sent_later_or_not_at_all_yet_is_still_to_come() {
        for is_sent in [false, true] {
            let parked = Parked::new();
            parked.insert(b"k", Offset(5), waits(0, 100));
            parked.insert(b"k", Offset(7), waits(0, 100));
            send(&parked, 7);
            if is_sent {
                send(&parked, 5);
            }
            assert_eq!(parked.before(b"k", Offset(7), Some(0)), Some(waits(0, 100)), "{is_sent}");
        }
    }
}
