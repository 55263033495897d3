//! Says in the log that what operators ask fails, and that it works again.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How often it is said.
const EACH: Duration = Duration::from_secs(60);

/// The trouble of one operator.
#[derive(Default)]
pub(super) struct Trouble {
    /// Whether the last call failed: what works is looked at without the lock.
    now: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// When it began.
    since: Option<Instant>,
    last: Option<Instant>,
    /// How often it has failed since then.
    failures: u64,
}

impl Trouble {
    /// A call has failed: that is said at once, and then once a minute with how often.
    pub fn failed(&self, message: &str) {
        self.now.store(true, Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.failures += 1;
        said.since.get_or_insert_with(Instant::now);
        if said.last.is_none_or(|last| last.elapsed() >= EACH) {
            said.last = Some(Instant::now());
            tracing::warn!(failures = said.failures, "{message}; its record is tried again");
        }
    }

    /// A call has succeeded: after a trouble that lasted, that is said too.
    pub fn ended(&self) {
        if !self.now.load(Relaxed) || !self.now.swap(false, Relaxed) {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lasted = said.since.take().map(|since| since.elapsed()).unwrap_or_default();
        if lasted >= Duration::from_secs(1) {
            tracing::info!(failures = said.failures, "it answers again, after {:.1} s", lasted.as_secs_f64());
            said.last = None;
        }
        said.failures = 0;
    }
}
