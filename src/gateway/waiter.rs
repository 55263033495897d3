//! Pairs requests with results: pure, with the time as an argument.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{Answer, CallerId, Failure, Produce, Question, RequestId};

struct Pending {
    id: Uuid,
    question: Question,
    /// The deadline in the record that was produced last.
    deadline: Instant,
    produced: Instant,
    acknowledged: Option<Duration>,
    /// Its partition and offset, once acknowledged.
    place: Option<(i32, i64)>,
    /// The partition of the result topic where the result is wanted.
    reply_to: Option<i32>,
    waiting: Vec<CallerId>,
}

struct Waiting {
    request: RequestId,
    since: Instant,
    deadline: Instant,
}

/// Pairs results with callers. A request is registered before it is produced, so that no result can slip by;
/// the first result answers all callers that wait for it, and leaves nothing behind.
///
/// Pure: it receives what has happened and when, and returns what to do.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pipeline::gateway::{CallerId, Question, Waiter};
///
/// let (now, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(5));
/// let mut waiter = Waiter::sharing();
/// assert!(waiter.wait_for(CallerId(1), Question::Number(5), now, deadline).is_some(), "to be produced");
/// assert!(waiter.wait_for(CallerId(2), Question::Number(5), now, deadline).is_none(), "is on its way");
/// let answers = waiter.result(&Question::Number(5), &"120", now);
/// assert_eq!(answers.iter().map(|answer| answer.caller).collect::<Vec<_>>(), [CallerId(1), CallerId(2)]);
/// assert!(waiter.is_empty());
/// ```
pub struct Waiter {
    shares: bool,
    requests: HashMap<RequestId, Pending>,
    waiting: HashMap<CallerId, Waiting>,
    by_question: HashMap<Question, RequestId>,
    by_id: HashMap<Uuid, RequestId>,
    by_place: HashMap<(i32, i64), RequestId>,
    deadlines: BTreeSet<(Instant, CallerId)>,
    next: usize,
}

impl Waiter {
    /// For results that depend on the question alone: callers with the same question share one request.
    pub fn sharing() -> Self {
        Waiter::new(true)
    }

    /// For results that each belong to one request, known by its `correlation-id`.
    pub fn apart() -> Self {
        Waiter::new(false)
    }

    fn new(shares: bool) -> Self {
        Waiter {
            shares,
            requests: HashMap::new(),
            waiting: HashMap::new(),
            by_question: HashMap::new(),
            by_id: HashMap::new(),
            by_place: HashMap::new(),
            deadlines: BTreeSet::new(),
            next: 0,
        }
    }

