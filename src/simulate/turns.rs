//! A producer's commits and aborts, one at a time.

use tokio::sync::oneshot;

use super::{
    producer::{AGAIN, Turn},
    script::Role,
    transactions::Refused,
    world::{ClientId, World},
};
use crate::{
    engine::{CommitError, CommitOffset, Stop},
    plant::{Fault, planted},
};

/// Where to report the end of a commit or an abort.
enum End {
    Commit(oneshot::Sender<Result<(), CommitError>>),
    Abort(oneshot::Sender<Result<(), Stop>>),
}

impl World {
    /// Starts a commit or an abort once the one before has ended.
    pub fn take_turn(&mut self, client: ClientId, turn: Turn) {
        let producer = self.producer(client);
        producer.turns.push_back(turn);
        self.next_turn_if_idle(client);
    }

    fn next_turn_if_idle(&mut self, client: ClientId) {
        if self.producer(client).busy {
            return;
        }
        let Some(turn) = self.producer(client).turns.pop_front() else { return };
        self.producer(client).busy = true;
        let way = self.way() / 8;
        self.later(way, client, move |world| match (turn, world.producer(client).fatal) {
            (Turn::Commit { reply, .. }, Some(refusal)) => world.fatal(client, End::Commit(reply), refusal),
            (Turn::Abort { reply }, Some(refusal)) => world.fatal(client, End::Abort(reply), refusal),
            (Turn::Commit { offsets, aborts, reply }, None) => {
                world.producer(client).open = true;
                world.send_offsets(client, offsets, aborts, reply);
            }
            (Turn::Abort { reply }, None) => world.begin_abort(client, reply),
        });
    }

    /// AddOffsetsToTxn, with the current member id and generation.
    fn send_offsets(
        &mut self,
        client: ClientId,
        offsets: Vec<CommitOffset>,
        aborts: u64,
        reply: oneshot::Sender<Result<(), CommitError>>,
    ) {
        if offsets.is_empty() {
            return self.end_when_quiet(client, true, End::Commit(reply));
        }
        let place = self.consumer(client).place();
        let producer = self.producer(client);
        if producer.aborts != aborts {
            return self.ended(client, End::Commit(reply), Err("partitions were lost during the commit"));
        }
        let (Some(place), Some((id, epoch))) = (place, producer.id) else {
            return self.ended(client, End::Commit(reply), Err("the worker is no member of its group"));
        };
        if std::mem::take(&mut producer.refuse_commit) {
            return self.ended(client, End::Commit(reply), Err("COORDINATOR_NOT_AVAILABLE"));
        }
        producer.registered = true;
        self.request(Role::Transactions, move |world| match world.add_to_transaction(id, epoch, []) {
            Ok(()) => world.request(Role::Group, move |world| {
                let copy = offsets.clone();
                let answer = match world.transactions.ongoing(id, epoch) {
                    Ok(transaction) => world
                        .commit_offsets_in_transaction(transaction, place, copy)
                        .map_err(|error| format!("{error:?}")),
                    Err(refusal) => Err(format!("{refusal:?}")),
                };
                world.respond(client, move |world| match answer {
                    Ok(()) => world.end_when_quiet(client, true, End::Commit(reply)),
                    Err(error) => world.ended(client, End::Commit(reply), Err(&error)),
                });
            }),
            Err(Refused::Again) => world.respond(client, move |world| {
                world.later(AGAIN, client, move |world| world.send_offsets(client, offsets, aborts, reply));
            }),
            Err(refusal) => {
                world.respond(client, move |world| world.fatal(client, End::Commit(reply), refusal))
            }
        });
    }

    fn begin_abort(&mut self, client: ClientId, reply: oneshot::Sender<Result<(), Stop>>) {
        let producer = self.producer(client);
        if !std::mem::take(&mut producer.open) {
            return self.ended(client, End::Abort(reply), Ok(()));
        }
        // The queue is dropped; what is in flight is waited for.
        producer.purge();
        self.end_when_quiet(client, false, End::Abort(reply));
    }

