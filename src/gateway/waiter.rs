//! Pairs requests with results: pure, with the time as an argument.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// A number.
    Number(u64),
    /// A value as it is.
    Value(Bytes),
}

/// Names a caller that waits; given by the owner of the [`Waiter`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Asked(pub usize);

/// Names a request that several may wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Request(pub usize);

/// Why there is no result.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The worker cannot compute it.
    #[error("{message}")]
    DeadLetter {
        /// The class of the dead letter.
        class: String,
        /// Why, as a sentence.
        message: String,
    },
    /// No broker has taken the request.
    #[error("it could not be produced: {0}")]
    NotProduced(String),
    /// Nothing has come in time.
    #[error("no result came in time")]
    TimedOut,
    /// The gateway is being stopped.
    #[error("the gateway is stopping")]
    Stopping,
}

/// What has become of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<R> {
    /// The caller that waits for it.
    pub asked: Asked,
    /// The question that it answers.
    pub question: Question,
    /// From the produce to its acknowledgement; `None` where the answer was there first.
    pub acknowledged: Option<Duration>,
    /// Partition and offset of the request, once it is acknowledged.
    pub place: Option<(i32, i64)>,
    /// From the asking to the answer.
    pub total: Duration,
    /// The result, or why there is none.
    pub outcome: Result<R, Failure>,
}

/// A request that is to be produced, again or for the first time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Produce {
    /// The number that its acknowledgement and its reply are known by.
    pub request: Request,
    /// Its `correlation-id`, the same each time.
    pub id: Uuid,
    /// The question that it asks.
    pub question: Question,
    /// When nobody waits any more.
    pub deadline: Instant,
    /// The first of those who wait.
    pub first: Asked,
}

struct Pending {
    id: Uuid,
    question: Question,
    /// What the record says, which was produced last.
    deadline: Instant,
    produced: Instant,
    acknowledged: Option<Duration>,
    /// Where the broker has put it.
    place: Option<(i32, i64)>,
    /// The partition of the result topic where the result was asked for.
    reply_to: Option<i32>,
    waiting: Vec<Asked>,
}

struct Waiting {
    request: Request,
    since: Instant,
    deadline: Instant,
}

/// Pairs results with who asked. A request is registered before it is produced, so that no result can slip by;
/// the first result answers all who wait for it, and leaves nothing behind.
///
/// Pure: it is told what has happened and when, and says what to do.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pipeline::gateway::{Asked, Question, Waiter};
///
/// let (now, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(5));
/// let mut waiter = Waiter::sharing();
/// assert!(waiter.wait_for(Asked(1), Question::Number(5), now, deadline).is_some(), "to be produced");
/// assert!(waiter.wait_for(Asked(2), Question::Number(5), now, deadline).is_none(), "is on its way");
/// let answers = waiter.result(&Question::Number(5), &"120", now);
/// assert_eq!(answers.iter().map(|answer| answer.asked).collect::<Vec<_>>(), [Asked(1), Asked(2)]);
/// assert!(waiter.is_empty());
/// ```
pub struct Waiter {
    shares: bool,
    requests: HashMap<Request, Pending>,
    waiting: HashMap<Asked, Waiting>,
    by_question: HashMap<Question, Request>,
    by_id: HashMap<Uuid, Request>,
    by_place: HashMap<(i32, i64), Request>,
    deadlines: BTreeSet<(Instant, Asked)>,
    next: usize,
}

impl Waiter {
    /// For answers that are a function of the question: all who ask the same share one request.
    pub fn sharing() -> Self {
        Waiter::new(true)
    }

    /// For answers that are each for one request alone, and known by its `correlation-id`.
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

