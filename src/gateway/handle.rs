//! The handle by which HTTP handlers reach a route's desk.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    Answer, CallerId, Failure, Question, Status,
    desk::{Answered, Command, Desk, Event, RequestSink, Wish},
};
use crate::telemetry::UnderWay;

/// Reaches the desk of a route; cheap to clone.
#[derive(Clone)]
pub struct DeskHandle {
    commands: mpsc::UnboundedSender<Command>,
    next: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    status: Arc<Status>,
}

/// Lets one caller wait for an answer; given back when it is dropped.
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl DeskHandle {
    /// Starts a route's desk. `permits` bounds how many callers wait, at all desks that share it.
    pub fn start<R: RequestSink>(
        desk: Desk<R>,
        events: mpsc::Receiver<Event>,
        permits: Arc<Semaphore>,
        status: Arc<Status>,
    ) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(desk.run(receiver, events));
        DeskHandle { commands, next: Arc::default(), permits, status }
    }

    /// Whether the route can be asked.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// A permit for one more caller; `None` where as many wait as may.
    pub fn permit(&self) -> Option<Permit> {
        self.permits.clone().try_acquire_owned().ok().map(Permit)
    }

    /// Waits for a permit; `None` once the gateway stops.
    pub async fn wait_for_permit(&self) -> Option<Permit> {
        self.permits.clone().acquire_owned().await.ok().map(Permit)
    }

    /// Asks, and waits for the answer, or for the failure that ends the wait at the deadline. A caller that
    /// drops this future is forgotten.
    pub async fn ask(&self, permit: Permit, wish: Wish) -> Answered {
        self.ask_as(self.caller(), permit, wish).await
    }

    /// A caller that has not asked yet.
    pub fn caller(&self) -> CallerId {
        CallerId(self.next.fetch_add(1, Relaxed))
    }

    /// How far is what that caller waits for, where it takes long and its worker tells.
    pub async fn how_far(&self, caller: CallerId) -> Option<UnderWay> {
        let (answer_to, receiver) = oneshot::channel();
        let _ = self.commands.send(Command::HowFar(caller, answer_to));
        receiver.await.ok()?
    }

    /// As [`ask`](DeskHandle::ask), for a caller of whom more can be asked.
    pub async fn ask_as(&self, caller: CallerId, _permit: Permit, wish: Wish) -> Answered {
        let (answer_to, receiver) = oneshot::channel();
        let forget = Forget { caller, commands: &self.commands, armed: true };
        // A desk that is gone drops the sender, too.
        let _ = self.commands.send(Command::Ask { caller, wish: wish.clone(), answer_to });
        let received = receiver.await;
        forget.disarm();
        let Wish { question, since, trace, .. } = wish;
        let answered = received.unwrap_or_else(|_| Answered {
            answer: Answer {
                caller,
                question,
                acknowledged: None,
                place: None,
                total: since.elapsed(),
                outcome: Err(Failure::Stopping),
            },
            known: false,
        });
        if let Some(trace) = trace {
            trace.answered(answered.answer.total, &answered.answer.outcome);
        }
        answered
    }

    /// The answer that is kept for this question does not hold any more.
    pub fn forget_answer(&self, question: Question) {
        let _ = self.commands.send(Command::ForgetAnswer(question));
    }

    /// Answers all callers that wait with a failure, and ends the desk.
    pub fn end(&self) {
        let _ = self.commands.send(Command::End);
    }
}

/// On its drop, has the desk forget the caller, unless the answer has come.
struct Forget<'a> {
    caller: CallerId,
    commands: &'a mpsc::UnboundedSender<Command>,
    armed: bool,
}

impl Forget<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if self.armed {
            let _ = self.commands.send(Command::Forget(self.caller));
        }
    }
}
