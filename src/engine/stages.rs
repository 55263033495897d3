//! Where the lanes' time goes: each is in one stage at a time.

use std::time::Duration;

use super::{Sink, Source, run::Engine};
use crate::telemetry::Stage;

/// How many lanes are in which stage since when.
#[derive(Default)]
pub struct Stages {
    since: Duration,
    lanes: [u32; Stage::ALL.len()],
}

impl<S: Source, K: Sink> Engine<S, K> {
    /// Tells how long the lanes have been in the stages that they were in when the loop last waited.
    pub(super) fn tell_stages(&mut self, now: Duration) {
        let elapsed = now - self.stages.since;
        self.stages.since = now;
        for (stage, lanes) in Stage::ALL.into_iter().zip(self.stages.lanes) {
            if lanes > 0 {
                self.progress.spent(stage, lanes, elapsed);
            }
        }
    }

    /// Looks in which stages the lanes are, before the loop waits.
    pub(super) fn look_at_stages(&mut self) {
        let mut stages = [0; Stage::ALL.len()];
        let has_room = self.plan.budget.has_room();
        let (may_send, committing) = (self.committer.may_send(), !self.committer.is_idle());
        for lane in self.lanes.values() {
            stages[lane.stage(has_room, may_send, committing) as usize] += 1;
        }
        self.stages.lanes = stages;
    }
}