    /// Registers who asks. Returns the request if it has to be produced: to be done right after.
    pub fn wait_for(
        &mut self,
        asked: Asked,
        question: Question,
        now: Instant,
        deadline: Instant,
    ) -> Option<Produce> {
        let shared = self.by_question.get(&question).copied();
        let request = shared.unwrap_or(Request(self.next));
        self.waiting.insert(asked, Waiting { request, since: now, deadline });
        self.deadlines.insert((deadline, asked));
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.waiting.push(asked);
            return None;
        }
        self.next += 1;
        // Nobody who asks must be able to guess it: who knows an id can answer in the place of a worker.
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
            waiting: vec![asked],
        };
        self.requests.insert(request, pending);
        Some(Produce { request, id, question, deadline, first: asked })
    }

    /// The result is asked for at that partition of the result topic.
    pub fn replies_at(&mut self, request: Request, partition: i32) {
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.reply_to = Some(partition);
        }
    }

    /// Results at these partitions are not read any more: what comes there may never be.
    pub fn unread(&mut self, partitions: &[i32]) {
        for pending in self.requests.values_mut() {
            pending.reply_to = pending.reply_to.filter(|partition| !partitions.contains(partition));
        }
    }

    /// What has to be produced again because its result would come where nobody reads it any more.
    pub fn astray(&self, is_read: impl Fn(i32) -> bool) -> Vec<Produce> {
        let astray = |pending: &Pending| !pending.reply_to.is_some_and(&is_read);
        let requests = self.requests.iter().filter(|(_, pending)| astray(pending));
        requests.filter_map(|(request, _)| self.again(*request)).collect()
    }

    /// The broker has the request, at that partition and offset. Returns how long that took.
    pub fn acknowledged(
        &mut self,
        request: Request,
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

    /// A result has come that names its question: answers all callers that wait for it, whichever of them it was computed for.
    /// Nobody where it is late, or was never asked for.
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
    pub fn fail<R: Clone>(&mut self, request: Request, failure: Failure, now: Instant) -> Vec<Answer<R>> {
        self.end(request, Err(failure), now)
    }

    /// Who asked does not want to know any more. Returns since when that one has waited.
    pub fn forget(&mut self, asked: Asked) -> Option<Instant> {
        let since = self.waiting.get(&asked)?.since;
        self.leave(asked);
        Some(since)
    }

    /// Ends what has waited until its deadline. Returns as well what has to be produced again, because the
    /// record that is on its way was for somebody who waited less long, and may be dropped.
    pub fn expire<R: Clone>(&mut self, now: Instant) -> (Vec<Answer<R>>, Vec<Produce>) {
        let (mut late, mut left) = (Vec::new(), BTreeSet::new());
        while let Some(&(deadline, asked)) = self.deadlines.first()
            && deadline <= now
        {
            let Some((waiting, pending)) = self
                .waiting
                .get(&asked)
                .and_then(|waiting| Some((waiting, self.requests.get(&waiting.request)?)))
            else {
                self.deadlines.pop_first();
                continue;
            };
            late.push(answer(asked, waiting, pending, Err(Failure::TimedOut), now));
            left.insert(waiting.request);
            self.leave(asked);
        }
        let again = left.into_iter().filter_map(|request| self.prolong(request, now)).collect();
        (late, again)
    }

    /// Whether the record that was produced is for a deadline that has passed, while others wait longer.
    fn prolong(&mut self, request: Request, now: Instant) -> Option<Produce> {
        let pending = self.requests.get(&request)?;
        let longest =
            pending.waiting.iter().filter_map(|asked| Some(self.waiting.get(asked)?.deadline)).max()?;
        if pending.deadline > now {
            return None;
        }
        self.requests.get_mut(&request)?.deadline = longest;
        self.again(request)
    }

    /// The request as it is produced once more; `None` where nobody waits for it any more.
    pub fn again(&self, request: Request) -> Option<Produce> {
        let Pending { id, question, deadline, waiting, .. } = self.requests.get(&request)?;
        let (question, first) = (question.clone(), *waiting.first()?);
        Some(Produce { request, id: *id, question, deadline: *deadline, first })
    }

    /// When [`expire`](Waiter::expire) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(self.deadlines.first()?.0)
    }

    /// Ends all.
    pub fn end_all<R: Clone>(&mut self, failure: &Failure, now: Instant) -> Vec<Answer<R>> {
        let requests: Vec<Request> = self.requests.keys().copied().collect();
        requests.into_iter().flat_map(|request| self.end(request, Err(failure.clone()), now)).collect()
    }

    /// Whether nobody waits.
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
        request: Request,
        outcome: Result<R, Failure>,
        now: Instant,
    ) -> Vec<Answer<R>> {
        let Some(pending) = self.remove(request) else { return Vec::new() };
        let mut answers = Vec::with_capacity(pending.waiting.len());
        for asked in &pending.waiting {
            if let Some(waiting) = self.waiting.remove(asked) {
                self.deadlines.remove(&(waiting.deadline, *asked));
                answers.push(answer(*asked, &waiting, &pending, outcome.clone(), now));
            }
        }
        answers
    }

    fn leave(&mut self, asked: Asked) {
        let Some(Waiting { request, deadline, .. }) = self.waiting.remove(&asked) else { return };
        self.deadlines.remove(&(deadline, asked));
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.waiting.retain(|other| *other != asked);
            if pending.waiting.is_empty() {
                self.remove(request);
            }
        }
    }

    fn remove(&mut self, request: Request) -> Option<Pending> {
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
    asked: Asked,
    waiting: &Waiting,
    pending: &Pending,
    outcome: Result<R, Failure>,
    now: Instant,
) -> Answer<R> {
    Answer {
        asked,
        question: pending.question.clone(),
        acknowledged: pending.acknowledged,
        place: pending.place,
        total: now.saturating_duration_since(waiting.since),
        outcome,
    }
}
