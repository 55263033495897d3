//! Runs one history after another, on all cores, until one breaks a promise.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    history::{Ending, play},
    log_lines,
    script::Script,
    shrink::shorten,
};
use crate::plant::{plant, planted_here};

/// How often progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many histories.
    pub histories: u64,
    /// The first seed; each next one is one higher.
    pub seed: u64,
    /// The number of threads; each history runs in one.
    pub threads: usize,
}

/// The outcome.
#[derive(Debug)]
pub struct Report {
    /// Histories run to their end.
    pub histories: u64,
    /// How long it took.
    pub took: Duration,
    /// How long the histories were, in their own time.
    pub lived: Duration,
    /// The number of their schedulers' steps.
    pub steps: u64,
    /// The lowest seed whose history broke a promise, if one did: see [`explain`].
    pub found: Option<u64>,
}

/// A history that broke a promise.
#[derive(Debug)]
pub struct Found {
    /// The promise, and how it was broken.
    pub violation: String,
    /// The shortest history found that breaks it, as lines.
    pub shortest: Vec<String>,
}

/// Runs histories. Calls `report` now and then with how many are done.
pub fn simulate(options: Options, report: &(dyn Fn(u64) + Sync)) -> Report {
    let began = Instant::now();
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let (done, micros, steps) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let fault = planted_here();
    let search = || {
        plant(fault);
        loop {
            let number = next.fetch_add(1, SeqCst);
            // Seeds below one that was found are still run, so that the lowest is found each time.
            if number >= options.histories || number > found.load(SeqCst) {
                return;
            }
            let ending = guarded(&Script::new(options.seed.wrapping_add(number)));
            if ending.violation.is_some() {
                found.fetch_min(number, SeqCst);
            }
            done.fetch_add(1, Relaxed);
            micros.fetch_add(ending.took.as_micros() as u64, Relaxed);
            steps.fetch_add(ending.steps, Relaxed);
        }
    };
    thread::scope(|scope| {
        let searching: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(search)).collect();
        let mut reported = Instant::now();
        while !searching.iter().all(|thread| thread.is_finished()) {
            thread::sleep(Duration::from_millis(10));
            if reported.elapsed() >= REPORT_INTERVAL {
                reported = Instant::now();
                report(done.load(Relaxed));
            }
        }
    });
    let found = found.into_inner();
    Report {
        histories: done.into_inner(),
        took: began.elapsed(),
        lived: Duration::from_micros(micros.into_inner()),
        steps: steps.into_inner(),
        found: (found != u64::MAX).then(|| options.seed.wrapping_add(found)),
    }
}

/// Runs a history; a panic counts as a broken promise.
fn guarded(script: &Script) -> Ending {
    catch_unwind(AssertUnwindSafe(|| play(script, false))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Ending {
            violation: Some(format!("panic: {}", text.unwrap_or_default())),
            lines: Vec::new(),
            took: Duration::ZERO,
            steps: 0,
        }
    })
}

/// The shortest history found from a seed that breaks a promise.
pub fn explain(seed: u64) -> Found {
    let script = Script::new(seed);
    let Some(violation) = guarded(&script).violation else {
        // A history depends on its seed only.
        let violation = "the same seed led to another history: the simulation itself is wrong".to_owned();
        return Found { violation, shortest: Vec::new() };
    };
    if violation.starts_with("panic") {
        return Found { violation, shortest: script.lines() };
    }
    let (script, violation) = shorten(script, violation);
    let mut shortest = script.lines();
    shortest.extend(log_lines::keeping(|| play(&script, true)).lines);
    shortest.push(format!("BROKEN     {violation}"));
    Found { violation, shortest }
}
