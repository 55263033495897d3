//! What open transactions hold back at the owned partitions: the records behind a partition's last stable offset.

use std::collections::BTreeMap;

use crate::record::TopicPartition;

/// Where a partition stands for a reader of what is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stable {
    /// The last stable offset: before it, every transaction has ended.
    pub offset: i64,
    /// The partition's end.
    pub end: i64,
    /// The next offset that is fetched. Until it is the last stable offset, that holds nothing back.
    pub next: i64,
}

/// What is held back of each partition.
#[derive(Default)]
pub struct HeldBack(BTreeMap<TopicPartition, Held>);

struct Held {
    offset: i64,
    records: u64,
    /// Since when the last stable offset has not moved while records were behind it, in milliseconds since 1970 UTC.
    since: Option<i64>,
}

impl HeldBack {
    /// Replaces what is known, at that time.
    pub fn report(&mut self, stable: &BTreeMap<TopicPartition, Stable>, now: i64) {
        let before = std::mem::take(&mut self.0);
        let held = stable.iter().map(|(partition, stable)| {
            let is_read = stable.next >= stable.offset;
            let records = if is_read { stable.end.saturating_sub(stable.offset).max(0) as u64 } else { 0 };
            let same = before.get(partition).filter(|before| before.offset == stable.offset);
            let since = same.and_then(|before| before.since).unwrap_or(now);
            (
                partition.clone(),
                Held { offset: stable.offset, records, since: (records > 0).then_some(since) },
            )
        });
        self.0 = held.collect();
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many records of a partition are held back, and for how many seconds; none, as far as nothing is known of it.
    pub fn of(&self, partition: &TopicPartition, now: i64) -> (u64, f64) {
        let Some(held) = self.0.get(partition) else { return (0, 0.0) };
        let millis = held.since.map_or(0, |since| now.saturating_sub(since).max(0));
        (held.records, millis as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(held: &mut HeldBack, (offset, end, next): (i64, i64, i64), now: i64) -> (u64, f64) {
        let partition = TopicPartition::new("t", 0);
        held.report(&[(partition.clone(), Stable { offset, end, next })].into(), now);
        held.of(&partition, now)
    }

    #[test]
    fn time_counts_while_the_last_stable_offset_stands_still_and_records_come_behind_it() {
        let mut held = HeldBack::default();
        assert_eq!(after(&mut held, (5, 5, 5), 1_000), (0, 0.0));
        assert_eq!(after(&mut held, (5, 7, 5), 3_000), (2, 0.0));
        assert_eq!(after(&mut held, (5, 9, 5), 7_000), (4, 4.0));
        assert_eq!(held.of(&TopicPartition::new("t", 0), 9_000), (4, 6.0), "without a new report");
        // A transaction of a live producer ended, and the next one is open.
        assert_eq!(after(&mut held, (8, 12, 8), 10_000), (4, 0.0));
        assert_eq!(after(&mut held, (12, 12, 12), 12_000), (0, 0.0));
        assert_eq!(after(&mut held, (12, 13, 12), 15_000), (1, 0.0));
        assert_eq!(held.of(&TopicPartition::new("t", 1), 15_000), (0, 0.0));
    }

    #[test]
    fn who_has_not_read_up_to_it_is_held_by_something_else() {
        let mut held = HeldBack::default();
        assert_eq!(after(&mut held, (5, 9, 3), 1_000), (0, 0.0));
        assert_eq!(after(&mut held, (5, 9, 5), 9_000), (4, 0.0));
        held.clear();
        assert_eq!(held.of(&TopicPartition::new("t", 0), 9_000), (0, 0.0));
    }
}
