//! What waits in each partition, in seconds of work.

use std::collections::{HashMap, VecDeque};

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
    nanos: u64,
}

impl Backlog {
    /// A record was read that is expected to cost so many nanoseconds.
    pub fn read(&mut self, partition: &TopicPartition, offset: Offset, nanos: u64) {
        self.arrived = self.arrived.saturating_add(nanos);
        if !self.partitions.contains_key(partition) {
            self.partitions.insert(partition.clone(), Waiting::default());
        }
        if let Some(waiting) = self.partitions.get_mut(partition) {
            waiting.push(offset, nanos);
        }
    }

    /// The group has committed this offset of a partition: what is before it is done.
    pub fn committed(&mut self, partition: &TopicPartition, offset: Offset) {
        let Some(waiting) = self.partitions.get_mut(partition) else { return };
        while let Some(mark) = waiting.marks.front().filter(|mark| mark.end <= offset.0) {
            self.done = self.done.saturating_add(mark.nanos);
            waiting.marks.pop_front();
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

    /// How many partitions have something that waits: no more workers can share it.
    pub fn busy(&self) -> u32 {
        self.partitions.values().filter(|waiting| !waiting.marks.is_empty()).count() as u32
    }
}

impl Waiting {
    fn push(&mut self, offset: Offset, nanos: u64) {
        let each = self.records.max(1);
        match self.marks.back_mut() {
            Some(mark) if mark.records < each => {
                (mark.end, mark.records) = (offset.0 + 1, mark.records + 1);
                mark.nanos = mark.nanos.saturating_add(nanos);
            }
            _ => self.marks.push_back(Mark { end: offset.0 + 1, records: 1, nanos }),
        }
        if self.marks.len() > MARKS {
            self.records = each.saturating_mul(2);
            let marks = std::mem::take(&mut self.marks);
            let mut marks = marks.into_iter();
            while let Some(mut mark) = marks.next() {
                if let Some(next) = marks.next() {
                    (mark.end, mark.records) = (next.end, mark.records + next.records);
                    mark.nanos = mark.nanos.saturating_add(next.nanos);
                }
                self.marks.push_back(mark);
            }
        }
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
            backlog.read(&one, Offset(offset), 100);
        }
        backlog.read(&other, Offset(7), 5_000);
        assert_eq!((backlog.waiting(), backlog.busy()), (6_000, 2));
        backlog.committed(&one, Offset(4));
        assert_eq!((backlog.waiting(), backlog.done()), (5_600, 400));
        backlog.committed(&one, Offset(4));
        backlog.committed(&TopicPartition::new("in", 2), Offset(4));
        backlog.committed(&one, Offset(10));
        assert_eq!((backlog.waiting(), backlog.busy(), backlog.arrived()), (5_000, 1, 6_000));
        backlog.committed(&other, Offset(8));
        assert_eq!((backlog.waiting(), backlog.busy()), (0, 0));
    }

    #[test]
    fn a_million_records_take_no_more_room_and_no_work_is_lost() {
        let partition = TopicPartition::new("in", 0);
        let mut backlog = Backlog::default();
        for offset in 0..1_000_000 {
            backlog.read(&partition, Offset(offset), 3);
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
