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
    ledger::{Arrival, GivenUp, Pending},
    measure::{Results, Totals, micros},
    script::{Script, Target},
    state::{Freed, IN_TIME, State},
};
use crate::telemetry::{RequestMetrics, RequestOutcome};

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
        Book {
            run,
            timeout: script.timeout,
            in_flight: script.in_flight,
            hears_late: matches!(script.target, Target::Kafka(_)),
            expected,
            metrics: RequestMetrics::new(&script.name),
            state: Mutex::new(State::new(script)),
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
            recent: state.take_recent(),
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
