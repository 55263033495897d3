//! What waits in each partition, in seconds of work.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use crate::record::{Offset, TopicPartition};

/// The most marks of a partition; beyond that, each stands for twice as many records.
const MARKS: usize = 4_096;

/// What the records cost that are read and not committed: by partition, in some thousand marks of consecutive records each,
/// however many records wait.
#[derive(Default)]
pub struct Backlog {
    partitions: HashMap<TopicPartition, Waiting>,
    arrived: u64,
    done: u64,
}

#[derive(Default)]
struct Waiting {
    marks: VecDeque<Mark>,
    /// How many records a mark stands for.
    records: u32,
}

struct Mark {
    /// The offset behind its last record.
    end: i64,
    records: u32,
    /// What has arrived.
    nanos: u64,
    later: Option<Later>,
}

/// What is not to be done before a moment: only then it has arrived.
struct Later {
    nanos: u64,
    at: Duration,
}

impl Backlog {
    /// A record was read that is expected to cost so many nanoseconds, and is not to be computed before `at`.
    pub fn read(&mut self, partition: &TopicPartition, offset: Offset, nanos: u64, at: Option<Duration>) {
        if !self.partitions.contains_key(partition) {
            self.partitions.insert(partition.clone(), Waiting::default());
        }
        if let Some(waiting) = self.partitions.get_mut(partition) {
            let (nanos, later) = match at {
                Some(at) => (0, Some(Later { nanos, at })),
                None => (nanos, None),
            };
            self.arrived = self.arrived.saturating_add(nanos);
            waiting.push(Mark { end: offset.0 + 1, records: 1, nanos, later });
        }
    }

    /// It is that late now: what was not to be done before has arrived.
    pub fn tick(&mut self, now: Duration) {
        for mark in self.partitions.values_mut().flat_map(|waiting| &mut waiting.marks) {
            if let Some(later) = mark.later.take_if(|later| later.at <= now) {
                mark.nanos = mark.nanos.saturating_add(later.nanos);
                self.arrived = self.arrived.saturating_add(later.nanos);
            }
        }
    }

    /// The group has committed this offset of a partition: what is before it is done.
    pub fn committed(&mut self, partition: &TopicPartition, offset: Offset) {
        let Some(waiting) = self.partitions.get_mut(partition) else { return };
        while waiting.marks.front().is_some_and(|mark| mark.end <= offset.0)
            && let Some(mark) = waiting.marks.pop_front()
        {
            // The worker's clock may be ahead of this one.
            let later = mark.later.map_or(0, |later| later.nanos);
            self.arrived = self.arrived.saturating_add(later);
            self.done = self.done.saturating_add(mark.nanos.saturating_add(later));
        }
    }

    /// Nanoseconds of work that wait.
    pub fn waiting(&self) -> u64 {
        self.arrived.saturating_sub(self.done)
    }

    /// Nanoseconds of work that have been read so far.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Nanoseconds of work that have been committed so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many partitions have something that can be done now: no more workers can share it. `by_number` counts those of a number as one.
    pub fn busy(&self, by_number: bool) -> u32 {
        let busy = self.partitions.iter().filter(|(_, waiting)| waiting.marks.iter().any(Mark::is_work));
        let count = match by_number {
            true => busy.map(|(partition, _)| partition.partition).collect::<HashSet<i32>>().len(),
            false => busy.count(),
        };
        count as u32
    }
}

impl Waiting {
    fn push(&mut self, mark: Mark) {
        let each = self.records.max(1);
        match self.marks.back_mut() {
            Some(last) if last.records < each => last.join(mark),
            _ => self.marks.push_back(mark),
        }
        if self.marks.len() > MARKS {
            self.records = each.saturating_mul(2);
            let marks = std::mem::take(&mut self.marks);
            let mut marks = marks.into_iter();
            while let Some(mut mark) = marks.next() {
                if let Some(next) = marks.next() {
                    mark.join(next);
                }
                self.marks.push_back(mark);
            }
        }
    }
}

