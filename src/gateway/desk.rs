//! A route's one task: its waiter, its known answers, and the requests that it produces.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Answer, Cache, CallerId, Failure, Produce, Question, Reply, RequestId, Status, Trace, Waiter};
use crate::{
    config::{Correlation, Values},
    telemetry::{RequestMetrics, RequestOutcome, UnderWay},
};

/// How long replies are asked for at one partition before the next one takes its turn.
const TURN: Duration = Duration::from_millis(10);
/// The most events or commands that are taken from a channel at once.
const AT_ONCE: usize = 256;

/// What the Kafka clients report to the desk.
#[derive(Debug)]
pub enum Event {
    /// A request is in its topic, or will not be.
    Acknowledged {
        /// The number that it was produced with.
        request: RequestId,
        /// Partition and offset, or why there is none.
        place: Result<(i32, i64), String>,
        /// When that was known.
        at: Instant,
    },
    /// A result.
    Reply {
        /// Its `correlation-id`.
        id: Option<Uuid>,
        /// The result itself.
        reply: Reply,
        /// Whether it is older than this gateway, so that no caller here can have requested it.
        old: bool,
    },
    /// A request cannot be computed.
    Refused {
        /// The request's `correlation-id`.
        id: Option<Uuid>,
        /// The class of the dead letter.
        class: String,
        /// The reason, as the dead letter has it.
        message: String,
    },
    /// How far a request is that takes long.
    UnderWay(UnderWay),
    /// These partitions of the result topic are ours from now on.
    Assigned(Vec<i32>),
    /// These partitions are no longer ours.
    Revoked(Vec<i32>),
    /// All results that were in our partitions at the start have been read.
    CaughtUp,
}

/// A request as it is produced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestRecord {
    /// The number that its acknowledgement names.
    pub request: RequestId,
    /// The record's value.
    pub value: Vec<u8>,
    /// Its `correlation-id`.
    pub id: Uuid,
    /// Its `deadline`, in milliseconds since 1970 UTC.
    pub deadline: u64,
    /// The partition of the result topic where its reply is wanted.
    pub reply_partition: i32,
    /// The trace that it belongs to, if any.
    pub trace: Option<Trace>,
}

/// What a caller wants, and until when.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The question that is asked.
    pub question: Question,
    /// When it was asked.
    pub since: Instant,
    /// When the caller stops waiting.
    pub deadline: Instant,
    /// The trace that it belongs to. A request that several wait for belongs to the trace of the first of
    /// them.
    pub trace: Option<Trace>,
}

/// Where requests go.
pub trait RequestSink: Send + 'static {
    /// Hands a request over; returns at once.
    ///
    /// # Errors
    /// A sentence, where the request cannot be produced.
    fn send(&mut self, request: &RequestRecord) -> Result<(), String>;
}

/// What a caller sends to the desk.
pub(super) enum Command {
    Ask {
        caller: CallerId,
        wish: Wish,
        answer_to: oneshot::Sender<Answered>,
    },
    Forget(CallerId),
    /// How far is what the caller waits for?
    HowFar(CallerId, oneshot::Sender<Option<UnderWay>>),
    /// The answer that is kept does not hold any more.
    ForgetAnswer(Question),
    End,
}

/// An answer, and whether it came from the cache.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What the caller receives.
    pub answer: Answer<Arc<Reply>>,
    /// Whether it was in the cache, so that nothing was produced.
    pub known: bool,
}

/// A caller that waits.
struct Caller {
    answer_to: oneshot::Sender<Answered>,
    trace: Option<Trace>,
}

/// One task that owns what is pending of one route: nothing is locked.
pub struct Desk<R> {
    /// How questions are written as requests, and results read.
    values: Values,
    /// Whether a result is matched with its request by its value or by its id.
    correlation: Correlation,
    /// Which callers wait for which request, until when.
    waiter: Waiter,
    /// Results that are kept, so that the same question is not produced again.
    cache: Cache,
    /// The result partitions that are ours: replies can be asked for at these alone.
    owned: BTreeSet<i32>,
    /// The owned partition at which replies are asked for now, and since when: they take turns.
    turn: (i32, Instant),
    /// How far requests are that take long, by partition and offset, as it was told last.
    under_way: HashMap<(i32, i64), UnderWay>,
    /// Where the answer of each caller that waits goes.
    callers: HashMap<CallerId, Caller>,
    /// Produces the requests.
    requests: R,
    /// What `/readyz` shows; the Kafka clients set a part of it.
    status: Arc<Status>,
    /// Counts what becomes of each caller's question.
    metrics: Arc<RequestMetrics>,
}

