//! The latest rebalances, for `pipeline explain`.

use std::{collections::VecDeque, fmt, time::Duration};

use crate::record::{TopicPartition, places};

/// How many are kept.
const KEPT: usize = 64;

/// What happened to partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RebalanceEvent {
    /// Partitions were assigned.
    Assign,
    /// They were handed over.
    Revoke,
    /// They were lost: another member had them already.
    Lost,
}

impl RebalanceEvent {
    /// The value of the label `event`.
    pub fn name(self) -> &'static str {
        match self {
            RebalanceEvent::Assign => "assign",
            RebalanceEvent::Revoke => "revoke",
            RebalanceEvent::Lost => "lost",
        }
    }
}

/// One assignment or revocation, with what it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RebalanceRecord {
    /// When it ended, in milliseconds since 1970 UTC.
    pub at: i64,
    /// Whether partitions came, went, or were lost.
    pub event: RebalanceEvent,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// Its phases in order, and how long each took.
    pub phases: Vec<(&'static str, Duration)>,
    /// A note; may be empty.
    pub note: &'static str,
}

impl RebalanceRecord {
    /// All phases together.
    pub fn took(&self) -> Duration {
        self.phases.iter().map(|(_, took)| *took).sum()
    }
}

impl fmt::Display for RebalanceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} partitions {}", self.event.name(), places(&self.partitions))?;
        for (phase, took) in &self.phases {
            write!(f, ", {phase} {:.1} ms", took.as_secs_f64() * 1e3)?;
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, " ({})", self.note) }
    }
}

/// The latest rebalances, the oldest first.
#[derive(Default)]
pub struct RebalanceRecords(VecDeque<RebalanceRecord>);

impl RebalanceRecords {
    pub fn push(&mut self, record: RebalanceRecord) {
        self.0.drain(..self.0.len().saturating_sub(KEPT - 1));
        self.0.push_back(record);
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &RebalanceRecord> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: i64) -> RebalanceRecord {
        let phases =
            vec![("finishing", Duration::from_millis(12)), ("committing", Duration::from_micros(3_400))];
        RebalanceRecord {
            at,
            event: RebalanceEvent::Revoke,
            partitions: [0, 3].map(|number| TopicPartition::new("t", number)).to_vec(),
            phases,
            note: "",
        }
    }

    #[test]
    fn the_last_ones_are_kept_in_order() {
        let mut records = RebalanceRecords::default();
        (0..100).for_each(|at| records.push(record(at)));
        let kept: Vec<i64> = records.iter().map(|record| record.at).collect();
        assert_eq!(kept, (36..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_reads_as_a_line() {
        assert_eq!(record(0).to_string(), "revoke partitions 0 3, finishing 12.0 ms, committing 3.4 ms");
        let lost = RebalanceRecord { partitions: vec![], phases: vec![], note: "why", ..record(0) };
        assert_eq!(lost.to_string(), "revoke partitions none (why)");
    }
}
