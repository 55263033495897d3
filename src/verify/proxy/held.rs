//! One request that is held back, and let go later.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// The next request of a kind, held back by a [`Proxy`](super::Proxy) once it comes. Clones are the same one.
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
    /// The connection that the request came by, once it is there.
    connection: Option<CancellationToken>,
    answer: Option<Vec<u8>>,
}

impl Held {
    /// A request that has not come yet.
    pub fn new() -> Self {
        Held::default()
    }

    /// Waits until the request is here. Returns false where it is not within so long.
    pub fn caught(&self, within: Duration) -> bool {
        self.wait(within, |state| state.connection.is_some())
    }

    /// Cuts the connection that the request came by, from the client's side: the client knows nothing of what
    /// becomes of it, and asks again by another connection.
    pub fn cut(&self) {
        if let Some(connection) = &self.state().connection {
            connection.cancel();
        }
    }

    /// Sends the request to the broker. Its answer is thrown away where the client's connection is gone. A request that
    /// has not come yet will not be held.
    pub fn release(&self) {
        self.0.released.cancel();
    }

    /// The broker's answer to the request, without size and correlation id, within so long; `None` where there is none.
    pub fn answer(&self, within: Duration) -> Option<Vec<u8>> {
        self.wait(within, |state| state.answer.is_some());
        self.state().answer.clone()
    }

    /// Takes a request of that connection, if none was taken yet and it was not released.
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
