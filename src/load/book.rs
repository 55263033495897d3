//! Every request from its planned time to its answer.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, mpsc::Sender},
    time::{Duration, Instant, SystemTime},
};

use hdrhistogram::Histogram;

use super::{
    fingerprint::{Expected, Fingerprint},
    id::RunId,
    knee,
    ledger::{Arrival, GivenUp, Ledger, Pending},
    measure::{Interval, PhaseResults, Results, Timeline, Totals, Window, micros},
    script::{LoadModel, Phase, Script, Target},
};
use crate::telemetry::{RequestMetrics, RequestOutcome};

/// How many requests that were given up are remembered: 10 MB.
const GIVEN_UP: usize = 100_000;
/// How many answers that are not as they must be are listed one by one.
const SAMPLES: usize = 20;
/// The kind of failure of a request that was given up.
const IN_TIME: &str = "no answer in time";

/// What came back for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// A result.
    Result {
        /// The number that it says it is for, where it says so.
        n: Option<u64>,
        /// Its digits; `None` where it is not a result at all.
        digits: Option<Fingerprint>,
    },
    /// An error, by its kind.
    Failed(&'a str),
}

/// Every request of a run, and what became of it. Targets report to it from any thread.
pub struct Book {
    run: RunId,
    timeout: Duration,
    in_flight: usize,
    /// Whether late answers are received, so that what never comes is lost. Otherwise the target itself
    /// reports what it has given up.
    hears_late: bool,
    expected: Expected,
    metrics: RequestMetrics,
    state: Mutex<State>,
}

struct State {
    start: Instant,
    began: SystemTime,
    ledger: Ledger,
    phases: Vec<PhaseResults>,
    /// The phase that runs.
    current: usize,
    /// Where the users of the current phase are reported whose request has ended.
    freed: Option<Sender<Freed>>,
    timeline: Timeline,
    /// Latencies since the last look.
    recent: Histogram<u32>,
    samples: Vec<String>,
    last_arrival: Instant,
}

/// A user, in a closed loop, whose request has ended.
#[derive(Clone, Copy, Debug)]
pub struct Freed {
    /// The user's number.
    pub user: u32,
    /// Whether it ended without a right answer.
    pub failed: bool,
}

/// The progress of a run.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The phase that runs.
    pub phase: String,
    /// Requests planned so far.
    pub planned: u64,
    /// Right answers so far.
    pub answered: u64,
    /// Requests without a right answer so far.
    pub errors: u64,
    /// Requests that wait for their answer.
    pub in_flight: usize,
    /// Latencies since the last look, in microseconds.
    pub recent: Histogram<u32>,
}

impl Book {
    /// An empty book for a run. Computes the expected fingerprints, which takes a while for large n.
    pub fn new(script: &Script, run: RunId) -> Book {
        let expected = Expected::up_to(script.largest());
        let start = Instant::now();
        let state = State {
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
        };
        Book {
            run,
            timeout: script.timeout,
            in_flight: script.in_flight,
            hears_late: matches!(script.target, Target::Kafka(_)),
            expected,
            metrics: RequestMetrics::new(&script.name),
            state: Mutex::new(state),
        }
    }

    /// The run, which makes the ids of its requests.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// How long to wait for an answer, from the planned time on.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The run begins: the clients are ready, and time counts.
    pub fn begins(&self, at: Instant) {
        let mut state = self.state();
        (state.start, state.began, state.last_arrival) = (at, SystemTime::now(), at);
    }

    /// A phase begins. Users whose request has ended are sent to `freed`.
    pub fn phase_begins(&self, phase: usize, at: Instant, freed: Option<Sender<Freed>>) {
        let mut state = self.state();
        state.current = phase;
        state.freed = freed;
        state.phases[phase].began = state.since(at);
    }

    /// A phase has sent all of its requests.
    pub fn phase_ends(&self, phase: usize, at: Instant, saturated: bool) {
        let mut state = self.state();
        let since = state.since(at);
        let results = &mut state.phases[phase];
        results.saturated = saturated;
        let lasted = since.saturating_sub(results.began);
        results.totals.lasted = results.totals.lasted.max(lasted);
    }

