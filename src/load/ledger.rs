//! The requests that wait, by their number.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The number whose factorial it asks for.
    pub n: u64,
    /// When it was to be sent; latency counts from then.
    pub planned: Instant,
    /// When it was sent.
    pub sent: Instant,
    /// Its phase, by number.
    pub phase: usize,
    /// The window of the phase's profile that it is in.
    pub window: usize,
    /// The user who sends it, in a closed loop.
    pub user: Option<u32>,
}

/// A request that was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GivenUp {
    /// The request.
    pub request: Pending,
    /// Whether it counts as lost as long as no answer comes.
    pub lost: bool,
}

/// What an answer is to its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The answer that was waited for.
    First(Pending),
    /// An answer to a request that was given up; `None` where that is too long ago to be known.
    Late(Option<GivenUp>),
    /// One more answer to a request that has one.
    Double,
    /// No request has that number.
    Unknown,
}

/// Every request by its number, from its sending to its answer.
///
/// Numbers go up, so nothing has to be kept of a request that has its answer: one that was sent, does not
/// wait and was not given up has one.
#[derive(Debug)]
pub struct Ledger {
    pending: BTreeMap<u64, Pending>,
    /// Requests that were given up and have no answer since.
    given_up: BTreeMap<u64, GivenUp>,
    /// How many of those are kept; beyond that the oldest are forgotten.
    most_given_up: usize,
    /// Requests below this number may be forgotten ones that were given up, so that their answers count as
    /// late.
    forgotten_below: u64,
    next: u64,
}

impl Ledger {
    /// An empty ledger that remembers `most_given_up` requests that were given up.
    pub fn new(most_given_up: usize) -> Ledger {
        Ledger {
            pending: BTreeMap::new(),
            given_up: BTreeMap::new(),
            most_given_up,
            forgotten_below: 0,
            next: 0,
        }
    }

    /// Registers a request right before it is sent. Returns its number.
    pub fn register(&mut self, request: Pending) -> u64 {
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, request);
        number
    }

    /// Takes back a request that could not be sent after all.
    pub fn take_back(&mut self, number: u64) -> Option<Pending> {
        self.pending.remove(&number)
    }

    /// An answer has come.
    pub fn answered(&mut self, number: u64) -> Arrival {
        if let Some(pending) = self.pending.remove(&number) {
            return Arrival::First(pending);
        }
        match self.given_up.remove(&number) {
            Some(given_up) => Arrival::Late(Some(given_up)),
            None if number >= self.next => Arrival::Unknown,
            None if number < self.forgotten_below => Arrival::Late(None),
            None => Arrival::Double,
        }
    }

    /// The request that waits, if it still does.
    pub fn pending(&self, number: u64) -> Option<&Pending> {
        self.pending.get(&number)
    }

    /// Stops waiting for an answer; one that comes is late. `lost` says whether the request counts as lost
    /// until then.
    pub fn give_up(&mut self, number: u64, lost: bool) -> Option<Pending> {
        let pending = self.pending.remove(&number)?;
        self.given_up.insert(number, GivenUp { request: pending, lost });
        while self.given_up.len() > self.most_given_up
            && let Some((oldest, _)) = self.given_up.pop_first()
        {
            self.forgotten_below = oldest + 1;
        }
        Some(pending)
    }

    /// Gives up the oldest request, where it was planned longer ago than `limit`.
    pub fn expire_one(&mut self, limit: Duration, now: Instant) -> Option<(u64, Pending)> {
        let (number, oldest) = self.pending.first_key_value()?;
        let number = *number;
        if now.saturating_duration_since(oldest.planned) < limit {
            return None;
        }
        self.give_up(number, true).map(|pending| (number, pending))
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn request(n: u64, planned: Instant) -> Pending {
        Pending { n, planned, sent: planned, phase: 0, window: 0, user: None }
    }

    fn three() -> (Ledger, Instant) {
        let (mut ledger, start) = (Ledger::new(2), Instant::now());
        let numbers: Vec<u64> =
            (0..3).map(|n| ledger.register(request(n * 10, start + SECOND * n as u32))).collect();
        assert_eq!(numbers, [0, 1, 2]);
        (ledger, start)
    }

    #[test]
    fn the_first_answer_is_the_one_that_was_waited_for_and_any_further_one_is_double() {
        let (mut ledger, _) = three();
        let Arrival::First(pending) = ledger.answered(1) else { panic!("not the first") };
        assert_eq!(pending.n, 10);
        assert_eq!(ledger.answered(1), Arrival::Double);
        assert_eq!(ledger.answered(3), Arrival::Unknown);
        assert_eq!(ledger.waiting(), 2);
    }

    #[test]
    fn what_waits_too_long_is_given_up_the_oldest_first_and_its_answer_is_late_once() {
        let (mut ledger, start) = three();
        assert_eq!(ledger.expire_one(2 * SECOND, start + SECOND), None);
        assert_eq!(ledger.expire_one(2 * SECOND, start + 3 * SECOND).unwrap().0, 0);
        assert_eq!(ledger.expire_one(2 * SECOND, start + 3 * SECOND).unwrap().0, 1);
        assert_eq!(ledger.expire_one(2 * SECOND, start + 3 * SECOND), None);
        let late = GivenUp { request: request(0, start), lost: true };
        assert_eq!((ledger.answered(0), ledger.answered(0)), (Arrival::Late(Some(late)), Arrival::Double));
    }

    #[test]
    fn however_much_is_given_up_only_so_much_is_kept() {
        let (mut ledger, start) = three();
        while ledger.expire_one(SECOND, start + 9 * SECOND).is_some() {}
        assert_eq!(ledger.given_up.len(), 2);
        assert_eq!(ledger.answered(0), Arrival::Late(None), "forgotten, and not taken for a double");
        assert!(matches!(ledger.answered(2), Arrival::Late(Some(_))));
        assert_eq!(ledger.answered(2), Arrival::Double);
    }

    #[test]
    fn what_was_not_sent_after_all_is_as_if_it_had_not_been() {
        let (mut ledger, _) = three();
        assert_eq!(ledger.take_back(2).unwrap().n, 20);
        assert_eq!(ledger.waiting(), 2);
    }
}
