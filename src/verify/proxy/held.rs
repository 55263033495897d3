//! One request that is held back and released later.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// The next request of a kind, which a [`Proxy`](super::Proxy) holds back. Clones refer to the same request.
#[derive(Clone, Default)]
pub struct Held(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    released: CancellationToken,
}

#[derive(Default)]
struct State {
    /// The connection of the request, once it has come.
    connection: Option<CancellationToken>,
    answer: Option<Vec<u8>>,
}

impl Held {
    /// A request that has not come yet.
    pub fn new() -> Self {
        Held::default()
    }

    /// Waits until the request has come. Returns false on a time-out.
    pub fn caught(&self, within: Duration) -> bool {
        self.wait(within, |state| state.connection.is_some())
    }

    /// Cuts the request's connection on the client's side: the client does not learn its outcome, and retries
    /// on another connection.
    pub fn cut(&self) {
        if let Some(connection) = &self.state().connection {
            connection.cancel();
        }
    }

    /// Releases the request to the broker. Its answer is discarded if the client's connection is gone. A
    /// request that has not come yet will not be held.
    pub fn release(&self) {
        self.0.released.cancel();
    }

    /// Waits for the broker's answer, without size and correlation id; `None` on a time-out.
    pub fn answer(&self, within: Duration) -> Option<Vec<u8>> {
        self.wait(within, |state| state.answer.is_some());
        self.state().answer.clone()
    }

    /// Takes a request of that connection, unless one was taken already or it was released.
    pub(super) fn take(&self, connection: &CancellationToken) -> bool {
        let mut state = self.state();
        if state.connection.is_some() || self.0.released.is_cancelled() {
            return false;
        }
        state.connection = Some(connection.clone());
        self.0.changed.notify_all();
        true
    }

    pub(super) async fn released(&self) {
        self.0.released.cancelled().await;
    }

    pub(super) fn answered(&self, answer: &[u8]) {
        self.state().answer = Some(answer.to_vec());
        self.0.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, within: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waited = self.0.changed.wait_timeout_while(self.state(), within, |state| !done(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        done(&state)
    }
}
