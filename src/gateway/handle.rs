//! How HTTP handlers reach a route's desk.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    Answer, Asked, Failure, Status,
    desk::{Command, Desk, Event, Requests, Told, Wish},
};

/// How a caller reaches the desk of a route.
#[derive(Clone)]
pub struct Asker {
    commands: mpsc::UnboundedSender<Command>,
    next: Arc<AtomicUsize>,
    room: Arc<Semaphore>,
    status: Arc<Status>,
}

/// Room for one who waits, given back when it is dropped.
pub struct Room(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Asker {
    /// Starts a route's desk. `room` bounds who waits, at all desks that it is given to.
    pub fn start<R: Requests>(
        desk: Desk<R>,
        events: mpsc::Receiver<Event>,
        room: Arc<Semaphore>,
        status: Arc<Status>,
    ) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        tokio::spawn(desk.run(receiver, events));
        Asker { commands, next: Arc::default(), room, status }
    }

    /// Whether the route can be asked.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Room for one more; `None` where as many wait as may.
    pub fn room(&self) -> Option<Room> {
        self.room.clone().try_acquire_owned().ok().map(Room)
    }

    /// Waits for room.
    pub async fn wait_for_room(&self) -> Option<Room> {
        self.room.clone().acquire_owned().await.ok().map(Room)
    }

    /// Asks, and waits until there is an answer of some kind; at the latest at the deadline. A caller that drops this
    /// is forgotten.
    pub async fn ask(&self, _room: Room, wish: Wish) -> Told {
        let asked = Asked(self.next.fetch_add(1, Relaxed));
        let (told, receiver) = oneshot::channel();
        let forget = Forget { asked, commands: &self.commands, armed: true };
        // A desk that is gone drops the sender, too.
        let _ = self.commands.send(Command::Ask { asked, wish: wish.clone(), told });
        let received = receiver.await;
        forget.disarm();
        let Wish { question, since, trace, .. } = wish;
        let told = received.unwrap_or_else(|_| Told {
            answer: Answer {
                asked,
                question,
                acknowledged: None,
                place: None,
                total: since.elapsed(),
                outcome: Err(Failure::Stopping),
            },
            known: false,
        });
        if let Some(trace) = trace {
            trace.answered(told.answer.total, &told.answer.outcome);
        }
        told
    }

    /// Ends all that is pending, and the desk.
    pub fn end(&self) {
        let _ = self.commands.send(Command::End);
    }
}

/// Tells the desk that nobody waits any more, unless the answer has come.
struct Forget<'a> {
    asked: Asked,
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
            let _ = self.commands.send(Command::Forget(self.asked));
        }
    }
}
