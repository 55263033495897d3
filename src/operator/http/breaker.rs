//! Spares a service that fails: a circuit breaker.
//!
//! After a number of failures in a row nobody asks for a while; then one call tries whether it works again. What waits here keeps
//! its place, and has not failed.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// So many failures in a row open the circuit.
const FAILURES: u32 = 10;
/// The first pause; it doubles with each try that fails.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Breaker {
    state: Mutex<State>,
    /// Whoever waits looks again.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// In a row.
    failures: u32,
    /// Nobody asks before.
    closed_until: Option<Instant>,
    pause: Duration,
    /// Whether one tries whether it works again.
    trying: bool,
}

/// One call that may be made. Dropped without a word, it counts as nothing.
pub struct Attempt<'b> {
    breaker: &'b Breaker,
    /// Whether it is the one that tries.
    tries: bool,
}

impl Breaker {
    /// Waits until a call may be made.
    pub async fn enter(&self) -> Attempt<'_> {
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.state();
                match state.closed_until {
                    None => return Attempt { breaker: self, tries: false },
                    Some(until) if until <= Instant::now() && !state.trying => {
                        state.trying = true;
                        return Attempt { breaker: self, tries: true };
                    }
                    Some(until) if state.trying => until + LONGEST,
                    Some(until) => until,
                }
            };
            let _ = timeout_at(until, changed).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The service has answered.
    pub fn succeeded(self) {
        let mut state = self.breaker.state();
        let was_closed = state.closed_until.is_some();
        // Others that were under way may succeed while the circuit is open; only the one that tries closes it.
        if self.tries || !was_closed {
            *state = State::default();
        }
        drop(state);
        if was_closed {
            self.breaker.changed.notify_waiters();
        }
    }

    /// It has not, or says that it cannot; `after` is when it wants to be asked again, where it says so.
    pub fn failed(self, after: Option<Duration>) {
        let mut state = self.breaker.state();
        state.failures += 1;
        if self.tries || after.is_some() || (state.failures >= FAILURES && state.closed_until.is_none()) {
            let doubled = if state.pause.is_zero() { FIRST } else { (state.pause * 2).min(LONGEST) };
            if after.is_none() {
                state.pause = doubled;
            }
            let until = Instant::now() + after.unwrap_or(doubled);
            state.closed_until = Some(state.closed_until.map_or(until, |before| before.max(until)));
        }
        // Dropping the attempt lets another one try.
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.breaker.state().trying = false;
            self.breaker.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    async fn open() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.enter().now_or_never().unwrap().failed(None);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_in_a_row_nobody_asks_and_then_one_tries() {
        let breaker = open().await;
        assert!(breaker.enter().now_or_never().is_none());
        tokio::time::sleep(FIRST).await;
        let tries = breaker.enter().await;
        assert!(breaker.enter().now_or_never().is_none(), "one is enough");
        tries.failed(None);
        tokio::time::sleep(FIRST).await;
        assert!(breaker.enter().now_or_never().is_none(), "the pause is longer");
        let begun = Instant::now();
        breaker.enter().await.succeeded();
        assert_eq!(begun.elapsed(), FIRST);
        assert!(breaker.enter().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_keeps_it_closed() {
        let breaker = Breaker::default();
        for n in 0..5 * FAILURES {
            let attempt = breaker.enter().now_or_never().unwrap();
            if n % (FAILURES - 1) == 0 { attempt.succeeded() } else { attempt.failed(None) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_asks_for_a_pause_gets_it_at_once() {
        let breaker = Breaker::default();
        breaker.enter().await.failed(Some(Duration::from_secs(7)));
        let begun = Instant::now();
        breaker.enter().await.succeeded();
        assert_eq!(begun.elapsed(), Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_tries_and_is_given_up_lets_another_try() {
        let breaker = open().await;
        tokio::time::sleep(FIRST).await;
        let gives_up = breaker.enter().await;
        let waits = breaker.enter();
        tokio::pin!(waits);
        assert!((&mut waits).now_or_never().is_none());
        drop(gives_up);
        assert!((&mut waits).now_or_never().is_some());
    }
}
