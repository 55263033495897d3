//! The oldest timestamp of what is not committed: lag in seconds.

use std::collections::VecDeque;

use crate::record::{Batch, Offset};

/// Timestamps that differ by less than this, in milliseconds, count as one: most records come in the order of
/// their time.
const SAME: u64 = 100;

/// The timestamps of the records that are not committed, by stretches of offsets.
#[derive(Default, Debug)]
pub struct Timestamps {
    /// The first offset of each stretch, and its timestamp.
    stretches: VecDeque<(Offset, i64)>,
    /// The offset after the last record.
    end: Option<Offset>,
}

impl Timestamps {
    /// Adds the records of a batch, and forgets those before `committed`.
    pub fn extend(&mut self, batch: &Batch, committed: Offset) {
        let forgotten = self.stretch_of(committed);
        self.stretches.drain(..forgotten);
        for index in 0..batch.len() {
            let Some(timestamp) = batch.timestamp(index) else { continue };
            let last = self.stretches.back().map(|(_, last)| *last);
            if last.is_none_or(|last| last.abs_diff(timestamp) >= SAME) {
                self.stretches.push_back((batch.offset(index), timestamp));
            }
            self.end = Some(batch.offset(index).next());
        }
    }

    /// The timestamp of the first record that is not committed; `None` where all are, or have none.
    pub fn first_after(&self, committed: Offset) -> Option<i64> {
        self.end.filter(|end| *end > committed)?;
        self.stretches.get(self.stretch_of(committed)).map(|(_, timestamp)| *timestamp)
    }

    /// The stretch that has the offset, or the first one.
    fn stretch_of(&self, offset: Offset) -> usize {
        self.stretches.partition_point(|(first, _)| *first <= offset).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Headers, TopicPartition};

    fn batch(records: &[(i64, i64)]) -> Batch {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for (offset, timestamp) in records {
            builder.push(Offset(*offset), Some(*timestamp), None, None, Headers::default());
        }
        builder.build()
    }

    #[test]
    fn the_first_record_that_is_not_committed_says_how_old_the_lag_is() {
        let mut timestamps = Timestamps::default();
        assert_eq!(timestamps.first_after(Offset(0)), None);
        timestamps.extend(&batch(&[(10, 1_000), (11, 1_050), (12, 2_000)]), Offset(10));
        timestamps.extend(&batch(&[(20, 500)]), Offset(10));
        let found: Vec<Option<i64>> = [10, 11, 12, 13, 20, 21]
            .iter()
            .map(|committed| timestamps.first_after(Offset(*committed)))
            .collect();
        assert_eq!(found, [Some(1_000), Some(1_000), Some(2_000), Some(2_000), Some(500), None]);
    }

    #[test]
    fn what_is_committed_is_forgotten() {
        let mut timestamps = Timestamps::default();
        for offset in 0..1_000 {
            timestamps.extend(&batch(&[(offset, offset * 1_000)]), Offset(offset));
        }
        assert!(timestamps.stretches.len() <= 2, "{timestamps:?}");
        assert_eq!(timestamps.first_after(Offset(999)), Some(999_000));
    }
}
