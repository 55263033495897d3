//! A budget of bytes. Reservations are counted, not allocated; giving one up wakes the next that waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A budget of bytes, shared by cloning. First come, first served, so that a large reservation is not
/// starved by small ones.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    allowed: i64,
    /// The budget that this one is a part of: what is held here is held there too.
    whole: Option<Budget>,
    state: Mutex<State>,
}

#[derive(Default, Debug)]
struct State {
    used: i64,
    waiting: VecDeque<(i64, oneshot::Sender<Reservation>)>,
}

/// Bytes held until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: i64,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(bytes: u64) -> Self {
        Budget(Arc::new(Shared { allowed: bytes as i64, whole: None, state: Mutex::default() }))
    }

    /// A part of this budget that is counted by itself too. It has no limit of its own.
    pub fn part(&self) -> Self {
        let allowed = i64::MAX;
        Budget(Arc::new(Shared { allowed, whole: Some(self.clone()), state: Mutex::default() }))
    }

    /// Bytes that may be held.
    pub fn size(&self) -> u64 {
        self.0.allowed as u64
    }

    /// Whether anything more may be held right now.
    pub fn has_room(&self) -> bool {
        self.lock().used < self.0.allowed
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.lock().used.max(0) as u64
    }

    /// Takes the bytes whether there is room or not: for records that have arrived already.
    pub fn take(&self, bytes: u64) -> Reservation {
        self.add(bytes as i64);
        Reservation { budget: self.clone(), bytes: bytes as i64 }
    }

    /// Waits until there is room. A reservation larger than the whole budget is granted once nothing else is
    /// held: otherwise it would wait forever.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let granted = {
            let mut state = self.lock();
            if state.waiting.is_empty() && state.fits(bytes as i64, self.0.allowed) {
                state.used += bytes as i64;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                state.waiting.push_back((bytes as i64, sender));
                Some(receiver)
            }
        };
        match granted {
            None => Reservation { budget: self.clone(), bytes: bytes as i64 },
            // The sender lives in the state that `self` keeps alive, and is only taken out to send.
            Some(receiver) => receiver.await.unwrap_or_else(|_| self.take(bytes)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: i64) {
        self.lock().used += bytes;
        if let Some(whole) = &self.0.whole {
            whole.add(bytes);
        }
    }

    fn give_back(&self, bytes: i64) {
        if let Some(whole) = &self.0.whole {
            whole.give_back(bytes);
        }
        let mut granted = Vec::new();
        {
            let mut state = self.lock();
            state.used -= bytes;
            while state.waiting.front().is_some_and(|(wanted, _)| state.fits(*wanted, self.0.allowed)) {
                // The front was there in the condition above.
                let Some((wanted, sender)) = state.waiting.pop_front() else { break };
                if !sender.is_closed() {
                    state.used += wanted;
                    granted.push((wanted, sender));
                }
            }
        }
        // Outside the lock: a receiver that went away meanwhile drops its reservation, which locks again.
        for (bytes, sender) in granted {
            let _ = sender.send(Reservation { budget: self.clone(), bytes });
        }
    }
}

impl State {
    fn fits(&self, bytes: i64, allowed: i64) -> bool {
        self.used + bytes <= allowed || self.used <= 0
    }
}

impl Reservation {
    /// Corrects an estimate: from now on so many bytes are held, whether there is room or not.
    pub fn resize(&mut self, bytes: u64) {
        let change = bytes as i64 - self.bytes;
        self.bytes = bytes as i64;
        match change {
            0 => {}
            1.. => self.budget.add(change),
            _ => self.budget.give_back(-change),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn whoever_does_not_fit_waits_until_room_is_given_back() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).await;
        let mut second = Box::pin(budget.reserve(60));
        assert!(poll!(&mut second).is_pending());
        assert!(budget.has_room());
        drop(first);
        let second = second.now_or_never().expect("granted");
        assert_eq!(budget.used(), 60);
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_small_reservation_does_not_overtake_a_large_one() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).await;
        let mut large = Box::pin(budget.reserve(80));
        assert!(poll!(&mut large).is_pending());
        let mut small = Box::pin(budget.reserve(10));
        assert!(poll!(&mut small).is_pending());
        drop(first);
        assert!(poll!(&mut large).is_ready());
    }

    #[tokio::test]
    async fn more_than_the_whole_budget_is_granted_alone() {
        let budget = Budget::new(100);
        let first = budget.reserve(1).await;
        let mut huge = Box::pin(budget.reserve(5_000));
        assert!(poll!(&mut huge).is_pending());
        drop(first);
        assert!(poll!(&mut huge).is_ready());
    }

    #[tokio::test]
    async fn whoever_gave_up_waiting_holds_nothing() {
        let budget = Budget::new(100);
        let first = budget.reserve(100).await;
        let mut gone = Box::pin(budget.reserve(50));
        assert!(poll!(&mut gone).is_pending());
        drop(gone);
        drop(first);
        assert_eq!(budget.used(), 0);
        budget.reserve(100).now_or_never().expect("all of it is free");
    }

    #[test]
    fn what_is_held_of_a_part_is_held_of_the_whole() {
        let whole = Budget::new(100);
        let (one, other) = (whole.part(), whole.part());
        let first = one.take(60);
        let mut second = other.take(10);
        second.resize(50);
        assert_eq!((one.used(), other.used(), whole.used()), (60, 50, 110));
        assert!(!whole.has_room());
        drop(first);
        assert_eq!((one.used(), other.used(), whole.used()), (0, 50, 50));
    }

    #[tokio::test]
    async fn an_estimate_is_corrected_both_ways() {
        let budget = Budget::new(100);
        let mut reservation = budget.reserve(50).await;
        reservation.resize(120);
        assert!(!budget.has_room());
        let mut next = Box::pin(budget.reserve(10));
        assert!(poll!(&mut next).is_pending());
        reservation.resize(90);
        assert!(poll!(&mut next).is_ready());
    }
}