impl Mark {
    fn join(&mut self, next: Mark) {
        (self.end, self.records) = (next.end, self.records + next.records);
        self.nanos = self.nanos.saturating_add(next.nanos);
        self.later = match (self.later.take(), next.later) {
            (Some(one), Some(other)) => {
                Some(Later { nanos: one.nanos.saturating_add(other.nanos), at: one.at.max(other.at) })
            }
            (one, other) => one.or(other),
        };
    }

    fn is_work(&self) -> bool {
        self.later.is_none() || self.nanos > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_waits_until_it_is_committed() {
        let (one, other) = (TopicPartition::new("in", 0), TopicPartition::new("in", 1));
        let mut backlog = Backlog::default();
        for offset in 0..10 {
            backlog.read(&one, Offset(offset), 100, None);
        }
        backlog.read(&other, Offset(7), 5_000, None);
        assert_eq!((backlog.waiting(), backlog.busy(false)), (6_000, 2));
        backlog.committed(&one, Offset(4));
        assert_eq!((backlog.waiting(), backlog.done()), (5_600, 400));
        backlog.committed(&one, Offset(4));
        backlog.committed(&TopicPartition::new("in", 2), Offset(4));
        backlog.committed(&one, Offset(10));
        assert_eq!((backlog.waiting(), backlog.busy(false), backlog.arrived()), (5_000, 1, 6_000));
        backlog.committed(&other, Offset(8));
        assert_eq!((backlog.waiting(), backlog.busy(false)), (0, 0));
    }

    #[test]
    fn what_is_to_be_done_later_is_work_from_then_on() {
        let (source, retry) = (TopicPartition::new("in", 0), TopicPartition::new("in-retry-1", 0));
        let at = |seconds| Some(Duration::from_secs(seconds));
        let mut backlog = Backlog::default();
        backlog.read(&source, Offset(0), 7, None);
        backlog.read(&retry, Offset(0), 100, at(60));
        backlog.read(&retry, Offset(1), 200, at(50));
        backlog.tick(Duration::from_secs(49));
        assert_eq!((backlog.waiting(), backlog.busy(false)), (7, 1));
        backlog.tick(Duration::from_secs(50));
        assert_eq!((backlog.waiting(), backlog.busy(false), backlog.busy(true)), (207, 2, 1));
        // Two who do not agree on the time.
        backlog.committed(&retry, Offset(2));
        assert_eq!((backlog.waiting(), backlog.done(), backlog.busy(false)), (7, 300, 1));
    }

    #[test]
    fn ten_thousand_that_wait_for_their_time_are_all_work_after_the_last_one() {
        let partition = TopicPartition::new("in-retry-1", 0);
        let mut backlog = Backlog::default();
        for offset in 0..10_000 {
            backlog.read(&partition, Offset(offset), 3, Some(Duration::from_millis(offset as u64)));
        }
        backlog.tick(Duration::from_secs(5));
        assert!((14_980..=15_003).contains(&backlog.waiting()), "{}", backlog.waiting());
        backlog.tick(Duration::from_secs(10));
        assert_eq!(backlog.waiting(), 30_000);
    }

    #[test]
    fn a_million_records_take_no_more_room_and_no_work_is_lost() {
        let partition = TopicPartition::new("in", 0);
        let mut backlog = Backlog::default();
        for offset in 0..1_000_000 {
            backlog.read(&partition, Offset(offset), 3, None);
        }
        assert!(backlog.partitions[&partition].marks.len() <= MARKS + 1);
        assert_eq!(backlog.waiting(), 3_000_000);
        backlog.committed(&partition, Offset(500_000));
        // A mark counts until all of it is committed.
        assert!((1_500_000..1_502_000).contains(&backlog.waiting()), "{}", backlog.waiting());
        backlog.committed(&partition, Offset(1_000_000));
        assert_eq!(backlog.waiting(), 0);
    }
}
