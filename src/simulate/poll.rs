//! The source: a consumer and its poll thread, which does one thing after another, as `kafka/poll.rs` does:
//! the engine's commands, callbacks, data. It does nothing else while it fetches offsets or waits for a
//! hand-over.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use tokio::sync::oneshot;

use super::{
    consumer::Consumer,
    script::Role,
    topics::source,
    world::{ClientId, Shared, World, lock},
};
use crate::{
    engine::{Assignment, CommitError, CommitOffset, Handover, Past, Source, SourceEvent, Stop},
    record::{Batch, BatchBuilder, Headers, Offset, TopicPartition},
};

/// How long fetching committed offsets is retried before the clients are recreated.
const ASK: Duration = Duration::from_secs(61);
/// The pause before a retry.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long to wait for callbacks while there is no room for data.
const ROOM_WAIT: Duration = Duration::from_millis(2);
/// The most records of a batch.
const MOST: usize = 8;

/// The engine's commands to the poll thread.
pub enum Command {
    Rewind,
    Close,
}

/// The main thread's callbacks on the poll thread.
pub enum Callback {
    Assign(Vec<i32>),
    Revoke(Vec<i32>),
}

/// What the poll thread is doing.
pub enum Thread {
    Free,
    /// It fetches the offsets to read partitions from.
    Asking,
    HandingOver(HandingOver),
    Gone,
}

/// A hand-over for which the poll thread waits.
pub struct HandingOver {
    partitions: Vec<i32>,
    handed_over: oneshot::Receiver<()>,
    since: Duration,
    lost: bool,
}

/// The position in a partition.
#[derive(Clone, Copy)]
pub struct Position {
    next: i64,
    /// Whether the engine was notified that this is the end.
    end_reported: bool,
}

impl World {
    /// Wakes the poll thread.
    pub fn poke(&mut self, client: ClientId) {
        let longest = self.script.settings.network.as_micros() as u64;
        let soon = Duration::from_micros(self.random.u64(10..=longest));
        self.poke_after(client, soon);
    }

    fn poke_after(&mut self, client: ClientId, after: Duration) {
        let consumer = self.consumer(client);
        if !consumer.poked && matches!(consumer.thread, Thread::Free) {
            consumer.poked = true;
            self.later(after, client, move |world| {
                world.consumer(client).poked = false;
                world.turn(client);
            });
        }
    }

    /// The poll thread's next turn.
    fn turn(&mut self, client: ClientId) {
        let consumer = self.consumer(client);
        if !matches!(consumer.thread, Thread::Free) {
            return;
        }
        // A consumer that is leaving only runs callbacks.
        if !consumer.leaving {
            match consumer.commands.pop_front() {
                Some(Command::Rewind) => return self.rewind(client),
                Some(Command::Close) => self.unsubscribe(client),
                None => {}
            }
        }
        let consumer = self.consumer(client);
        match consumer.callbacks.pop_front() {
            Some(Callback::Assign(partitions)) => self.assign(client, partitions),
            Some(Callback::Revoke(partitions)) => self.revoke(client, partitions),
            None if consumer.leaving => {}
            None => self.take_data(client),
        }
    }

    pub fn deliver(&mut self, client: ClientId, event: Result<SourceEvent, Stop>) {
        let consumer = self.consumer(client);
        if consumer.ended {
            return;
        }
        consumer.events.push_back(event);
        if let Some(waker) = consumer.waker.take() {
            waker.wake();
        }
    }

    fn assign(&mut self, client: ClientId, partitions: Vec<i32>) {
        self.ask(client, partitions, move |world, assignments| {
            world.say_of(client, |_| format!("is assigned {}", describe(&assignments)));
            let partitions: Vec<i32> = assignments.iter().map(|a| a.partition.partition).collect();
            world.read_from(client, &assignments);
            world.deliver(client, Ok(SourceEvent::Assigned(assignments)));
            world.assigned(client, &partitions);
        });
    }

    /// Rewinds the assigned partitions to their committed offsets.
    fn rewind(&mut self, client: ClientId) {
        let all: Vec<i32> = self.consumer(client).positions.keys().copied().collect();
        self.ask(client, all, move |world, assignments| {
            world.say_of(client, |_| format!("goes back to {}", describe(&assignments)));
            world.read_from(client, &assignments);
            world.deliver(client, Ok(SourceEvent::Rewound(assignments)));
        });
    }

    fn read_from(&mut self, client: ClientId, assignments: &[Assignment]) {
        let positions = &mut self.consumer(client).positions;
        for Assignment { partition, start, .. } in assignments {
            positions.insert(partition.partition, Position { next: start.0, end_reported: false });
        }
    }

