//! Has a source end before its topic does: whoever wants so many records must not commit what lies behind them.

use std::collections::BTreeMap;

use crate::{
    engine::{Assignment, SourceEvent},
    record::{Batch, BatchBuilder, Offset},
};

/// Where reading ends, by partition of the one topic that is read. Of others nothing is read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Until(pub BTreeMap<i32, i64>);

impl Until {
    /// The event as it would be if the partitions ended there.
    pub fn cut(&self, event: SourceEvent) -> SourceEvent {
        match event {
            SourceEvent::Assigned(assignments) => SourceEvent::Assigned(self.assignments(assignments)),
            SourceEvent::Rewound(assignments) => SourceEvent::Rewound(self.assignments(assignments)),
            SourceEvent::Batch(batch, room) => {
                let end = self.of(batch.partition.partition);
                let wanted = (0..batch.len()).take_while(|index| batch.offset(*index) < end).count();
                match wanted {
                    0 => SourceEvent::End(batch.partition, end),
                    wanted if wanted == batch.len() => SourceEvent::Batch(batch, room),
                    wanted => SourceEvent::Batch(first(&batch, wanted), room),
                }
            }
            SourceEvent::End(partition, offset) => {
                let end = self.of(partition.partition);
                SourceEvent::End(partition, offset.min(end))
            }
            event => event,
        }
    }

    fn of(&self, partition: i32) -> Offset {
        Offset(self.0.get(&partition).copied().unwrap_or_default())
    }

    fn assignments(&self, mut assignments: Vec<Assignment>) -> Vec<Assignment> {
        for assignment in &mut assignments {
            assignment.end = assignment.end.min(self.of(assignment.partition.partition));
        }
        assignments
    }
}

/// The first records of a batch.
fn first(batch: &Batch, count: usize) -> Batch {
    let mut first = BatchBuilder::new(batch.partition.clone());
    for index in 0..count {
        let record = batch.record(index);
        first.push(
            batch.offset(index),
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            record.headers,
        );
    }
    first.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Budget, record::TopicPartition};

    fn batch(partition: i32, offsets: &[i64]) -> SourceEvent {
        let mut batch = BatchBuilder::new(TopicPartition::new("t", partition));
        for offset in offsets {
            let value = offset.to_string();
            batch.push(
                Offset(*offset),
                Some(7),
                None,
                Some(value.as_bytes()),
                [("h", "x")].into_iter().collect(),
            );
        }
        SourceEvent::Batch(batch.build(), Budget::new(1_000).take(1))
    }

    /// The offsets and values of a batch, or the offset of an end.
    fn said(event: &SourceEvent) -> (Vec<(i64, String)>, Option<i64>) {
        match event {
            SourceEvent::Batch(batch, _) => {
                let one = |index: usize| {
                    let record = batch.record(index);
                    assert_eq!(
                        (record.key, record.timestamp, record.headers.text("h")),
                        (None, Some(7), Some("x"))
                    );
                    (batch.offset(index).0, String::from_utf8(record.value.unwrap().to_vec()).unwrap())
                };
                ((0..batch.len()).map(one).collect(), None)
            }
            SourceEvent::End(_, offset) => (Vec::new(), Some(offset.0)),
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_not_seen() {
        let until = Until(BTreeMap::from([(0, 5), (1, 9)]));
        let all =
            |offsets: &[i64]| offsets.iter().map(|offset| (*offset, offset.to_string())).collect::<Vec<_>>();
        assert_eq!(said(&until.cut(batch(0, &[1, 4, 5, 6]))), (all(&[1, 4]), None));
        assert_eq!(said(&until.cut(batch(0, &[5, 6]))), (Vec::new(), Some(5)));
        assert_eq!(said(&until.cut(batch(1, &[5, 8]))), (all(&[5, 8]), None));
        assert_eq!(said(&until.cut(batch(2, &[0]))), (Vec::new(), Some(0)), "it is not among them");
        let end = |offset| until.cut(SourceEvent::End(TopicPartition::new("t", 0), Offset(offset)));
        assert_eq!((said(&end(3)).1, said(&end(8)).1), (Some(3), Some(5)));
    }

    #[test]
    fn a_partition_ends_there_and_not_behind_it() {
        let until = Until(BTreeMap::from([(0, 5), (1, 9)]));
        let of = |partition: i32, end: i64| Assignment {
            partition: TopicPartition::new("t", partition),
            start: Offset(0),
            metadata: String::new(),
            end: Offset(end),
        };
        let SourceEvent::Assigned(cut) = until.cut(SourceEvent::Assigned(vec![of(0, 7), of(1, 7), of(2, 7)]))
        else {
            panic!("another event");
        };
        assert_eq!(cut.iter().map(|assignment| assignment.end.0).collect::<Vec<_>>(), [5, 7, 0]);
    }
}