impl<R: RequestSink> Desk<R> {
    /// A desk with nothing pending. `cache` is in bytes.
    pub fn new(
        values: Values,
        correlation: Correlation,
        cache: u64,
        requests: R,
        status: Arc<Status>,
        metrics: Arc<RequestMetrics>,
    ) -> Self {
        let waiter = match correlation {
            Correlation::Value => Waiter::sharing(),
            Correlation::Id => Waiter::apart(),
        };
        Desk {
            values,
            correlation,
            waiter,
            cache: Cache::new(cache),
            owned: BTreeSet::new(),
            turn: (-1, now()),
            under_way: HashMap::new(),
            callers: HashMap::new(),
            requests,
            status,
            metrics,
        }
    }

    /// Runs until a command ends it, or all its handles are dropped.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut events: mpsc::Receiver<Event>,
    ) {
        let (mut received, mut happened) = (Vec::new(), Vec::new());
        loop {
            let next = self.waiter.next_deadline().unwrap_or_else(|| now() + Duration::from_secs(60));
            tokio::select! {
                count = events.recv_many(&mut happened, AT_ONCE) => if count == 0 { return self.end() },
                count = commands.recv_many(&mut received, AT_ONCE) => if count == 0 { return self.end() },
                () = tokio::time::sleep_until(next.into()) => {}
            }
            happened.drain(..).for_each(|event| self.event(event, now()));
            for command in received.drain(..) {
                match command {
                    Command::Ask { caller, wish, answer_to } => self.ask(caller, wish, answer_to),
                    Command::Forget(caller) => self.forget(caller),
                    Command::HowFar(caller, answer_to) => {
                        let told = self.waiter.place_of(caller).and_then(|place| self.under_way.get(&place));
                        // The caller may be gone.
                        let _ = answer_to.send(told.cloned());
                    }
                    Command::ForgetAnswer(question) => self.cache.remove(&question),
                    Command::End => return self.end(),
                }
            }
            self.expire(now());
            self.metrics.in_flight(self.callers.len());
        }
    }

    fn ask(&mut self, caller: CallerId, wish: Wish, answer_to: oneshot::Sender<Answered>) {
        let Wish { question, since, deadline, trace } = wish;
        if let Some(reply) = self.cache.get(&question) {
            let total = now().saturating_duration_since(since);
            self.metrics.known(total);
            let answer =
                Answer { caller, question, acknowledged: None, place: None, total, outcome: Ok(reply) };
            // The caller may be gone.
            let _ = answer_to.send(Answered { answer, known: true });
            return;
        }
        self.callers.insert(caller, Caller { answer_to, trace });
        match self.waiter.wait_for(caller, question, since, deadline) {
            Some(produce) => self.produce(produce),
            None => self.metrics.coalesced(),
        }
    }

    fn produce(&mut self, produce: Produce) {
        let Produce { request, id, question, deadline, first } = produce;
        // While no partition is ours, it waits for one.
        let Some(reply_partition) = self.next_partition() else { return };
        let value = match self.values.request(&question) {
            Ok(value) => value,
            Err(error) => {
                let answers = self.waiter.fail(request, Failure::NotProduced(error.to_string()), now());
                return self.deliver(answers);
            }
        };
        self.waiter.replies_at(request, reply_partition);
        let deadline = unix_millis(deadline);
        let trace = self.callers.get(&first).and_then(|caller| caller.trace.clone());
        let outgoing = RequestRecord { request, value, id, deadline, reply_partition, trace };
        if let Err(reason) = self.requests.send(&outgoing) {
            let answers = self.waiter.fail(request, Failure::NotProduced(reason), now());
            self.deliver(answers);
        }
    }

    /// The owned partitions take turns, so that none gets more replies than another; each for a while, so
    /// that results that are sent at the same time share a batch.
    fn next_partition(&mut self) -> Option<i32> {
        let (current, since) = self.turn;
        if now().saturating_duration_since(since) < TURN && self.owned.contains(&current) {
            return Some(current);
        }
        let after = self.owned.range(current.saturating_add(1)..).next();
        let next = *after.or_else(|| self.owned.first())?;
        self.turn = (next, now());
        Some(next)
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Acknowledged { request, place: Ok((partition, offset)), at } => {
                if let Some(took) = self.waiter.acknowledged(request, partition, offset, at) {
                    self.metrics.acknowledged(took);
                }
            }
            Event::Acknowledged { request, place: Err(reason), .. } => {
                let answers = self.waiter.fail(request, Failure::NotProduced(reason), now);
                self.deliver(answers);
            }
            Event::Reply { id, reply, old } => self.reply(id, Arc::new(reply), old, now),
            Event::Refused { id, class, message } => {
                let failure = Failure::DeadLetter { class, message };
                let answers = id.map(|id| self.waiter.fail_id(id, failure, now)).unwrap_or_default();
                self.found(answers, false);
            }
            Event::UnderWay(told) => {
                self.under_way.insert((told.partition, told.offset), told);
                // Those of other gateways, and what nobody waits for any more.
                let waiter = &self.waiter;
                self.under_way
                    .retain(|(partition, offset), _| waiter.asked_at(*partition, *offset).is_some());
            }
            Event::Assigned(partitions) => {
                self.owned.extend(partitions);
                self.partitions_changed();
            }
            Event::Revoked(partitions) => {
                self.owned.retain(|partition| !partitions.contains(partition));
                self.waiter.unread(&partitions);
                self.partitions_changed();
            }
            Event::CaughtUp => self.status.caught_up(),
        }
    }

    fn partitions_changed(&mut self) {
        self.status.owns(self.owned.len());
        if self.owned.is_empty() {
            return;
        }
        let owned = &self.owned;
        let astray = self.waiter.astray(|partition| owned.contains(&partition));
        self.metrics.repeated(astray.len());
        astray.into_iter().for_each(|produce| self.produce(produce));
    }

    fn reply(&mut self, id: Option<Uuid>, reply: Arc<Reply>, old: bool, now: Instant) {
        if reply.pieces.is_some() {
            return self.reply_in_pieces(id, reply, old, now);
        }
        let answers = match (self.correlation, self.values.question_of(&reply.value)) {
            (Correlation::Value, Some(question)) => {
                let answers = self.waiter.result(&question, &reply, now);
                self.cache.put(question, reply);
                answers
            }
            (Correlation::Id, _) => id.map(|id| self.waiter.result_of(id, &reply, now)).unwrap_or_default(),
            // This is no result of ours.
            (Correlation::Value, None) => Vec::new(),
        };
        self.found(answers, old);
    }

    /// A manifest does not say which question it answers, but its id does.
    fn reply_in_pieces(&mut self, id: Option<Uuid>, reply: Arc<Reply>, old: bool, now: Instant) {
        let answers = id.map(|id| self.waiter.result_of(id, &reply, now)).unwrap_or_default();
        if let (Correlation::Value, Some(answer)) = (self.correlation, answers.first()) {
            self.cache.put(answer.question.clone(), reply);
        }
        self.found(answers, old);
    }

    fn found(&mut self, answers: Vec<Answer<Arc<Reply>>>, old: bool) {
        if answers.is_empty() && !old {
            self.metrics.late();
        }
        self.deliver(answers);
    }

    fn expire(&mut self, now: Instant) {
        if self.waiter.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let (late, again) = self.waiter.expire(now);
        self.deliver(late);
        self.metrics.repeated(again.len());
        again.into_iter().for_each(|produce| self.produce(produce));
    }

    fn deliver(&mut self, answers: Vec<Answer<Arc<Reply>>>) {
        for answer in answers {
            self.metrics.ended(outcome_of(&answer.outcome), answer.total);
            if let Some(caller) = self.callers.remove(&answer.caller) {
                // The caller may be gone.
                let _ = caller.answer_to.send(Answered { answer, known: false });
            }
        }
    }

    fn forget(&mut self, caller: CallerId) {
        if self.callers.remove(&caller).is_some()
            && let Some(since) = self.waiter.forget(caller)
        {
            self.metrics.ended(RequestOutcome::Expired, now().saturating_duration_since(since));
        }
    }

    fn end(&mut self) {
        let answers = self.waiter.end_all(&Failure::Stopping, now());
        self.deliver(answers);
        self.metrics.in_flight(0);
    }
}

fn outcome_of<R>(outcome: &Result<R, Failure>) -> RequestOutcome {
    match outcome {
        Ok(_) => RequestOutcome::Ok,
        Err(Failure::TimedOut) => RequestOutcome::Timeout,
        Err(_) => RequestOutcome::Error,
    }
}

/// Tokio's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The moment in milliseconds since 1970 UTC, as other machines count them, more or less.
fn unix_millis(at: Instant) -> u64 {
    let left = at.saturating_duration_since(now());
    let since = (SystemTime::now() + left).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
