//! How far behind each partition is, in records and in seconds.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::record::TopicPartition;

/// How far behind an owned partition is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Lag {
    /// Records from the first one not done to the partition's end.
    pub records: u64,
    /// The timestamp of the first record not committed, in milliseconds since 1970 UTC; `None` if everything
    /// read is committed.
    pub uncommitted: Option<i64>,
}

/// The owned partitions' lag. Ages are computed on each scrape, so that they grow while the pipeline hangs.
#[derive(Default)]
pub struct OwnedPartitions(BTreeMap<TopicPartition, Owned>);

struct Owned {
    lag: Lag,
    /// Since when there has been lag but nothing was read, in milliseconds since 1970 UTC.
    unread_since: Option<i64>,
}

impl OwnedPartitions {
    /// Replaces the owned partitions.
    pub fn replace(&mut self, lags: BTreeMap<TopicPartition, Lag>, now: i64) {
        let before = std::mem::take(&mut self.0);
        self.0 = lags
            .into_iter()
            .map(|(partition, lag)| {
                let unread = lag.records > 0 && lag.uncommitted.is_none();
                let since = before.get(&partition).and_then(|owned| owned.unread_since).unwrap_or(now);
                (partition, Owned { lag, unread_since: unread.then_some(since) })
            })
            .collect();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The lag of all partitions together, in records.
    pub fn records(&self) -> u64 {
        self.0.values().map(|owned| owned.lag.records).sum()
    }

    /// Each partition, with its lag in records and in seconds.
    pub fn iter(&self, now: i64) -> impl Iterator<Item = (&TopicPartition, u64, f64)> {
        self.0.iter().map(move |(partition, owned)| {
            let since = owned.lag.uncommitted.or(owned.unread_since);
            // Clocks differ: a record from the future counts as new.
            let age = since.map_or(0, |since| now.saturating_sub(since).max(0));
            (partition, owned.lag.records, age as f64 / 1000.0)
        })
    }
}

/// Milliseconds since 1970 UTC.
pub fn now() -> i64 {
    // With a clock before 1970 only the ages are wrong.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(
        partitions: &mut OwnedPartitions,
        lags: &[(i32, u64, Option<i64>)],
        now: i64,
    ) -> Vec<(u64, f64)> {
        let lags = lags.iter().map(|(partition, records, uncommitted)| {
            let lag = Lag { records: *records, uncommitted: *uncommitted };
            (TopicPartition::new("t", *partition), lag)
        });
        partitions.replace(lags.collect(), now);
        partitions.iter(now).map(|(_, records, seconds)| (records, seconds)).collect()
    }

    #[test]
    fn lag_is_as_old_as_the_first_record_that_is_not_committed() {
        let mut partitions = OwnedPartitions::default();
        assert_eq!(owned(&mut partitions, &[(0, 5, Some(7_000))], 10_000), [(5, 3.0)]);
        assert_eq!(partitions.iter(14_000).next().unwrap().2, 7.0, "it grows without a new report");
        assert_eq!(owned(&mut partitions, &[(0, 0, None)], 20_000), [(0, 0.0)]);
        assert_eq!(owned(&mut partitions, &[(0, 1, Some(30_000))], 20_000), [(1, 0.0)]);
    }

    #[test]
    fn what_is_not_read_yet_is_as_old_as_the_lag_and_a_new_owner_begins_anew() {
        let mut partitions = OwnedPartitions::default();
        assert_eq!(owned(&mut partitions, &[(0, 5, None)], 10_000), [(5, 0.0)]);
        assert_eq!(owned(&mut partitions, &[(0, 9, None)], 13_000), [(9, 3.0)]);
        assert_eq!(owned(&mut partitions, &[(1, 2, None)], 14_000), [(2, 0.0)]);
        assert_eq!(owned(&mut partitions, &[(0, 9, None)], 15_000), [(9, 0.0)]);
    }
}