    /// Ends the transaction once nothing is in flight.
    fn end_when_quiet(&mut self, client: ClientId, commit: bool, end: End) {
        let producer = self.producer(client);
        if let (true, Some(reason)) = (commit, &producer.failed) {
            let reason = reason.clone();
            self.ended(client, end, Err(&reason));
        } else if producer.queued() > 0 {
            self.later(AGAIN, client, move |world| world.end_when_quiet(client, commit, end));
        } else {
            self.end(client, commit, end);
        }
    }

    /// EndTxn, if there is a transaction to end.
    fn end(&mut self, client: ClientId, commit: bool, end: End) {
        let producer = self.producer(client);
        let (Some((id, epoch)), true) = (producer.id, producer.registered) else {
            return self.is_over(client, end);
        };
        if let Some(late) = producer.late_end.take() {
            producer.doubtful = true;
            self.request_after(late, Role::Transactions, move |world| {
                let answer = world.end_transaction(id, epoch, commit);
                world.say(|_| {
                    format!("Kafka: producer {id}'s late EndTxn (commit: {commit}) comes: {answer:?}")
                });
            });
        }
        self.request(Role::Transactions, move |world| {
            let answer = world.end_transaction(id, epoch, commit);
            world.respond(client, move |world| match answer {
                Ok(()) => world.is_over(client, end),
                Err(Refused::Again) => {
                    world.later(AGAIN, client, move |world| world.end(client, commit, end));
                }
                Err(refusal) => world.fatal(client, end, refusal),
            });
        });
    }

    /// The transaction has ended. The guard (KIP-890): if its EndTxn may arrive again, the epoch is raised
    /// first.
    fn is_over(&mut self, client: ClientId, end: End) {
        let producer = self.producer(client);
        (producer.open, producer.registered, producer.failed) = (false, false, None);
        producer.added.clear();
        let doubtful = std::mem::take(&mut producer.doubtful) && !planted(Fault::NoGuard);
        producer.renewing = doubtful;
        reply(end, Ok(()));
        if !doubtful {
            return self.turn_is_over(client);
        }
        self.say_of(client, |_| "a new producer takes the old one's place".to_owned());
        self.new_epoch(client, move |world| {
            let producer = world.producer(client);
            (producer.renewing, producer.room) = (false, true);
            producer.wake();
            world.turn_is_over(client);
        });
    }

    /// InitProducerId, until there is an answer.
    pub fn new_epoch(&mut self, client: ClientId, then: impl FnOnce(&mut World) + Send + 'static) {
        let known = self.producer(client).id.map(|(id, _)| id);
        self.request(Role::Transactions, move |world| {
            let answer = world.init_producer(known);
            world.respond(client, move |world| match answer {
                Ok(id) => {
                    world.producer(client).id = Some(id);
                    then(world);
                }
                Err(_) => world.later(AGAIN, client, move |world| world.new_epoch(client, then)),
            });
        });
    }

    /// The producer has failed for good.
    fn fatal(&mut self, client: ClientId, end: End, refusal: Refused) {
        self.producer(client).fatal = Some(refusal);
        let stop = Stop::Restart(format!("the transactional producer cannot go on: {refusal:?}"));
        match end {
            End::Commit(reply) => drop(reply.send(Err(CommitError::Stop(stop)))),
            End::Abort(reply) => drop(reply.send(Err(stop))),
        }
        self.turn_is_over(client);
    }

    fn turn_is_over(&mut self, client: ClientId) {
        self.producer(client).busy = false;
        self.next_turn_if_idle(client);
    }

    fn ended(&mut self, client: ClientId, end: End, result: Result<(), &str>) {
        reply(end, result);
        self.turn_is_over(client);
    }
}

/// Replies; an engine that is gone is ignored.
fn reply(end: End, result: Result<(), &str>) {
    match (end, result) {
        (End::Commit(reply), Ok(())) => drop(reply.send(Ok(()))),
        (End::Commit(reply), Err(reason)) => drop(reply.send(Err(CommitError::Abort(reason.to_owned())))),
        (End::Abort(reply), Ok(())) => drop(reply.send(Ok(()))),
        (End::Abort(reply), Err(reason)) => drop(reply.send(Err(Stop::Restart(reason.to_owned())))),
    }
}
