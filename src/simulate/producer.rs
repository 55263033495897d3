//! A producer, as librdkafka behaves under `kafka/sink.rs` and `kafka/transaction.rs`: one batch in flight,
//! retried until acknowledged, and recognized by its sequence numbers; one commit or abort at a time, each on
//! a thread.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::Waker,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    judge::place_of,
    script::Role,
    transactions::{ProducerId, Refused, place},
    world::{ClientId, World},
};
use crate::{
    engine::{CommitError, CommitOffset, Delivery, DeliveryError, Guarantee, Refusal, Stop, Token},
    plant::{Fault, planted},
    record::{Destination, Record},
};

/// The pause before a request is retried.
const AGAIN: Duration = Duration::from_millis(50);
/// The most records of a batch.
const MOST: usize = 4;
/// The topic refuses results of records whose value begins with this.
const REFUSED: &[u8] = b"refused";

/// A record in the producer's queue.
#[derive(Clone)]
pub struct QueuedRecord {
    pub token: Token,
    pub to: Destination,
    pub record: Record,
    /// How often there had been a reason to repeat records of its source partition: an assignment, or
    /// undelivered records.
    pub again: u32,
}

/// A command that waits for its turn.
pub enum Turn {
    Commit { offsets: Vec<CommitOffset>, aborts: u64, reply: oneshot::Sender<Result<(), CommitError>> },
    Abort { reply: oneshot::Sender<Result<(), Stop>> },
}

/// Where to report the end of a commit or an abort.
enum End {
    Commit(oneshot::Sender<Result<(), CommitError>>),
    Abort(oneshot::Sender<Result<(), Stop>>),
}

pub struct Producer {
    transactional: bool,
    /// Its id and epoch; under exactly-once set from the start.
    pub id: Option<(ProducerId, i32)>,
    queue: VecDeque<QueuedRecord>,
    /// The batch in flight.
    sent: Vec<QueuedRecord>,
    pub deliveries: Vec<Delivery>,
    pub waker: Option<Waker>,
    /// Whether a transaction is open, from the sink's view.
    pub open: bool,
    /// Whether a broker knows of the transaction.
    registered: bool,
    /// The partitions added to the transaction.
    added: BTreeSet<(bool, i32)>,
    /// Why the transaction can only be aborted, if so.
    failed: Option<String>,
    fatal: Option<Refused>,
    /// The number of aborts requested: an earlier commit gives up.
    pub aborts: u64,
    /// Whether a commit or an abort is running, and the commands that wait for it.
    busy: bool,
    turns: VecDeque<Turn>,
    /// Whether an EndTxn of an ended transaction may still arrive.
    doubtful: bool,
    /// Whether the producer is being replaced: no transaction begins meanwhile.
    pub renewing: bool,
    /// Whether the queue may have room again.
    pub room: bool,
    /// Undelivered records that came back, by source partition.
    pub returned: BTreeMap<i32, u32>,
    /// Set by the script: faults for the next batch, commit or EndTxn.
    pub late_end: Option<Duration>,
    pub lost_acknowledgement: Option<Duration>,
    pub fail_delivery: bool,
    pub deliver_again: bool,
    pub refuse_commit: bool,
}

impl Producer {
    pub fn new(guarantee: Guarantee) -> Producer {
        Producer {
            transactional: guarantee == Guarantee::ExactlyOnce,
            id: None,
            queue: VecDeque::new(),
            sent: Vec::new(),
            deliveries: Vec::new(),
            waker: None,
            open: false,
            registered: false,
            added: BTreeSet::new(),
            failed: None,
            fatal: None,
            aborts: 0,
            busy: false,
            turns: VecDeque::new(),
            doubtful: false,
            renewing: false,
            room: false,
            returned: BTreeMap::new(),
            late_end: None,
            lost_acknowledgement: None,
            fail_delivery: false,
            deliver_again: false,
            refuse_commit: false,
        }
    }

    /// Records handed over and not acknowledged.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.sent.len()
    }

    /// Why nothing can be sent, if so.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    fn deliver(&mut self, outgoing: &QueuedRecord, result: Result<(), DeliveryError>) {
        if result.is_err()
            && let Some((partition, _)) = place_of(outgoing.record.value.as_deref().unwrap_or_default())
        {
            *self.returned.entry(partition).or_default() += 1;
        }
        self.deliveries.push(Delivery { token: outgoing.token, result });
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Returns everything queued and in flight as undelivered.
    fn fail(&mut self, error: &DeliveryError) {
        for outgoing in std::mem::take(&mut self.sent).into_iter().chain(std::mem::take(&mut self.queue)) {
            self.deliver(&outgoing, Err(error.clone()));
        }
    }

    /// Returns what is queued.
    pub fn purge(&mut self) {
        for outgoing in std::mem::take(&mut self.queue) {
            self.deliver(&outgoing, Err(DeliveryError::Again("_PURGE_QUEUE".to_owned())));
        }
    }
}

