//! Where the time of the lanes goes: each is in one stage at a time.

use std::time::Duration;

use crate::telemetry::{Progress, Stage};

/// How many lanes are in each stage, and since when.
#[derive(Default)]
pub struct Stages {
    since: Duration,
    lanes: [u32; Stage::ALL.len()],
}

impl Stages {
    /// Reports how long the lanes have been in the stages that they entered last.
    pub fn report(&mut self, now: Duration, progress: &Progress) {
        let elapsed = now - self.since;
        self.since = now;
        for (stage, lanes) in Stage::ALL.into_iter().zip(self.lanes) {
            if lanes > 0 {
                progress.spent(stage, lanes, elapsed);
            }
        }
    }

    /// Records the stage of each lane from now on.
    pub fn enter(&mut self, stages: impl Iterator<Item = Stage>) {
        self.lanes = [0; Stage::ALL.len()];
        stages.for_each(|stage| self.lanes[stage as usize] += 1);
    }
}
