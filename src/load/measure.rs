//! The results of a run: counts and histograms, by phase, by window of a phase, and over time.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use hdrhistogram::Histogram;

use super::plan::Segment;

/// A distribution of times, in microseconds, to three figures.
pub type Distribution = Histogram<u64>;

/// How many kinds of failure are counted apart; the rest are "other".
const KINDS: usize = 50;
/// The number of intervals at which neighbours are merged.
const INTERVALS: usize = 600;
/// The first length of an interval.
const SHORTEST: Duration = Duration::from_millis(100);

/// Counts and times of a phase, or of all that are measured.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Requests that were to be sent.
    pub planned: u64,
    /// Right answers in time.
    pub answered: u64,
    /// Requests without a right answer in time, by reason; wrong answers are counted apart.
    pub failures: BTreeMap<String, u64>,
    /// Answers that are not right.
    pub wrong: u64,
    /// Requests that were sent, given up, and never answered.
    pub lost: u64,
    /// Answers beyond the first.
    pub double: u64,
    /// Answers to requests that were given up.
    pub late: u64,
    /// From the first planned time to the last planned time or answer.
    pub lasted: Duration,
    /// From the planned time to the right answer, or to giving up: that request waited at least this long.
    pub latency: Distribution,
    /// From the planned time to the sending.
    pub delay: Distribution,
    /// From the sending to the broker's acknowledgement.
    pub acknowledgement: Distribution,
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            planned: 0,
            answered: 0,
            failures: BTreeMap::new(),
            wrong: 0,
            lost: 0,
            double: 0,
            late: 0,
            lasted: Duration::ZERO,
            latency: distribution(),
            delay: distribution(),
            acknowledgement: distribution(),
        }
    }
}

/// An hour at most, to three figures: 200 KB.
fn distribution() -> Distribution {
    match Histogram::new_with_bounds(1, 3_600_000_000, 3) {
        Ok(histogram) => histogram,
        // It depends on nothing but the line above: 1 is below half of the largest, and five figures are allowed.
        Err(error) => unreachable!("the bounds are constants: {error}"),
    }
}

/// The same to two figures: 13 KB.
fn coarse() -> Histogram<u32> {
    match Histogram::new_with_bounds(1, 3_600_000_000, 2) {
        Ok(histogram) => histogram,
        // It depends on nothing but the line above: 1 is below half of the largest, and five figures are allowed.
        Err(error) => unreachable!("the bounds are constants: {error}"),
    }
}

/// Whole microseconds, and at least one, which is the least that a histogram has.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

impl Totals {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        if self.lasted.is_zero() { 0.0 } else { self.answered as f64 / self.lasted.as_secs_f64() }
    }

    /// Requests without a right answer in time.
    pub fn errors(&self) -> u64 {
        self.wrong + self.failures.values().sum::<u64>()
    }

    pub(super) fn failed(&mut self, kind: &str) {
        if let Some(count) = self.failures.get_mut(kind) {
            *count += 1;
        } else if self.failures.len() < KINDS {
            self.failures.insert(kind.to_owned(), 1);
        } else {
            *self.failures.entry("other".to_owned()).or_default() += 1;
        }
    }

    pub(super) fn add(&mut self, other: &Totals) {
        self.planned += other.planned;
        self.answered += other.answered;
        for (kind, count) in &other.failures {
            *self.failures.entry(kind.clone()).or_default() += count;
        }
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.double += other.double;
        self.late += other.late;
        self.lasted += other.lasted;
        for (sum, part) in [
            (&mut self.latency, &other.latency),
            (&mut self.delay, &other.delay),
            (&mut self.acknowledgement, &other.acknowledgement),
        ] {
            // All have the same bounds.
            let _ = sum.add(part);
        }
    }
}

/// One segment of a phase's profile: what was asked in it, and what came.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its length and its rates.
    pub segment: Segment,
    /// Requests that were to be sent in it.
    pub planned: u64,
    /// Right answers that came while it lasted, to any request.
    pub answered: u64,
    /// Its requests without a right answer.
    pub errors: u64,
    /// The latencies of its requests, in microseconds.
    pub latency: Histogram<u32>,
}

impl Window {
    pub(super) fn new(segment: Segment) -> Window {
        Window { segment, planned: 0, answered: 0, errors: 0, latency: coarse() }
    }

