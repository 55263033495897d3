//! Plays one history after another, on all cores, until one breaks a promise.

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
    script::Script,
    shrink::shorten,
    told,
};
use crate::plant::{plant, planted_here};

/// How often it is told how far it is.
const TOLD: Duration = Duration::from_millis(500);

/// What is to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many histories.
    pub histories: u64,
    /// The first one's seed; each next one's is one higher.
    pub seed: u64,
    /// On how many threads; each history is in one.
    pub threads: usize,
}

/// What has come of it.
#[derive(Debug)]
pub struct Report {
    /// Histories played to their end.
    pub histories: u64,
    /// How long that took.
    pub took: Duration,
    /// How long the histories were, in their own time.
    pub lived: Duration,
    /// What their schedulers did.
    pub steps: u64,
    /// The lowest seed whose history broke a promise, if one did: see [`explain`].
    pub found: Option<u64>,
}

/// A history that broke a promise.
#[derive(Debug)]
pub struct Found {
    /// The promise, and by what it was broken.
    pub violation: String,
    /// The shortest history found that breaks it, as lines.
    pub shortest: Vec<String>,
}

/// Plays histories. `tell` is told now and then how many are done.
pub fn simulate(options: Options, tell: &(dyn Fn(u64) + Sync)) -> Report {
    let began = Instant::now();
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let (done, micros, steps) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let fault = planted_here();
    let search = || {
        plant(fault);
        loop {
            let number = next.fetch_add(1, SeqCst);
            // Lower seeds than one that was found are played to their end, so that the lowest is found each time.
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
        let mut told = Instant::now();
        while !searching.iter().all(|thread| thread.is_finished()) {
            thread::sleep(Duration::from_millis(10));
            if told.elapsed() >= TOLD {
                told = Instant::now();
                tell(done.load(Relaxed));
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

/// A history in which something panics has broken a promise.
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

/// The history of a seed that breaks a promise, made as short as it can be.
pub fn explain(seed: u64) -> Found {
    let script = Script::new(seed);
    let Some(violation) = guarded(&script).violation else {
        // A history is what its seed makes of it, and nothing else.
        let violation = "the same seed led to another history: the simulation itself is wrong".to_owned();
        return Found { violation, shortest: Vec::new() };
    };
    if violation.starts_with("panic") {
        return Found { violation, shortest: script.lines() };
    }
    let (script, violation) = shorten(script, violation);
    let mut shortest = script.lines();
    shortest.extend(told::keeping(|| play(&script, true)).lines);
    shortest.push(format!("BROKEN     {violation}"));
    Found { violation, shortest }
}
