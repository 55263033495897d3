//! `order = "key"`: which records have to wait for an earlier one of the same key.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Topology,
    chunk::{Chunk, HeldBatch, Open, Part, push_place},
};

/// The busy keys of one lane, with the records that wait for them.
///
/// A key is busy from when one of its records is let through until the chunk with it is sent.
#[derive(Default, Debug)]
pub struct KeyGate {
    busy: HashMap<Bytes, VecDeque<(Arc<HeldBatch>, usize)>>,
}

impl KeyGate {
    /// Lets the records through whose keys are free; keeps the others back.
    pub fn admit(&mut self, chunk: Chunk) -> Option<Chunk> {
        let mut parts: Vec<Part> = Vec::new();
        // The keys that this chunk itself makes busy: their later records go with it, in order.
        let mut own: HashSet<Bytes> = HashSet::new();
        for (held, index) in chunk.places() {
            if let Some(key) = held.batch.key(index) {
                match self.busy.get_mut(&key) {
                    Some(waiting) if !own.contains(&key) => {
                        waiting.push_back((held.clone(), index));
                        continue;
                    }
                    Some(_) => {}
                    None => {
                        self.busy.insert(key.clone(), VecDeque::new());
                        own.insert(key);
                    }
                }
            }
            push_place(&mut parts, held, index);
        }
        (!parts.is_empty()).then_some(Chunk { parts, bytes: chunk.bytes, nanos: chunk.nanos })
    }

    /// A chunk has been sent. Its keys are free now, or their next records are returned.
    pub fn release(&mut self, chunk: &Chunk, topology: &Topology) -> Vec<Chunk> {
        let mut seen = HashSet::new();
        let keys = chunk.places().filter_map(|(held, index)| held.batch.key(index));
        // In the order of the records, so that a run in virtual time can be repeated.
        let keys: Vec<Bytes> = keys.filter(|key| seen.insert(key.clone())).collect();
        let (mut next, mut open) = (Vec::new(), Open::default());
        for key in keys {
            let Some(waiting) = self.busy.get_mut(&key) else { continue };
            if waiting.is_empty() {
                self.busy.remove(&key);
                continue;
            }
            let mut taken = 0;
            for (held, index) in waiting.iter() {
                let cost = topology.cost(&held.batch.record(*index));
                if open.is_full_with(cost) {
                    // What follows of this key waits: two chunks with it would be computed side by side.
                    if taken > 0 {
                        break;
                    }
                    next.extend(std::mem::take(&mut open).close_if_any());
                }
                open.push(held, *index, cost);
                taken += 1;
            }
            waiting.drain(..taken);
        }
        next.extend(open.close_if_any());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Budget,
        operator::{Operator, registry},
        record::{BatchBuilder, Headers, Offset, TopicPartition},
    };

    fn identity() -> Topology {
        let factory = registry().iter().find(|factory| factory.name == "identity").unwrap();
        let operator = (factory.build)(toml::Table::new(), Default::default()).unwrap();
        Topology::new([Arc::from(operator) as Arc<dyn Operator>])
    }

    /// A chunk of records with these keys; `-` is none. Sequence numbers go on from `first`.
    fn chunk(first: u64, keys: &str) -> Chunk {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for (index, key) in keys.bytes().enumerate() {
            let key = [key];
            let key = (key != *b"-").then_some(&key[..]);
            builder.push(Offset(first as i64 + index as i64), None, key, None, Headers::default());
        }
        let held = Arc::new(HeldBatch {
            batch: builder.build(),
            first,
            _room: Budget::new(0).take(0),
            parked: None,
            state: None,
        });
        Chunk { parts: vec![Part { range: 0..keys.len(), held }], bytes: 0, nanos: 0 }
    }

    fn sequences(chunks: impl IntoIterator<Item = Chunk>) -> Vec<u64> {
        chunks.into_iter().flat_map(|chunk| chunk.sequences().collect::<Vec<_>>()).collect()
    }

    #[test]
    fn only_records_of_busy_keys_wait() {
        let mut gate = KeyGate::default();
        let first = gate.admit(chunk(0, "a")).unwrap();
        assert_eq!(sequences(gate.admit(chunk(1, "bab-a"))), [1, 3, 4]);
        assert_eq!(sequences(gate.release(&first, &identity())), [2, 5]);
    }

    #[test]
    fn a_key_stays_busy_until_its_last_record_was_sent() {
        let mut gate = KeyGate::default();
        let first = gate.admit(chunk(0, "aa")).unwrap();
        assert!(gate.admit(chunk(2, "a")).is_none());
        let [second] = &gate.release(&first, &identity())[..] else { panic!("one chunk") };
        assert!(gate.admit(chunk(3, "a")).is_none(), "the second is still on its way");
        let [third] = &gate.release(second, &identity())[..] else { panic!("one chunk") };
        assert_eq!(third.sequences().collect::<Vec<_>>(), [3]);
        assert!(gate.release(third, &identity()).is_empty());
        assert!(gate.busy.is_empty(), "nothing is remembered of keys that are free");
    }

    #[test]
    fn keys_share_a_chunk_and_none_is_in_two() {
        let mut gate = KeyGate::default();
        let first = gate.admit(chunk(0, "abc")).unwrap();
        let waiting = "a".repeat(900) + &"b".repeat(900) + &"c".repeat(900);
        assert!(gate.admit(chunk(3, &waiting)).is_none());
        let [next] = &gate.release(&first, &identity())[..] else { panic!("one chunk") };
        assert_eq!(sequences([next.clone()]), (3..2_003).collect::<Vec<_>>());
        assert_eq!(sequences(gate.release(next, &identity())), (2_003..2_703).collect::<Vec<_>>());
    }

    #[test]
    fn records_without_a_key_never_wait() {
        let mut gate = KeyGate::default();
        assert_eq!(sequences(gate.admit(chunk(0, "--"))), [0, 1]);
        assert_eq!(sequences(gate.admit(chunk(2, "--"))), [2, 3]);
    }
}
