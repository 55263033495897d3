//! What a book counts: by phase, by window, and over time.

use std::{
    sync::mpsc::Sender,
    time::{Duration, Instant, SystemTime},
};

use hdrhistogram::Histogram;

use super::{
    ledger::{Ledger, Pending},
    measure::{Interval, PhaseResults, Timeline, Totals, Window, micros},
    script::{LoadModel, Phase, Script},
};

/// How many requests that were given up are remembered: 10 MB.
const GIVEN_UP: usize = 100_000;
/// How many answers that are not as they must be are listed one by one.
const SAMPLES: usize = 20;
/// The kind of failure of a request that was given up.
pub(super) const IN_TIME: &str = "no answer in time";

/// What is counted, by phase, and the requests that wait.
pub(super) struct State {
    pub start: Instant,
    pub began: SystemTime,
    pub ledger: Ledger,
    pub phases: Vec<PhaseResults>,
    /// The phase that runs.
    pub current: usize,
    /// Where the users of the current phase are reported whose request has ended.
    pub freed: Option<Sender<Freed>>,
    pub timeline: Timeline,
    /// Latencies since the last look.
    pub recent: Histogram<u32>,
    pub samples: Vec<String>,
    pub last_arrival: Instant,
}

/// A user, in a closed loop, whose request has ended.
#[derive(Clone, Copy, Debug)]
pub struct Freed {
    /// The user's number.
    pub user: u32,
    /// Whether it ended without a right answer.
    pub failed: bool,
}

impl State {
    /// Nothing is counted yet.
    pub fn new(script: &Script) -> State {
        let start = Instant::now();
        State {
            start,
            began: SystemTime::now(),
            ledger: Ledger::new(GIVEN_UP),
            phases: script.phases.iter().map(empty).collect(),
            current: 0,
            freed: None,
            timeline: Timeline::new(),
            recent: recent(),
            samples: Vec::new(),
            last_arrival: start,
        }
    }

    /// Latencies since the last call, in microseconds.
    pub fn take_recent(&mut self) -> Histogram<u32> {
        std::mem::replace(&mut self.recent, recent())
    }

    pub fn interval(&mut self, at: Instant) -> &mut Interval {
        let since = self.since(at);
        self.timeline.at(since)
    }

    /// From the run's beginning.
    pub fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    pub fn window(&mut self, request: &Pending) -> Option<&mut Window> {
        self.phases[request.phase].windows.get_mut(request.window)
    }

    /// The window at that time, whichever window the request is from that is answered then.
    pub fn window_at(&mut self, at: Instant) -> Option<&mut Window> {
        let since = self.since(at);
        let phase = &mut self.phases[self.current];
        let mut after = since.checked_sub(phase.began)?;
        phase.windows.iter_mut().find(|window| {
            let inside = after < window.segment.lasts;
            after = after.saturating_sub(window.segment.lasts);
            inside
        })
    }

    pub fn right(&mut self, request: &Pending, at: Instant) {
        self.waited(request, at);
        let since = self.since(at);
        let phase = &mut self.phases[request.phase];
        phase.totals.answered += 1;
        phase.totals.lasted = phase.totals.lasted.max(since.saturating_sub(phase.began));
        self.interval(at).answered += 1;
        if let Some(window) = self.window_at(at) {
            window.answered += 1;
        }
        self.set_free(request, false);
    }

    /// The request got no answer; it counts with the time that it has waited.
    pub fn gave_up(&mut self, request: &Pending, at: Instant) {
        self.waited(request, at);
        self.failed(request, IN_TIME);
    }

    pub fn waited(&mut self, request: &Pending, at: Instant) {
        let took = micros(at.saturating_duration_since(request.planned));
        self.phases[request.phase].totals.latency.saturating_record(took);
        self.recent.saturating_record(took);
        self.interval(request.planned).latency.saturating_record(took);
        if let Some(window) = self.window(request) {
            window.latency.saturating_record(took);
        }
    }

    pub fn failed(&mut self, request: &Pending, kind: &str) {
        self.phases[request.phase].totals.failed(kind);
        self.error(request);
        self.set_free(request, true);
    }

    pub fn error(&mut self, request: &Pending) {
        self.interval(request.planned).errors += 1;
        if let Some(window) = self.window(request) {
            window.errors += 1;
        }
    }

    pub fn set_free(&self, request: &Pending, failed: bool) {
        if let (Some(user), Some(freed), true) = (request.user, &self.freed, request.phase == self.current) {
            // The phase may be over.
            let _ = freed.send(Freed { user, failed });
        }
    }

    pub fn sample(&mut self, sentence: impl FnOnce() -> String) {
        if self.samples.len() < SAMPLES {
            self.samples.push(sentence());
        }
    }
}

fn empty(phase: &Phase) -> PhaseResults {
    let windows = match &phase.model {
        LoadModel::Open(profile) => profile.segments().iter().copied().map(Window::new).collect(),
        LoadModel::Closed { .. } => Vec::new(),
    };
    PhaseResults {
        name: phase.name.clone(),
        measured: phase.measured,
        began: Duration::ZERO,
        totals: Totals::default(),
        windows,
        saturated: false,
    }
}

/// A minute at most, to two figures: it is only shown for a second.
fn recent() -> Histogram<u32> {
    match Histogram::new_with_bounds(1, 60_000_000, 2) {
        Ok(histogram) => histogram,
        // It depends on nothing but the line above: 1 is below half of the largest, and five figures are allowed.
        Err(error) => unreachable!("the bounds are constants: {error}"),
    }
}
