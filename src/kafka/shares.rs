//! Each partition's share of the room for records that are read and not done.
//!
//! Half of the room is common, the other half is divided among the partitions. A partition with slow records
//! fills the common half; once that has lasted for a while, the partitions that hold more than their share
//! are paused, so that the others can go on with theirs. A pause throws away what was fetched ahead
//! (librdkafka #5343), so it does not happen in the short moments of an ordinary backlog.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{engine::Budget, record::TopicPartition};

/// How long the common half must be full before partitions are paused.
const PRESSURE: Duration = Duration::from_millis(250);

/// How much room each partition holds.
pub struct Shares {
    whole: Budget,
    partitions: BTreeMap<TopicPartition, Budget>,
    full_since: Option<Instant>,
}

/// What to do now.
#[derive(PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether records may be taken.
    pub may_take: bool,
    /// Partitions to pause.
    pub pause: Vec<TopicPartition>,
    /// Paused partitions to resume.
    pub resume: Vec<TopicPartition>,
}

impl Shares {
    pub fn new(whole: Budget) -> Self {
        Shares { whole, partitions: BTreeMap::new(), full_since: None }
    }

    /// The room of a partition, as a part of the whole.
    pub fn of(&mut self, partition: &TopicPartition) -> &Budget {
        self.partitions.entry(partition.clone()).or_insert_with(|| self.whole.part())
    }

    /// Decides by what each of our partitions holds, and which of them are paused.
    pub fn look(
        &mut self,
        now: Instant,
        ours: &[TopicPartition],
        paused: &BTreeSet<TopicPartition>,
    ) -> Verdict {
        self.partitions.retain(|partition, held| ours.contains(partition) || held.used() > 0);
        let all = self.whole.size();
        if ours.len() < 2 {
            return Verdict {
                may_take: self.whole.has_room(),
                pause: Vec::new(),
                resume: paused.iter().cloned().collect(),
            };
        }
        let share = all / 2 / ours.len() as u64;
        let held = |partition: &TopicPartition| self.partitions.get(partition).map_or(0, Budget::used);
        // Records of revoked partitions that are still being finished count as common.
        let beyond_shares = |(number, held): (&TopicPartition, &Budget)| {
            if ours.contains(number) { held.used().saturating_sub(share) } else { held.used() }
        };
        let common: u64 = self.partitions.iter().map(beyond_shares).sum();
        let resume = paused.iter().filter(|partition| held(partition) < share / 2).cloned().collect();
        if common < all / 2 {
            self.full_since = None;
            return Verdict { may_take: true, pause: Vec::new(), resume };
        }
        let lasted = now - *self.full_since.get_or_insert(now) >= PRESSURE;
        let (over, under): (Vec<TopicPartition>, Vec<TopicPartition>) = ours
            .iter()
            .filter(|partition| !paused.contains(*partition))
            .cloned()
            .partition(|p| held(p) >= share);
        let pause = if lasted && !under.is_empty() { over } else { Vec::new() };
        let may_take = lasted && !under.is_empty();
        Verdict { may_take, pause, resume }
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
    fn one_partition_has_all_the_room() {
        let mut shares = Shares::new(Budget::new(1_000));
        let now = Instant::now();
        let _held = shares.of(&t(0)).take(999);
        assert!(shares.look(now, &[t(0)], &NONE).may_take);
        let _more = shares.of(&t(0)).take(1);
        assert!(!shares.look(now, &[t(0)], &NONE).may_take);
    }

    #[test]
    fn a_partition_that_has_filled_the_common_half_for_long_is_paused_and_the_others_go_on() {
        let mut shares = Shares::new(Budget::new(1_000));
        let (now, ours) = (Instant::now(), [t(0), t(1)]);
        let held = shares.of(&t(0)).take(749);
        assert!(shares.look(now, &ours, &NONE).may_take, "its share and the common half");
        let more = shares.of(&t(0)).take(1);
        let verdict = shares.look(now, &ours, &NONE);
        assert_eq!(verdict, Verdict { may_take: false, pause: vec![], resume: vec![] }, "for a moment");
        let verdict = shares.look(now + PRESSURE, &ours, &NONE);
        assert_eq!(verdict, Verdict { may_take: true, pause: vec![t(0)], resume: vec![] });

        let paused = BTreeSet::from([t(0)]);
        let other = shares.of(&t(1)).take(249);
        assert!(shares.look(now + PRESSURE, &ours, &paused).may_take, "within its share");
        let over = shares.of(&t(1)).take(1);
        let verdict = shares.look(now + PRESSURE, &ours, &paused);
        assert_eq!(verdict, Verdict { may_take: false, pause: vec![], resume: vec![] }, "nobody is under");

        drop((other, over, more));
        assert!(shares.look(now + PRESSURE, &ours, &paused).resume.is_empty(), "it still holds most of it");
        drop(held);
        assert_eq!(shares.look(now + PRESSURE, &ours, &paused).resume, [t(0)]);
    }

    #[test]
    fn an_ordinary_backlog_of_all_pauses_nobody() {
        let mut shares = Shares::new(Budget::new(1_000));
        let now = Instant::now();
        let _held = [shares.of(&t(0)).take(500), shares.of(&t(1)).take(500)];
        shares.look(now, &[t(0), t(1)], &NONE);
        let verdict = shares.look(now + 10 * PRESSURE, &[t(0), t(1)], &NONE);
        assert_eq!(verdict, Verdict { may_take: false, pause: vec![], resume: vec![] });
    }

    #[test]
    fn a_moment_of_room_begins_the_wait_anew() {
        let mut shares = Shares::new(Budget::new(1_000));
        let (now, ours) = (Instant::now(), [t(0), t(1)]);
        let held = shares.of(&t(0)).take(800);
        shares.look(now, &ours, &NONE);
        drop(held);
        assert!(shares.look(now, &ours, &NONE).may_take);
        let _held = shares.of(&t(0)).take(800);
        assert!(shares.look(now + PRESSURE, &ours, &NONE).pause.is_empty());
    }
}
