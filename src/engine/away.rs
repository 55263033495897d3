//! Says in the log that operators wait for something that does not answer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How often it is said.
const EACH: Duration = Duration::from_secs(60);

/// When it was said last.
#[derive(Default, Debug)]
pub struct Away(Mutex<Option<Duration>>);

impl Away {
    /// Says it, unless it was said within the last minute.
    pub fn say(&self, now: Duration, message: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| now.saturating_sub(at) >= EACH) {
            *said = Some(now);
            tracing::warn!(reason = message, "records wait, and are tried again until it answers");
        }
    }
}