    fn revoke(&mut self, client: ClientId, partitions: Vec<i32>) {
        let (handover, handed_over) = Handover::new();
        let names = partitions.iter().copied().map(source).collect();
        let lost = self.consumer(client).lost;
        let how = if lost { "has lost" } else { "is to hand over" };
        self.say_of(client, |_| format!("{how} partitions {partitions:?}"));
        let event =
            if lost { SourceEvent::Lost(names, handover) } else { SourceEvent::Revoked(names, handover) };
        let since = self.now;
        self.consumer(client).thread =
            Thread::HandingOver(HandingOver { partitions, handed_over, since, lost });
        self.deliver(client, Ok(event));
    }

    /// Checks whether the engine has handed over the partitions that the poll thread waits for.
    pub fn look_at_handover(&mut self, client: ClientId) {
        let Thread::HandingOver(handing_over) = &mut self.consumer(client).thread else { return };
        if handing_over.handed_over.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            return;
        }
        let HandingOver { partitions, since, lost, .. } = handing_over;
        let (partitions, since, lost) = (std::mem::take(partitions), *since, *lost);
        self.consumer(client).thread = Thread::Free;
        self.consumer(client).positions.retain(|partition, _| !partitions.contains(partition));
        self.say_of(client, |_| format!("lets go of partitions {partitions:?}"));
        if !lost {
            self.judge.handed_over(&self.script, since, self.now);
        }
        self.revoked(client, &partitions);
        self.poke(client);
    }

    /// Fetches the offsets to read from, until there is an answer.
    fn ask(
        &mut self,
        client: ClientId,
        partitions: Vec<i32>,
        then: impl FnOnce(&mut World, Vec<Assignment>) + Send + 'static,
    ) {
        self.consumer(client).thread = Thread::Asking;
        let deadline = self.now + ASK;
        self.ask_until(deadline, client, partitions, then);
    }

    fn ask_until(
        &mut self,
        deadline: Duration,
        client: ClientId,
        partitions: Vec<i32>,
        then: impl FnOnce(&mut World, Vec<Assignment>) + Send + 'static,
    ) {
        self.request(Role::Group, move |world| {
            let unstable = partitions.iter().any(|partition| world.group.is_unstable(*partition));
            let assignments = partitions.iter().map(|partition| world.start(client, *partition)).collect();
            world.respond(client, move |world| {
                if matches!(world.consumer(client).thread, Thread::Gone) {
                } else if unstable && world.now < deadline {
                    world.later(ASK_AGAIN, client, move |world| {
                        world.ask_until(deadline, client, partitions, then);
                    });
                } else if unstable {
                    world.stop_polling(client, "the committed offsets cannot be fetched");
                } else {
                    world.consumer(client).thread = Thread::Free;
                    then(world, assignments);
                    world.poke(client);
                }
            });
        });
    }

    /// The assignment of a partition, with where to read from.
    fn start(&mut self, client: ClientId, partition: i32) -> Assignment {
        let (low, high) = (self.topics.of(partition).low, self.topics.of(partition).high);
        let committed = self.group.committed(partition).cloned().unwrap_or_default();
        let end = *self.consumer(client).targets.entry(partition).or_insert(Offset(high));
        // If records were deleted, later ones that the metadata marks as done may still exist.
        let start = Offset(committed.offset.max(low));
        Assignment { partition: source(partition), start, metadata: committed.metadata, end }
    }

    /// Reports an error that only new clients can recover from.
    fn stop_polling(&mut self, client: ClientId, reason: &str) {
        self.deliver(client, Err(Stop::Restart(reason.to_owned())));
        self.leave(client);
    }

    fn take_data(&mut self, client: ClientId) {
        let back = self.back(Role::Leader);
        if back > self.now {
            let after = back - self.now;
            return self.poke_after(client, after);
        }
        if !self.consumer(client).input.has_room() {
            return self.poke_after(client, ROOM_WAIT);
        }
        let waiting: Vec<i32> = self
            .consumer(client)
            .positions
            .clone()
            .into_iter()
            .filter(|(partition, at)| at.next < self.topics.of(*partition).high || !at.end_reported)
            .map(|(partition, _)| partition)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let partition = waiting[self.random.usize(0..waiting.len())];
        let most = self.random.usize(1..=MOST);
        self.take_batch(client, partition, most);
        self.poke(client);
    }

    fn take_batch(&mut self, client: ClientId, partition: i32, most: usize) {
        let Some(position) = self.consumer(client).positions.get(&partition).copied() else { return };
        let of = self.topics.of(partition);
        if position.next < of.low {
            // OffsetOutOfRange, and auto.offset.reset: the consumer goes on by itself.
            let next = of.low;
            self.consumer(client).positions.insert(partition, Position { next, end_reported: false });
            return;
        }
        let records = of.from(position.next);
        let taken = &records[..most.min(records.len())];
        let ends = taken.len() == records.len();
        let next = if ends { of.high } else { taken.last().map_or(position.next, |last| last.offset + 1) };
        if !taken.is_empty() {
            let mut batch = BatchBuilder::new(source(partition));
            for record in taken {
                let (key, offset) = (record.key.as_deref(), Offset(record.offset));
                batch.push(offset, Some(7), key, Some(&record.value), Headers::default());
            }
            let batch = batch.build();
            let room = self.consumer(client).input.take(batch.size() as u64);
            self.deliver(client, Ok(SourceEvent::Batch(batch, room)));
        }
        if ends {
            self.deliver(client, Ok(SourceEvent::End(source(partition), Offset(next))));
        }
        self.consumer(client).positions.insert(partition, Position { next, end_reported: ends });
    }

    /// OffsetCommit, on its own thread.
    fn commit(
        &mut self,
        client: ClientId,
        offsets: Vec<CommitOffset>,
        reply: oneshot::Sender<Result<(), CommitError>>,
    ) {
        let back = self.back(Role::Group);
        if back > self.now {
            // It waits until the coordinator is reachable, and is then sent with the member id of that time.
            let after = back - self.now;
            return self.later(after, client, move |world| world.commit(client, offsets, reply));
        }
        let Some(member) = self.consumer(client).place() else {
            return drop(reply.send(Err(CommitError::Passing("it is not a member of its group".to_owned()))));
        };
        let refused = std::mem::take(&mut self.consumer(client).refuse_commit);
        self.request(Role::Group, move |world| {
            let answer = if refused {
                Err("COORDINATOR_LOAD_IN_PROGRESS".to_owned())
            } else {
                world.commit_offsets(member, offsets).map_err(|error| format!("{error:?}"))
            };
            world.respond(client, |_| drop(reply.send(answer.map_err(CommitError::Passing))));
        });
    }
}

