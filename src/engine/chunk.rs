//! Chunks: pieces of batches that are computed and sent as one.

use std::{ops::Range, sync::Arc};

use super::{Reservation, Topology, parked::Parked, state::LaneState};
use crate::{
    operator::{Cost, NANOS_OF_A_CHUNK},
    record::{Batch, Offset, TopicPartition},
};

/// The most bytes of results that a chunk is expected to have.
const BYTES: u64 = 1 << 20;
/// The most records of a chunk.
pub const RECORDS: usize = 2_000;

/// A batch, and the room that it holds in the budget until all of its records are done.
#[derive(Debug)]
pub struct HeldBatch {
    pub batch: Batch,
    /// Sequence number of the batch's first record in its lane.
    pub first: u64,
    pub _room: Reservation,
    /// Order by key with retry topics: the keys that wait there.
    pub parked: Option<Arc<Parked>>,
    /// What operators remember of its lane's records.
    pub state: Option<Arc<LaneState>>,
}

/// Consecutive records of a batch.
#[derive(Clone, Debug)]
pub struct Part {
    pub held: Arc<HeldBatch>,
    pub range: Range<usize>,
}

/// Records that are computed and sent as one, in order.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub parts: Vec<Part>,
    /// The expected size of the results, in bytes.
    pub bytes: u64,
    /// How long computing it is expected to take.
    pub nanos: u64,
}

impl Chunk {
    /// Cuts records into chunks, in order.
    pub fn cut<'a>(
        places: impl Iterator<Item = (&'a Arc<HeldBatch>, usize)>,
        topology: &Topology,
    ) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut open = Open::default();
        for (held, index) in places {
            let cost = topology.cost(&held.batch.record(index));
            if open.is_full_with(cost) {
                chunks.push(std::mem::take(&mut open).close());
            }
            open.push(held, index, cost);
        }
        chunks.extend(open.close_if_any());
        chunks
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.range.len()).sum()
    }

    /// What operators remember of its lane's records.
    pub fn state(&self) -> Option<&Arc<LaneState>> {
        self.parts.first()?.held.state.as_ref()
    }

    /// Every record's place, in order.
    pub fn places(&self) -> impl Iterator<Item = (&Arc<HeldBatch>, usize)> {
        self.parts.iter().flat_map(|part| part.range.clone().map(move |index| (&part.held, index)))
    }

    /// The records' sequence numbers in their lane.
    pub fn sequences(&self) -> impl Iterator<Item = u64> {
        self.places().map(|(held, index)| held.first + index as u64)
    }

    /// The highest offset. `None` where there is no record.
    pub fn last_offset(&self) -> Option<Offset> {
        self.parts.iter().map(|part| part.held.batch.offset(part.range.end - 1)).max()
    }

    /// Where the record at `index` was read; `None` where there are fewer.
    pub fn place(&self, index: usize) -> Option<(&TopicPartition, Offset)> {
        let (held, index) = self.places().nth(index)?;
        Some((&held.batch.partition, held.batch.offset(index)))
    }

    /// The record at `index` as a chunk of its own; `None` where there are fewer.
    pub fn single(&self, index: usize, topology: &Topology) -> Option<Chunk> {
        let (held, index) = self.places().nth(index)?;
        Chunk::cut([(held, index)].into_iter(), topology).pop()
    }
}

/// A chunk that is being filled.
#[derive(Default)]
pub struct Open {
    parts: Vec<Part>,
    records: usize,
    nanos: u64,
    bytes: u64,
}

impl Open {
    /// Whether a record of that cost belongs into the next chunk.
    pub fn is_full_with(&self, cost: Cost) -> bool {
        self.records > 0
            && (self.records >= RECORDS
                || self.nanos.saturating_add(cost.nanos) > NANOS_OF_A_CHUNK
                || self.bytes.saturating_add(cost.bytes) > BYTES)
    }

    /// Adds a record.
    pub fn push(&mut self, held: &Arc<HeldBatch>, index: usize, cost: Cost) {
        push_place(&mut self.parts, held, index);
        self.records += 1;
        self.nanos = self.nanos.saturating_add(cost.nanos);
        self.bytes = self.bytes.saturating_add(cost.bytes);
    }

    /// The chunk, if it has a record.
    pub fn close_if_any(self) -> Option<Chunk> {
        (self.records > 0).then(|| self.close())
    }

    fn close(self) -> Chunk {
        Chunk { parts: self.parts, bytes: self.bytes, nanos: self.nanos }
    }
}

/// Adds a record to the last part where it follows it, otherwise to a new one.
pub fn push_place(parts: &mut Vec<Part>, held: &Arc<HeldBatch>, index: usize) {
    match parts.last_mut() {
        Some(part) if Arc::ptr_eq(&part.held, held) && part.range.end == index => part.range.end += 1,
        _ => parts.push(Part { held: held.clone(), range: index..index + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Budget,
        operator::{Operator, OperatorError, Output},
        record::{BatchBuilder, Headers, Record},
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

    fn cut(millis: &[u8]) -> Vec<Vec<u64>> {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for (offset, millis) in millis.iter().enumerate() {
            builder.push(Offset(offset as i64), None, None, Some(&[*millis]), Headers::default());
        }
        let held = Arc::new(HeldBatch {
            batch: builder.build(),
            first: 0,
            _room: Budget::new(0).take(0),
            parked: None,
            state: None,
        });
        let topology = Topology::new([Arc::new(Costly) as Arc<dyn Operator>]);
        let chunks = Chunk::cut((0..millis.len()).map(|index| (&held, index)), &topology);
        chunks.iter().map(|chunk| chunk.sequences().collect()).collect()
    }

    #[test]
    fn a_costly_record_is_a_chunk_of_its_own() {
        assert_eq!(cut(&[0, 0, 90, 0, 0]), [vec![0, 1], vec![2], vec![3, 4]]);
    }

    #[test]
    fn cheap_records_share_a_chunk() {
        assert_eq!(cut(&[1, 1, 1, 1, 1]), [vec![0, 1], vec![2, 3], vec![4]]);
    }
}
