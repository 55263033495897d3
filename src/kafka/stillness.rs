//! Finds partitions from which no records come although there are more to read.
//!
//! librdkafka may silently stop fetching a partition: where its topic was made again, the new leader's epoch
//! is lower than the one it knows, and it takes everything about the partition as outdated. Others saw
//! partitions stall for days (rust-rdkafka
//! #665, #840). So a quiet partition is compared with its end at the broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::record::{Offset, TopicPartition};

/// How long a partition may be quiet before its end is requested.
const QUIET: Duration = Duration::from_secs(10);

/// When something last came from each partition.
#[derive(Default)]
pub struct Stillness(BTreeMap<TopicPartition, Heard>);

struct Heard {
    at: Instant,
    /// The offset after what was read; `None` before anything was.
    position: Option<Offset>,
    /// Whether there was more to read when its end was last requested.
    is_suspect: bool,
}

impl Stillness {
    /// A partition was read up to `position`.
    pub fn heard(&mut self, partition: &TopicPartition, position: Offset, now: Instant) {
        self.0.insert(partition.clone(), Heard { at: now, position: Some(position), is_suspect: false });
    }

    /// No records are taken, so nothing can come from any partition.
    pub fn excuse(&mut self, now: Instant) {
        self.0.values_mut().for_each(|heard| (heard.at, heard.is_suspect) = (now, false));
    }

    /// The partition that has been quiet the longest, where that is too long.
    pub fn quiet(
        &mut self,
        now: Instant,
        ours: &[TopicPartition],
        paused: &BTreeSet<TopicPartition>,
    ) -> Option<TopicPartition> {
        self.0.retain(|partition, _| ours.contains(partition) && !paused.contains(partition));
        for partition in ours.iter().filter(|partition| !paused.contains(*partition)) {
            self.0.entry(partition.clone()).or_insert(Heard { at: now, position: None, is_suspect: false });
        }
        let (partition, heard) = self.0.iter().min_by_key(|(_, heard)| heard.at)?;
        (now - heard.at >= QUIET).then(|| partition.clone())
    }

    /// The broker says that a quiet partition ends at `end`. Returns whether it stands still: there was more
    /// to read the last time too, and nothing has come since.
    pub fn ends(&mut self, partition: &TopicPartition, end: Offset, now: Instant) -> bool {
        let Some(heard) = self.0.get_mut(partition) else { return false };
        heard.at = now;
        let is_read = heard.position == Some(end);
        let was_suspect = std::mem::replace(&mut heard.is_suspect, !is_read);
        was_suspect && !is_read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: BTreeSet<TopicPartition> = BTreeSet::new();

    fn t(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    #[test]
    fn a_partition_that_is_read_to_its_end_may_be_quiet() {
        let (mut stillness, now) = (Stillness::default(), Instant::now());
        stillness.heard(&t(0), Offset(7), now);
        assert_eq!(stillness.quiet(now + QUIET / 2, &[t(0)], &NONE), None);
        for round in 1..5 {
            let later = now + QUIET * round;
            assert_eq!(stillness.quiet(later, &[t(0)], &NONE), Some(t(0)));
            assert!(!stillness.ends(&t(0), Offset(7), later));
        }
    }

    #[test]
    fn one_that_has_more_and_says_nothing_twice_stands_still() {
        let (mut stillness, now) = (Stillness::default(), Instant::now());
        stillness.heard(&t(0), Offset(7), now);
        assert!(!stillness.ends(&t(0), Offset(9), now + QUIET), "it may come any moment");
        assert_eq!(stillness.quiet(now + QUIET, &[t(0)], &NONE), None, "it is given time");
        assert!(stillness.ends(&t(0), Offset(9), now + QUIET * 2));
    }

    #[test]
    fn one_that_never_said_anything_stands_still_too() {
        let (mut stillness, now) = (Stillness::default(), Instant::now());
        assert_eq!(stillness.quiet(now, &[t(3)], &NONE), None);
        assert_eq!(stillness.quiet(now + QUIET, &[t(3)], &NONE), Some(t(3)));
        assert!(!stillness.ends(&t(3), Offset(0), now + QUIET));
        assert!(stillness.ends(&t(3), Offset(0), now + QUIET * 2));
    }

    #[test]
    fn what_is_heard_in_between_or_could_not_be_heard_counts() {
        let (mut stillness, now) = (Stillness::default(), Instant::now());
        stillness.heard(&t(0), Offset(7), now);
        assert!(!stillness.ends(&t(0), Offset(9), now + QUIET));
        stillness.heard(&t(0), Offset(8), now + QUIET);
        assert!(!stillness.ends(&t(0), Offset(9), now + QUIET * 2));
        stillness.excuse(now + QUIET * 2);
        assert!(!stillness.ends(&t(0), Offset(9), now + QUIET * 3));
        assert_eq!(stillness.quiet(now + QUIET * 9, &[t(0)], &BTreeSet::from([t(0)])), None, "paused");
    }
}