fn describe(assignments: &[Assignment]) -> String {
    let shown = assignments.iter().map(|assignment| {
        let bits = if assignment.metadata.is_empty() { "" } else { " and some above it" };
        format!("partition {} from {}{bits}", assignment.partition.partition, assignment.start)
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The engine's source.
pub struct SimulatedSource {
    pub world: Shared,
    pub client: ClientId,
}

impl Stream for SimulatedSource {
    type Item = Result<SourceEvent, Stop>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut world = lock(&self.world);
        let consumer = world.consumer(self.client);
        let Some(event) = consumer.events.pop_front() else {
            if consumer.ended {
                return Poll::Ready(None);
            }
            consumer.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        if let Ok(SourceEvent::Assigned(assignments) | SourceEvent::Rewound(assignments)) = &event {
            count(consumer, assignments);
        }
        Poll::Ready(Some(event))
    }
}

/// The engine notices an assignment.
fn count(consumer: &mut Consumer, assignments: &[Assignment]) {
    for assignment in assignments {
        *consumer.taken.entry(assignment.partition.partition).or_default() += 1;
    }
}

impl Source for SimulatedSource {
    fn commit(&self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        let client = self.client;
        let mut world = lock(&self.world);
        let way = world.way();
        world.later(way, client, move |world| world.commit(client, offsets, reply));
        answer.map(|answer| answer.unwrap_or(Err(CommitError::Passing("no answer".to_owned())))).boxed()
    }

    fn rewind(&mut self) {
        let mut world = lock(&self.world);
        world.consumer(self.client).commands.push_back(Command::Rewind);
        world.poke(self.client);
    }

    fn history(&self, _: &TopicPartition, _: Past) -> BoxStream<'static, Batch> {
        // No pipeline here leaves out what comes again.
        futures::stream::empty().boxed()
    }

    fn close(&mut self) {
        let mut world = lock(&self.world);
        world.consumer(self.client).commands.push_back(Command::Close);
        world.poke(self.client);
    }
}

impl Drop for SimulatedSource {
    fn drop(&mut self) {
        let mut world = lock(&self.world);
        if world.clients[self.client].alive {
            // A hand-over that the engine did not take must not block the poll thread.
            let events = std::mem::take(&mut world.consumer(self.client).events);
            world.leave(self.client);
            drop(world);
            drop(events);
        }
    }
}