    /// Registers a request right before it is sent. Returns its number, or `None` where too many are in
    /// flight and it must not be sent.
    pub fn register(&self, request: Pending) -> Option<u64> {
        let mut state = self.state();
        let totals = &mut state.phases[request.phase].totals;
        totals.planned += 1;
        let delay = micros(request.sent.saturating_duration_since(request.planned));
        totals.delay.saturating_record(delay);
        state.interval(request.planned).planned += 1;
        if let Some(window) = state.window(&request) {
            window.planned += 1;
        }
        if state.ledger.waiting() >= self.in_flight {
            let kind = format!("not sent: {} were in flight", self.in_flight);
            state.failed(&request, &kind);
            return None;
        }
        Some(state.ledger.register(request))
    }

    /// The request could not be sent.
    pub fn not_sent(&self, number: u64, kind: &str) {
        let mut state = self.state();
        if let Some(request) = state.ledger.take_back(number) {
            state.failed(&request, kind);
        }
    }

    /// The broker has the request.
    pub fn acknowledged(&self, number: u64, at: Instant) {
        let mut state = self.state();
        // Where the answer came first, the acknowledgement is not measured.
        if let Some(pending) = state.ledger.pending(number).copied() {
            let took = at.saturating_duration_since(pending.sent);
            self.metrics.acknowledged(took);
            state.phases[pending.phase].totals.acknowledgement.saturating_record(micros(took));
        }
    }

    /// The broker does not have the request, or has not confirmed it; an answer would be late.
    pub fn not_produced(&self, number: u64, kind: &str) {
        let mut state = self.state();
        if let Some(request) = state.ledger.give_up(number, false) {
            state.failed(&request, kind);
        }
    }

    /// The wait for the request is over, and a late answer would not be received.
    pub fn timed_out(&self, number: u64, at: Instant) {
        let mut state = self.state();
        if let Some(request) = state.ledger.take_back(number) {
            self.metrics.ended(RequestOutcome::Timeout, at.saturating_duration_since(request.planned));
            state.gave_up(&request, at);
        }
    }

    /// An answer has come.
    pub fn answered(&self, number: u64, answer: Answer<'_>, at: Instant) {
        let mut state = self.state();
        state.last_arrival = at;
        match state.ledger.answered(number) {
            Arrival::First(request) => self.first(&mut state, number, &request, answer, at),
            Arrival::Late(known) => {
                self.metrics.late();
                let phase = known.map_or(state.current, |given_up| given_up.request.phase);
                let totals = &mut state.phases[phase].totals;
                totals.late += 1;
                if known.is_none_or(|given_up| given_up.lost) {
                    totals.lost = totals.lost.saturating_sub(1);
                }
                if let Some(GivenUp { request, .. }) = known
                    && let Err(why) = self.check(&request, answer)
                {
                    totals.wrong += 1;
                    state.sample(|| format!("{}: wrong, and late: {why}", self.name(number, request.n)));
                }
            }
            Arrival::Double => {
                let current = state.current;
                state.phases[current].totals.double += 1;
                state.sample(|| format!("{}: double: one more answer", self.run.id(number)));
            }
            Arrival::Unknown => {}
        }
    }

    fn first(&self, state: &mut State, number: u64, request: &Pending, answer: Answer<'_>, at: Instant) {
        let checked = self.check(request, answer);
        let outcome = match (answer, &checked) {
            (Answer::Result { .. }, Ok(())) => RequestOutcome::Ok,
            _ => RequestOutcome::Error,
        };
        self.metrics.ended(outcome, at.saturating_duration_since(request.planned));
        match (answer, checked) {
            (Answer::Failed(kind), _) => state.failed(request, kind),
            (_, Ok(())) => state.right(request, at),
            (_, Err(why)) => {
                state.phases[request.phase].totals.wrong += 1;
                state.error(request);
                state.sample(|| format!("{}: wrong: {why}", self.name(number, request.n)));
                state.set_free(request, true);
            }
        }
    }

    fn check(&self, request: &Pending, answer: Answer<'_>) -> Result<(), String> {
        match answer {
            Answer::Failed(_) => Ok(()),
            Answer::Result { digits: None, .. } => Err("not a result".to_owned()),
            Answer::Result { n: Some(n), .. } if n != request.n => Err(format!("it is for {n}")),
            Answer::Result { digits: Some(digits), .. } => {
                let expected = self.expected.of(request.n);
                if digits == expected { Ok(()) } else { Err(expected.difference(digits)) }
            }
        }
    }

    fn name(&self, number: u64, n: u64) -> String {
        format!("{n}, id {}", self.run.id(number))
    }