impl World {
    pub fn producer(&mut self, client: ClientId) -> &mut Producer {
        &mut self.clients[client].producer
    }

    /// Accepts a record.
    pub fn produce(&mut self, client: ClientId, outgoing: QueuedRecord) {
        let producer = self.producer(client);
        producer.queue.push_back(outgoing);
        if producer.sent.is_empty() {
            let way = self.way();
            // More records may join before the batch is closed.
            self.later(way / 8, client, move |world| world.send_batch(client));
        }
    }

    fn send_batch(&mut self, client: ClientId) {
        let most = self.random.usize(1..=MOST);
        let producer = self.producer(client);
        if !producer.sent.is_empty() || producer.queue.is_empty() || producer.failed.is_some() {
            return;
        }
        let count = most.min(producer.queue.len());
        let batch: Vec<QueuedRecord> = producer.queue.drain(..count).collect();
        producer.sent = batch.clone();
        if std::mem::take(&mut producer.fail_delivery) {
            return self.later(AGAIN, client, move |world| world.not_delivered(client, "_TIMED_OUT"));
        }
        if std::mem::take(&mut producer.deliver_again) {
            return self.later(AGAIN, client, move |world| world.come_back(client, |_| false));
        }
        let lost = producer.lost_acknowledgement.take();
        let (id, transactional) = (producer.id, producer.transactional);
        let new: Vec<(bool, i32)> =
            batch.iter().map(place).filter(|at| !producer.added.contains(at)).collect();
        if transactional {
            producer.registered = true;
            producer.added.extend(new.iter().copied());
        }
        self.request(Role::Leader, move |world| world.batch_arrives(client, id, new, batch, lost));
    }

    /// AddPartitionsToTxn precedes a transaction's first batch to a partition; here both are one request.
    fn batch_arrives(
        &mut self,
        client: ClientId,
        id: Option<(ProducerId, i32)>,
        new: Vec<(bool, i32)>,
        batch: Vec<QueuedRecord>,
        lost: Option<Duration>,
    ) {
        if let (Some((producer, epoch)), false) = (id, new.is_empty()) {
            match self.add_to_transaction(producer, epoch, new.iter().copied()) {
                Ok(()) => {}
                Err(Refused::Again) => {
                    let again = move |world: &mut World| world.batch_arrives(client, id, new, batch, lost);
                    return self.request_after(AGAIN, Role::Leader, again);
                }
                Err(refusal) => return self.refuse_batch(client, refusal),
            }
        }
        if batch.iter().any(is_refused) {
            let way = self.way();
            return self.later(way, client, move |world| world.refuse_records(client));
        }
        match self.write(client, id, &batch) {
            Ok(()) => {
                let way = self.way() + lost.unwrap_or_default();
                self.later(way, client, move |world| world.acknowledged(client));
            }
            Err(refusal) => self.refuse_batch(client, refusal),
        }
    }

    fn refuse_batch(&mut self, client: ClientId, refusal: Refused) {
        self.respond(client, move |world| world.not_delivered(client, &format!("{refusal:?}")));
    }

    fn acknowledged(&mut self, client: ClientId) {
        let producer = self.producer(client);
        for outgoing in std::mem::take(&mut producer.sent) {
            producer.deliver(&outgoing, Ok(()));
        }
        self.send_batch(client);
    }

    /// The broker refuses a batch because of one record. Most errors name it; some are about the whole batch.
    fn refuse_records(&mut self, client: ClientId) {
        let whole = self.random.bool();
        self.come_back(client, move |outgoing| whole || is_refused(outgoing));
    }

    /// Returns a batch: some records as refused, the others as undelivered although valid.
    fn come_back(&mut self, client: ClientId, refused: impl Fn(&QueuedRecord) -> bool) {
        self.say_of(client, |_| "a batch comes back".to_owned());
        let producer = self.producer(client);
        for outgoing in std::mem::take(&mut producer.sent) {
            let error = if refused(&outgoing) {
                Refusal { too_large: None, reason: "INVALID_RECORD".to_owned() }.into()
            } else {
                DeliveryError::Again("_INVALID_DIFFERENT_RECORD".to_owned())
            };
            producer.deliver(&outgoing, Err(error));
        }
        if producer.transactional {
            producer.failed = Some("a record was not delivered".to_owned());
            producer.purge();
        }
        self.send_batch(client);
    }

    /// A batch failed for good.
    fn not_delivered(&mut self, client: ClientId, reason: &str) {
        let reason = format!("a record was not delivered: {reason}");
        self.say_of(client, |_| reason.clone());
        let producer = self.producer(client);
        let error = if producer.transactional {
            producer.failed = Some(reason.clone());
            DeliveryError::Abort(reason)
        } else {
            DeliveryError::Stop(Stop::Restart(reason))
        };
        producer.fail(&error);
    }

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

fn is_refused(outgoing: &QueuedRecord) -> bool {
    let value = outgoing.record.value.as_deref().unwrap_or_default();
    outgoing.to == Destination::SINK && value.starts_with(REFUSED)
}