    /// Requests a second.
    pub fn asked_rate(&self) -> f64 {
        self.planned as f64 / self.segment.lasts.as_secs_f64()
    }

    /// Right answers a second.
    pub fn answered_rate(&self) -> f64 {
        self.answered as f64 / self.segment.lasts.as_secs_f64()
    }
}

/// A phase and its results.
#[derive(Clone, Debug)]
pub struct PhaseResults {
    /// Its name.
    pub name: String,
    /// Whether it counts for the totals and thresholds.
    pub measured: bool,
    /// When it began, from the beginning of the run.
    pub began: Duration,
    /// Its counts and times.
    pub totals: Totals,
    /// The parts of its profile; empty in a closed loop.
    pub windows: Vec<Window>,
    /// Whether it ended early because answers fell behind.
    pub saturated: bool,
}

/// A short stretch of the run.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Requests that were to be sent in it.
    pub planned: u64,
    /// Right answers that came in it.
    pub answered: u64,
    /// Its requests without a right answer.
    pub errors: u64,
    /// The latencies of the requests that were planned in it, in microseconds.
    pub latency: Histogram<u32>,
}

/// The run over time: up to 600 intervals, which become twice as long when more are needed.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    pub length: Duration,
    pub intervals: Vec<Interval>,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline { length: SHORTEST, intervals: Vec::new() }
    }

    /// The interval at that time from the run's beginning.
    pub fn at(&mut self, after: Duration) -> &mut Interval {
        loop {
            let index = usize::try_from(after.as_nanos() / self.length.as_nanos()).unwrap_or(usize::MAX);
            if index < INTERVALS {
                let empty = || Interval { planned: 0, answered: 0, errors: 0, latency: coarse() };
                if self.intervals.len() <= index {
                    self.intervals.resize_with(index + 1, empty);
                }
                return &mut self.intervals[index];
            }
            self.intervals = merged(&self.intervals, 2);
            self.length *= 2;
        }
    }
}

/// Merges each `together` neighbours into one interval.
pub(super) fn merged(intervals: &[Interval], together: usize) -> Vec<Interval> {
    let merge = |part: &[Interval]| {
        let mut sum = part[0].clone();
        for other in &part[1..] {
            sum.planned += other.planned;
            sum.answered += other.answered;
            sum.errors += other.errors;
            // All have the same bounds.
            let _ = sum.latency.add(&other.latency);
        }
        sum
    };
    intervals.chunks(together.max(1)).map(merge).collect()
}

/// All results of a run.
#[derive(Clone, Debug)]
pub struct Results {
    /// When it began.
    pub began: SystemTime,
    /// The sum of the phases that are measured.
    pub totals: Totals,
    /// Each phase, including those that do not count.
    pub phases: Vec<PhaseResults>,
    /// The run over time.
    pub intervals: Vec<Interval>,
    /// How long each interval is.
    pub interval: Duration,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Requests that still waited when it was stopped.
    pub abandoned: u64,
    /// The first few answers that were wrong, lost, double or late, each as a sentence.
    pub samples: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_longer_intervals_and_not_more_of_them() {
        let mut timeline = Timeline::new();
        for second in 0..100_000_u64 {
            let interval = timeline.at(Duration::from_secs(second));
            interval.planned += 1;
            interval.latency.saturating_record(second + 1);
        }
        assert!(timeline.intervals.len() <= INTERVALS && timeline.intervals.len() > INTERVALS / 2);
        assert_eq!(timeline.intervals.iter().map(|interval| interval.planned).sum::<u64>(), 100_000);
        let first = &timeline.intervals[0];
        assert_eq!(first.planned, timeline.length.as_millis().div_ceil(1_000) as u64);
        assert_eq!(first.latency.len(), first.planned, "no time is lost when neighbours become one");
    }

    #[test]
    fn kinds_of_failure_beyond_measure_are_counted_together() {
        let mut totals = Totals::default();
        for kind in 0..1_000 {
            totals.failed(&kind.to_string());
        }
        assert_eq!(totals.failures.len(), KINDS + 1);
        assert_eq!((totals.failures["other"], totals.errors()), (1_000 - KINDS as u64, 1_000));
    }
}