    /// Registers a caller. Returns the request where it has to be produced, which is to be done right after.
    pub fn wait_for(
        &mut self,
        caller: CallerId,
        question: Question,
        now: Instant,
        deadline: Instant,
    ) -> Option<Produce> {
        let shared = self.by_question.get(&question).copied();
        let request = shared.unwrap_or(RequestId(self.next));
        self.waiting.insert(caller, Waiting { request, since: now, deadline });
        self.deadlines.insert((deadline, caller));
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.waiting.push(caller);
            return None;
        }
        self.next += 1;
        // Random, so that no client can guess it: whoever knows an id can answer instead of a worker.
        let id = Uuid::new_v4();
        if self.shares {
            self.by_question.insert(question.clone(), request);
        }
        self.by_id.insert(id, request);
        let pending = Pending {
            id,
            question: question.clone(),
            deadline,
            produced: now,
            acknowledged: None,
            place: None,
            reply_to: None,
            waiting: vec![caller],
        };
        self.requests.insert(request, pending);
        Some(Produce { request, id, question, deadline, first: caller })
    }

    /// Records the partition of the result topic at which the result is wanted.
    pub fn replies_at(&mut self, request: RequestId, partition: i32) {
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.reply_to = Some(partition);
        }
    }

    /// Results at these partitions are no longer read, and may never be.
    pub fn unread(&mut self, partitions: &[i32]) {
        for pending in self.requests.values_mut() {
            pending.reply_to = pending.reply_to.filter(|partition| !partitions.contains(partition));
        }
    }

    /// The requests to produce again because their results would go to a partition that is no longer read.
    pub fn astray(&self, is_read: impl Fn(i32) -> bool) -> Vec<Produce> {
        let astray = |pending: &Pending| !pending.reply_to.is_some_and(&is_read);
        let requests = self.requests.iter().filter(|(_, pending)| astray(pending));
        requests.filter_map(|(request, _)| self.again(*request)).collect()
    }

    /// The broker has the request, at that partition and offset. Returns how long that took.
    pub fn acknowledged(
        &mut self,
        request: RequestId,
        partition: i32,
        offset: i64,
        at: Instant,
    ) -> Option<Duration> {
        let pending = self.requests.get_mut(&request)?;
        let took = at.saturating_duration_since(pending.produced);
        pending.acknowledged = Some(took);
        if let Some(before) = pending.place.replace((partition, offset)) {
            self.by_place.remove(&before);
        }
        self.by_place.insert((partition, offset), request);
        Some(took)
    }

    /// A result has come that names its question: it answers all callers that wait for it, whichever of them
    /// it was computed for. It answers no caller if it is late or was not requested here.
    pub fn result<R: Clone>(&mut self, question: &Question, result: &R, now: Instant) -> Vec<Answer<R>> {
        match self.by_question.get(question) {
            Some(request) => self.end(*request, Ok(result.clone()), now),
            None => Vec::new(),
        }
    }

    /// A result has come that names its request.
    pub fn result_of<R: Clone>(&mut self, id: Uuid, result: &R, now: Instant) -> Vec<Answer<R>> {
        match self.by_id.get(&id) {
            Some(request) => self.end(*request, Ok(result.clone()), now),
            None => Vec::new(),
        }
    }

    /// The request of that id will have no result.
    pub fn fail_id<R: Clone>(&mut self, id: Uuid, failure: Failure, now: Instant) -> Vec<Answer<R>> {
        match self.by_id.get(&id) {
            Some(request) => self.end(*request, Err(failure), now),
            None => Vec::new(),
        }
    }

    /// The request at that partition and offset will have no result.
    pub fn fail_place<R: Clone>(
        &mut self,
        partition: i32,
        offset: i64,
        failure: Failure,
        now: Instant,
    ) -> Vec<Answer<R>> {
        match self.by_place.get(&(partition, offset)) {
            Some(request) => self.end(*request, Err(failure), now),
            None => Vec::new(),
        }
    }

    /// The request will have no result.
    pub fn fail<R: Clone>(&mut self, request: RequestId, failure: Failure, now: Instant) -> Vec<Answer<R>> {
        self.end(request, Err(failure), now)
    }

    /// Partition and offset of the request that a caller waits for, once it is acknowledged.
    pub fn place_of(&self, caller: CallerId) -> Option<(i32, i64)> {
        self.requests.get(&self.waiting.get(&caller)?.request)?.place
    }

    /// What the request at that partition and offset asks, if a caller waits for it.
    pub fn asked_at(&self, partition: i32, offset: i64) -> Option<&Question> {
        Some(&self.requests.get(self.by_place.get(&(partition, offset))?)?.question)
    }

    /// Forgets a caller that has gone. Returns since when it waited.
    pub fn forget(&mut self, caller: CallerId) -> Option<Instant> {
        let since = self.waiting.get(&caller)?.since;
        self.leave(caller);
        Some(since)
    }

    /// Fails the callers whose deadline has passed. Also returns the requests to produce again, because the
    /// record that is on its way has the deadline of a caller that waited less long, and may be dropped.
    pub fn expire<R: Clone>(&mut self, now: Instant) -> (Vec<Answer<R>>, Vec<Produce>) {
        let (mut late, mut left) = (Vec::new(), BTreeSet::new());
        while let Some(&(deadline, caller)) = self.deadlines.first()
            && deadline <= now
        {
            let Some((waiting, pending)) = self
                .waiting
                .get(&caller)
                .and_then(|waiting| Some((waiting, self.requests.get(&waiting.request)?)))
            else {
                self.deadlines.pop_first();
                continue;
            };
            late.push(answer(caller, waiting, pending, Err(Failure::TimedOut), now));
            left.insert(waiting.request);
            self.leave(caller);
        }
        let again = left.into_iter().filter_map(|request| self.prolong(request, now)).collect();
        (late, again)
    }

    /// The request to produce again where the deadline in its record has passed and callers still wait.
    fn prolong(&mut self, request: RequestId, now: Instant) -> Option<Produce> {
        let pending = self.requests.get(&request)?;
        let longest =
            pending.waiting.iter().filter_map(|caller| Some(self.waiting.get(caller)?.deadline)).max()?;
        if pending.deadline > now {
            return None;
        }
        self.requests.get_mut(&request)?.deadline = longest;
        self.again(request)
    }

    /// The request to produce again; `None` if no caller waits for it any more.
    pub fn again(&self, request: RequestId) -> Option<Produce> {
        let Pending { id, question, deadline, waiting, .. } = self.requests.get(&request)?;
        let (question, first) = (question.clone(), *waiting.first()?);
        Some(Produce { request, id: *id, question, deadline: *deadline, first })
    }

    /// When [`expire`](Waiter::expire) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.deadlines.first()?.0)
    }

    /// Fails all callers that wait.
    pub fn end_all<R: Clone>(&mut self, failure: &Failure, now: Instant) -> Vec<Answer<R>> {
        let requests: Vec<RequestId> = self.requests.keys().copied().collect();
        requests.into_iter().flat_map(|request| self.end(request, Err(failure.clone()), now)).collect()
    }

    /// Whether no caller waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_forgetful(&self) -> bool {
        self.is_empty()
            && self.requests.is_empty()
            && self.by_question.is_empty()
            && self.by_id.is_empty()
            && self.by_place.is_empty()
            && self.deadlines.is_empty()
    }

    fn end<R: Clone>(
        &mut self,
        request: RequestId,
        outcome: Result<R, Failure>,
        now: Instant,
    ) -> Vec<Answer<R>> {
        let Some(pending) = self.remove(request) else { return Vec::new() };
        let mut answers = Vec::with_capacity(pending.waiting.len());
        for caller in &pending.waiting {
            if let Some(waiting) = self.waiting.remove(caller) {
                self.deadlines.remove(&(waiting.deadline, *caller));
                answers.push(answer(*caller, &waiting, &pending, outcome.clone(), now));
            }
        }
        answers
    }

    fn leave(&mut self, caller: CallerId) {
        let Some(Waiting { request, deadline, .. }) = self.waiting.remove(&caller) else { return };
        self.deadlines.remove(&(deadline, caller));
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.waiting.retain(|other| *other != caller);
            if pending.waiting.is_empty() {
                self.remove(request);
            }
        }
    }

    fn remove(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.requests.remove(&request)?;
        self.by_id.remove(&pending.id);
        if self.shares {
            self.by_question.remove(&pending.question);
        }
        if let Some(place) = pending.place {
            self.by_place.remove(&place);
        }
        Some(pending)
    }
}

fn answer<R>(
    caller: CallerId,
    waiting: &Waiting,
    pending: &Pending,
    outcome: Result<R, Failure>,
    now: Instant,
) -> Answer<R> {
    Answer {
        caller,
        question: pending.question.clone(),
        acknowledged: pending.acknowledged,
        place: pending.place,
        total: now.saturating_duration_since(waiting.since),
        outcome,
    }
}
