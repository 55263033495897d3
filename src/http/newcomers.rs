//! Connections that have not sent a request yet, or may always send one more: the oldest one is closed when there is no room.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// A port's newcomers, in the order in which they connected.
#[derive(Clone, Default)]
pub struct Newcomers(Arc<Mutex<Connections>>);

#[derive(Default)]
struct Connections {
    came: u64,
    connections: BTreeMap<u64, CancellationToken>,
}

/// One newcomer, until it sends a request or ends.
pub struct Newcomer {
    number: u64,
    all: Newcomers,
    makes_room: AtomicBool,
    asked: AtomicBool,
    closed: CancellationToken,
}

impl Newcomers {
    /// Adds a connection that was just accepted.
    pub fn add(&self) -> Newcomer {
        let closed = CancellationToken::new();
        let mut waiting = self.lock();
        waiting.came += 1;
        let number = waiting.came;
        waiting.connections.insert(number, closed.clone());
        drop(waiting);
        Newcomer {
            number,
            all: self.clone(),
            makes_room: AtomicBool::new(true),
            asked: AtomicBool::new(false),
            closed,
        }
    }

    /// Closes the oldest newcomer, if there is one.
    pub fn close_oldest(&self) {
        if let Some((_, closed)) = self.lock().connections.pop_first() {
            closed.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// It has sent a request: from now on it is not closed to make room, if it `may_stay`.
    pub fn asks(&self, may_stay: bool) {
        self.asked.store(true, Relaxed);
        if may_stay {
            self.stays();
        }
    }

    fn stays(&self) {
        if self.makes_room.swap(false, Relaxed) {
            self.all.lock().connections.remove(&self.number);
        }
    }

    /// Resolves when this connection has sent no request for so long since it came.
    pub async fn late(&self, patience: Duration) {
        tokio::time::sleep(patience).await;
        if self.asked.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when this connection has to make room.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.stays();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_not_asked_makes_room() {
        let all = Newcomers::default();
        let (asked, ended, oldest, newest) = (all.add(), all.add(), all.add(), all.add());
        asked.asks(true);
        drop(ended);
        all.close_oldest();
        let closed = [&asked, &oldest, &newest].map(|one| one.closed.is_cancelled());
        assert_eq!(closed, [false, true, false]);
        all.close_oldest();
        assert!(newest.closed.is_cancelled());
        all.close_oldest();
        assert!(!asked.closed.is_cancelled(), "a connection that is being answered stays");
        let many = all.add();
        many.asks(false);
        all.close_oldest();
        assert!(many.closed.is_cancelled(), "one that may always send another request makes room");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_asks_nothing_is_late() {
        let all = Newcomers::default();
        let (silent, asked) = (all.add(), all.add());
        asked.asks(false);
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience * 2, silent.late(patience)).await.unwrap();
        tokio::time::timeout(patience * 2, asked.late(patience)).await.unwrap_err();
    }
}
