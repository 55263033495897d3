//! From what waits to how many workers are wanted.

use std::{collections::VecDeque, time::Duration};

use super::Backlog;
use crate::{
    config::Scale,
    record::{Offset, TopicPartition},
};

/// How long what was measured counts: after so long, the newest two thirds are new.
const MEMORY: Duration = Duration::from_secs(60);
/// What a worker is taken to do in a second before that is measured, in seconds of work.
const SPEED: f64 = 1.0;
/// What a worker is never taken to do less than, so that a stand-still does not ask for all workers there are.
const SLOWEST: f64 = 0.05;

/// What is known at a moment.
pub struct Look {
    /// Since some start.
    pub now: Duration,
    /// How many workers there are, if that is known.
    pub workers: Option<u32>,
    /// How many partitions workers can share; 0 where the source is not there yet.
    pub partitions: u32,
    /// Whether partitions of one number are one worker's, whatever their topic.
    pub by_number: bool,
    /// Whether somebody has paused the workers: then they do nothing, however many there are.
    pub paused: bool,
}

/// How things stand.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Standing {
    /// What waits, in seconds of work.
    pub backlog: f64,
    /// What arrives, in seconds of work a second.
    pub arriving: f64,
    /// Seconds of work that a worker does in a second, as measured.
    pub speed: f64,
    /// Workers in the group, where that is known.
    pub workers: Option<u32>,
    /// How many there should be.
    pub wanted: u32,
}

/// Says how many workers are wanted: as many as empty the backlog within the time that the file says, while more
/// arrives. More are wanted at once, fewer only after the need has been lower for a while.
pub struct Scaler {
    settings: Scale,
    backlog: Backlog,
    speed: f64,
    arriving: f64,
    /// What had arrived, was done and waited at the last look.
    last: Option<(Duration, u64, u64, u64)>,
    /// Whether nothing has come since the look before.
    is_quiet: bool,
    /// What was needed at each look, of those that still count: only as long as nothing higher came later.
    needed: VecDeque<(Duration, u32)>,
}

impl Scaler {
    /// A scaler that has seen nothing.
    pub fn new(settings: Scale) -> Self {
        Scaler {
            settings,
            backlog: Backlog::default(),
            speed: SPEED,
            arriving: 0.0,
            last: None,
            is_quiet: false,
            needed: VecDeque::new(),
        }
    }

    /// A record was read that is expected to cost so many nanoseconds. What has to wait in a retry topic is no work before `at`.
    pub fn read(&mut self, partition: &TopicPartition, offset: Offset, nanos: u64, at: Option<Duration>) {
        self.backlog.read(partition, offset, nanos, at);
    }

    /// All that waits is read once more. What was measured still counts.
    pub fn read_again(&mut self) {
        (self.backlog, self.last) = (Backlog::default(), None);
    }

    /// There are so many workers, and what was needed before is not known: no fewer are wanted for a while.
    pub fn keep(&mut self, now: Duration, workers: u32) {
        let workers = self.settings.max.map_or(workers, |max| workers.min(max));
        self.damped(now, workers);
    }

    /// The group has committed this offset.
    pub fn committed(&mut self, partition: &TopicPartition, offset: Offset) {
        self.backlog.committed(partition, offset);
    }

    /// How things stand now.
    pub fn look(&mut self, look: &Look) -> Standing {
        self.backlog.tick(look.now);
        self.measure(look);
        let backlog = seconds(self.backlog.waiting());
        let to_keep_up = self.arriving / self.speed;
        let to_empty = backlog / self.settings.empty_within.as_secs_f64() / self.speed;
        // A partition's records are one worker's, so more workers than busy partitions only keep up with what comes.
        let useful = f64::from(self.backlog.busy(look.by_number)).max(to_keep_up.ceil());
        let needed = (to_keep_up + to_empty).ceil().min(useful) as u32;
        // Nobody knows yet how many could share a source that is not there.
        let partitions = if look.partitions == 0 { u32::MAX } else { look.partitions };
        let most = self.settings.max.unwrap_or(partitions).min(partitions);
        // The average of what comes never quite ends: where nothing waits and nothing has come, one is not needed for that.
        let needed =
            if needed == 1 && self.is_quiet && self.backlog.busy(look.by_number) == 0 { 0 } else { needed };
        // More of them would not do more.
        let needed = if look.paused { look.workers.unwrap_or(self.settings.min) } else { needed };
        let needed = needed.clamp(self.settings.min.min(most), most);
        Standing {
            backlog,
            arriving: self.arriving,
            speed: self.speed,
            workers: look.workers,
            wanted: self.damped(look.now, needed),
        }
    }

    fn measure(&mut self, look: &Look) {
        if look.paused {
            self.last = None;
            return;
        }
        let (arrived, done, waiting) = (self.backlog.arrived(), self.backlog.done(), self.backlog.waiting());
        let Some((then, arrived_then, done_then, waiting_then)) =
            self.last.replace((look.now, arrived, done, waiting))
        else {
            return;
        };
        self.is_quiet = arrived == arrived_then;
        let passed = look.now.saturating_sub(then).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let weight = 1.0 - (-passed / MEMORY.as_secs_f64()).exp();
        self.arriving += weight * (seconds(arrived - arrived_then) / passed - self.arriving);
        // How fast they are shows only while there is enough for all of them.
        if let Some(workers) = look.workers.filter(|workers| *workers > 0)
            && self.backlog.busy(look.by_number) >= workers
            && waiting_then > 0
        {
            let speed = seconds(done - done_then) / passed / f64::from(workers);
            self.speed = (self.speed + weight * (speed - self.speed)).max(SLOWEST);
        }
    }

    /// The highest need within the time before fewer are wanted.
    fn damped(&mut self, now: Duration, needed: u32) -> u32 {
        while self.needed.back().is_some_and(|(_, lower)| *lower <= needed) {
            self.needed.pop_back();
        }
        self.needed.push_back((now, needed));
        let down_after = self.settings.down_after;
        while self.needed.front().is_some_and(|(then, _)| now.saturating_sub(*then) > down_after) {
            self.needed.pop_front();
        }
        self.needed.front().map_or(needed, |(_, needed)| *needed)
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