    /// Gives up requests that have waited too long, where the target does not do that itself.
    pub fn expire(&self, now: Instant) {
        let mut state = self.state();
        while self.hears_late
            && let Some((number, request)) = state.ledger.expire_one(self.timeout, now)
        {
            state.phases[request.phase].totals.lost += 1;
            self.metrics.ended(RequestOutcome::Timeout, now.saturating_duration_since(request.planned));
            state.gave_up(&request, now);
            state.sample(|| format!("{}: {IN_TIME}", self.name(number, request.n)));
        }
        self.metrics.in_flight(state.ledger.waiting());
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.state().ledger.waiting()
    }

    /// The time since the last answer.
    pub fn quiet(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.state().last_arrival)
    }

    /// How many requests were given up and have no answer since.
    pub fn lost(&self) -> u64 {
        self.state().phases.iter().map(|phase| phase.totals.lost).sum()
    }

    /// Whether answers fell behind in the last two windows of the phase before this one.
    pub fn is_saturated(&self, phase: usize, window: usize) -> bool {
        let state = self.state();
        let windows = &state.phases[phase].windows[..window];
        windows.len() >= 2 && windows[window - 2..].iter().all(knee::falls_behind)
    }

    /// The progress of the run; latencies are those since the last look.
    pub fn standing(&self) -> Standing {
        let mut state = self.state();
        let totals = |count: fn(&Totals) -> u64| state.phases.iter().map(|phase| count(&phase.totals)).sum();
        Standing {
            phase: state.phases[state.current].name.clone(),
            planned: totals(|totals| totals.planned),
            answered: totals(|totals| totals.answered),
            errors: totals(Totals::errors),
            in_flight: state.ledger.waiting(),
            recent: std::mem::replace(&mut state.recent, recent()),
        }
    }

    /// The results of the run; requests that still wait are abandoned.
    pub fn results(&self, stopped: bool) -> Results {
        let state = self.state();
        let mut totals = Totals::default();
        for phase in state.phases.iter().filter(|phase| phase.measured) {
            totals.add(&phase.totals);
        }
        Results {
            began: state.began,
            totals,
            phases: state.phases.clone(),
            intervals: state.timeline.intervals.clone(),
            interval: state.timeline.length,
            stopped,
            abandoned: state.ledger.waiting() as u64,
            samples: state.samples.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

impl State {
    fn interval(&mut self, at: Instant) -> &mut Interval {
        let since = self.since(at);
        self.timeline.at(since)
    }

    /// From the run's beginning.
    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    fn window(&mut self, request: &Pending) -> Option<&mut Window> {
        self.phases[request.phase].windows.get_mut(request.window)
    }

    /// The window at that time, whichever window the request is from that is answered then.
    fn window_at(&mut self, at: Instant) -> Option<&mut Window> {
        let since = self.since(at);
        let phase = &mut self.phases[self.current];
        let mut after = since.checked_sub(phase.began)?;
        phase.windows.iter_mut().find(|window| {
            let inside = after < window.segment.lasts;
            after = after.saturating_sub(window.segment.lasts);
            inside
        })
    }

    fn right(&mut self, request: &Pending, at: Instant) {
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
    fn gave_up(&mut self, request: &Pending, at: Instant) {
        self.waited(request, at);
        self.failed(request, IN_TIME);
    }

    fn waited(&mut self, request: &Pending, at: Instant) {
        let took = micros(at.saturating_duration_since(request.planned));
        self.phases[request.phase].totals.latency.saturating_record(took);
        self.recent.saturating_record(took);
        self.interval(request.planned).latency.saturating_record(took);
        if let Some(window) = self.window(request) {
            window.latency.saturating_record(took);
        }
    }

    fn failed(&mut self, request: &Pending, kind: &str) {
        self.phases[request.phase].totals.failed(kind);
        self.error(request);
        self.set_free(request, true);
    }

    fn error(&mut self, request: &Pending) {
        self.interval(request.planned).errors += 1;
        if let Some(window) = self.window(request) {
            window.errors += 1;
        }
    }

    fn set_free(&self, request: &Pending, failed: bool) {
        if let (Some(user), Some(freed), true) = (request.user, &self.freed, request.phase == self.current) {
            // The phase may be over.
            let _ = freed.send(Freed { user, failed });
        }
    }

    fn sample(&mut self, sentence: impl FnOnce() -> String) {
        if self.samples.len() < SAMPLES {
            self.samples.push(sentence());
        }
    }
}
