//! What must hold once everything is quiet.

use std::collections::BTreeMap;

use super::{AnomalyKind, Judging};

impl Judging<'_> {
    pub(super) fn rest(&mut self) {
        let history = self.history;
        self.stalled();
        for open in &history.open {
            let text = format!(
                "{}[{}]: a transaction is open at offset {}, and the partition ends at {}",
                open.topic, open.place.partition, open.place.offset, open.end
            );
            self.broken(AnomalyKind::OpenTransaction, None, 0, text);
        }
        for text in &history.vanished {
            self.broken(AnomalyKind::AbortedRead, None, 0, text.clone());
        }
        for (at, text) in &history.ended {
            self.broken(AnomalyKind::WorkerEnded, None, *at, text.clone());
        }
    }

    /// Reports one anomaly for each partition, as it is the partition that stalled.
    fn stalled(&mut self) {
        let history = self.history;
        let mut partitions: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
        for number in &history.stalled {
            let asked = history.asked.get(*number as usize).filter(|asked| asked.answered.is_some());
            if let Some(place) = asked.and_then(|asked| asked.place) {
                partitions.entry(place.partition).or_default().push(*number);
            }
        }
        for (partition, numbers) in partitions {
            let first = &history.asked[numbers[0] as usize];
            let text = format!(
                "partition {partition}: {} requests, from offset {} on, were answered only after all workers had been \
                 started again",
                numbers.len(),
                first.place.map_or(0, |place| place.offset)
            );
            self.broken(AnomalyKind::Stalled, Some(numbers[0]), first.at, text);
        }
    }
}
