//! Fair shares of the cores for requesters: one with many costly records does not starve the others.
//!
//! Weighted fair queueing (Demers, Keshav, Shenker: "Analysis and simulation of a fair queueing algorithm",
//! SIGCOMM 1989), by what the operators expect each record to take: the requester that has had the least is
//! next. One that is new, or comes back, begins where the others are, so that waiting is not saved up.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Topology,
    chunk::{Chunk, HeldBatch, Open},
};
use crate::{operator::Cost, record::Record};

/// What tells requesters apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FairBy {
    /// The record's key.
    Key,
    /// The value of the record's header of that name.
    Header(String),
}

impl FairBy {
    fn requester(&self, record: &Record) -> Option<Bytes> {
        match self {
            FairBy::Key => record.key.clone(),
            FairBy::Header(name) => record.headers.get(name).map(Bytes::copy_from_slice),
        }
    }
}

/// The waiting records of one partition, by requester. Those without the key or header belong to one
/// requester.
pub struct FairQueue {
    by: FairBy,
    topology: Topology,
    requesters: HashMap<Option<Bytes>, Requester>,
    /// The requesters that wait, by the nanoseconds that they have had; the first one is next.
    turns: BTreeSet<(u64, Option<Bytes>)>,
    /// What a requester would have had that had waited all along: where new ones begin.
    now: u64,
}

#[derive(Default)]
struct Requester {
    had: u64,
    waiting: VecDeque<(Arc<HeldBatch>, usize, Cost)>,
}

/// How many requesters without a waiting record are remembered.
const REMEMBERED: usize = 1_000;

impl FairQueue {
    pub fn new(by: FairBy, topology: Topology) -> Self {
        FairQueue { by, topology, requesters: HashMap::new(), turns: BTreeSet::new(), now: 0 }
    }

    /// Adds a chunk's records, each behind the others of its requester.
    pub fn push(&mut self, chunk: &Chunk) {
        for (held, index) in chunk.places() {
            let record = held.batch.record(index);
            let who = self.by.requester(&record);
            let requester = self.requesters.entry(who.clone()).or_default();
            if requester.waiting.is_empty() {
                requester.had = requester.had.max(self.now);
                self.turns.insert((requester.had, who));
            }
            requester.waiting.push_back((held.clone(), index, self.topology.cost(&record)));
        }
    }

    /// The next records, up to a whole chunk; `None` where none wait.
    pub fn pop(&mut self) -> Option<Chunk> {
        let mut chunk = Open::default();
        while let Some((had, who)) = self.turns.pop_first() {
            // A requester with a turn has a record that waits.
            let requester = self.requesters.get_mut(&who)?;
            let (held, index, cost) = requester.waiting.pop_front()?;
            if chunk.is_full_with(cost) {
                requester.waiting.push_front((held, index, cost));
                self.turns.insert((had, who));
                break;
            }
            chunk.push(&held, index, cost);
            // It advances with each one's share, so that new requesters do not hold back one that has had
            // much.
            self.now = had.max(self.now + cost.nanos / (self.turns.len() as u64 + 1));
            // Even a free record counts.
            requester.had = had.saturating_add(cost.nanos.max(1));
            if !requester.waiting.is_empty() {
                self.turns.insert((requester.had, who));
            }
        }
        if self.turns.is_empty() {
            // Nobody waits: all start over.
            self.requesters.clear();
            self.now = 0;
        }
        if self.requesters.len() > self.turns.len() + REMEMBERED {
            let now = self.now;
            self.requesters.retain(|_, requester| !requester.waiting.is_empty() || requester.had > now);
        }
        chunk.close_if_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Budget,
        operator::{Operator, OperatorError, Output},
        record::{BatchBuilder, Headers, Offset, TopicPartition},
    };

    /// Costs as many milliseconds as the value's first byte says.
    struct Costly;

    impl Operator for Costly {
        fn cost(&self, record: &Record) -> Cost {
            let millis = record.value.as_ref().map_or(0, |value| u64::from(value[0]));
            Cost { nanos: millis * 1_000_000, bytes: 10 }
        }

        fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
            out.push(record);
            Ok(())
        }
    }

    fn queue(by: FairBy) -> FairQueue {
        FairQueue::new(by, Topology::new([Arc::new(Costly) as Arc<dyn Operator>]))
    }

    /// Records of these keys, each of so many milliseconds; a header `tenant` says the first letter of the key.
    fn chunk(first: u64, records: &[(&str, u8)]) -> Chunk {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for (index, (key, millis)) in records.iter().enumerate() {
            let headers: Headers = [("tenant", key[..1].to_owned())].into_iter().collect();
            let offset = Offset((first + index as u64) as i64);
            builder.push(offset, None, Some(key.as_bytes()), Some(&[*millis]), headers);
        }
        let held = Arc::new(HeldBatch {
            batch: builder.build(),
            first,
            _room: Budget::new(0).take(0),
            parked: None,
            state: None,
        });
        let parts = vec![super::super::chunk::Part { range: 0..records.len(), held }];
        Chunk { parts, bytes: 0, nanos: 0 }
    }

    fn order(queue: &mut FairQueue) -> Vec<String> {
        let mut keys = Vec::new();
        while let Some(chunk) = queue.pop() {
            let of_it = chunk.places().map(|(held, index)| held.batch.record(index).key.unwrap());
            keys.extend(of_it.map(|key| String::from_utf8(key.to_vec()).unwrap()));
        }
        keys
    }

    #[test]
    fn who_asks_for_little_does_not_wait_behind_who_asks_for_much() {
        let mut queue = queue(FairBy::Key);
        queue.push(&chunk(0, &[("a", 10), ("a", 10), ("a", 10), ("a", 10)]));
        queue.push(&chunk(4, &[("b", 1), ("b", 1), ("c", 5)]));
        assert_eq!(order(&mut queue), ["a", "b", "c", "b", "a", "a", "a"]);
    }

    #[test]
    fn each_gets_the_same_share_of_time_while_both_wait() {
        let mut queue = queue(FairBy::Key);
        let records: Vec<(&str, u8)> = (0..60).flat_map(|_| [("a", 9), ("b", 3)]).collect();
        queue.push(&chunk(0, &records));
        let keys = order(&mut queue);
        // While a has had ten records of 9 ms, b has had about thirty of 3 ms.
        let tenth = keys.iter().enumerate().filter(|(_, key)| *key == "a").nth(9).unwrap().0;
        let b = keys[..tenth].iter().filter(|key| *key == "b").count();
        assert!((26..=31).contains(&b), "{b}");
    }

    #[test]
    fn who_comes_back_has_saved_nothing_up() {
        let mut queue = queue(FairBy::Key);
        queue.push(&chunk(0, &[("a", 100), ("a", 100), ("a", 100), ("b", 1)]));
        for _ in 0..3 {
            assert_eq!(queue.pop().map(|chunk| chunk.len()), Some(1));
        }
        // While a has had 200 ms, b has had one, and nothing to do since.
        queue.push(&chunk(4, &[("b", 100), ("b", 100), ("b", 100)]));
        assert_eq!(order(&mut queue), ["b", "a", "b", "b"]);
    }

    #[test]
    fn a_header_tells_requesters_apart_as_well() {
        let mut queue = queue(FairBy::Header("tenant".to_owned()));
        queue.push(&chunk(0, &[("a1", 10), ("a2", 10), ("a3", 10), ("b1", 10)]));
        assert_eq!(order(&mut queue), ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn those_who_are_gone_are_forgotten() {
        let mut queue = queue(FairBy::Key);
        // Somebody waits all along.
        queue.push(&chunk(0, &[("greedy", 200); 50]));
        for first in 0..5 * REMEMBERED as u64 {
            queue.push(&chunk(50 + first, &[(&format!("key-{first}"), 3)]));
            queue.pop().unwrap();
        }
        assert!(queue.requesters.len() <= 2 * REMEMBERED, "{}", queue.requesters.len());
        while queue.pop().is_some() {}
        assert!(queue.requesters.is_empty());
    }
}
