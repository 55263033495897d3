//! What must be so once all has come to rest.

use std::collections::BTreeMap;

use super::{Judging, Kind};

impl Judging<'_> {
    pub(super) fn rest(&mut self) {
        let history = self.history;
        self.stalled();
        for open in &history.open {
            let text = format!(
                "{}[{}]: a transaction is open at offset {}, and the partition ends at {}",
                open.topic, open.place.partition, open.place.offset, open.end
            );
            self.broken(Kind::OpenTransaction, None, 0, text);
        }
        for text in &history.vanished {
            self.broken(Kind::AbortedRead, None, 0, text.clone());
        }
        for (at, text) in &history.ended {
            self.broken(Kind::WorkerEnded, None, *at, text.clone());
        }
    }

    /// One anomaly a partition: it is the partition that stalled.
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
            self.broken(Kind::Stalled, Some(numbers[0]), first.at, text);
        }
    }
}
