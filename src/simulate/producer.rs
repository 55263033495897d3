//! A producer, as librdkafka behaves under `kafka/sink.rs` and `kafka/transaction.rs`: one batch in flight,
//! retried until acknowledged, and recognized by its sequence numbers. Its commits and aborts: `turns.rs`.

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
    engine::{CommitError, CommitOffset, Delivery, DeliveryError, Guarantee, Refusal, Stop, Token, Written},
    record::{Destination, Record},
};

/// The pause before a request is retried.
pub(super) const AGAIN: Duration = Duration::from_millis(50);
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

pub struct Producer {
    pub(super) transactional: bool,
    /// Its id and epoch; under exactly-once set from the start.
    pub id: Option<(ProducerId, i32)>,
    pub(super) queue: VecDeque<QueuedRecord>,
    /// The batch in flight.
    pub(super) sent: Vec<QueuedRecord>,
    pub deliveries: Vec<Delivery>,
    pub waker: Option<Waker>,
    /// Whether a transaction is open, from the sink's view.
    pub open: bool,
    /// Whether a broker knows of the transaction.
    pub(super) registered: bool,
    /// The partitions added to the transaction.
    pub(super) added: BTreeSet<(bool, i32)>,
    /// Why the transaction can only be aborted, if so.
    pub(super) failed: Option<String>,
    pub(super) fatal: Option<Refused>,
    /// The number of aborts requested: an earlier commit gives up.
    pub aborts: u64,
    /// Whether a commit or an abort is running, and the commands that wait for it.
    pub(super) busy: bool,
    pub(super) turns: VecDeque<Turn>,
    /// Whether an EndTxn of an ended transaction may still arrive.
    pub(super) doubtful: bool,
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
        // Where it is matters for pieces of results alone, and here are none.
        let result = result.map(|()| Written::default());
        self.deliveries.push(Delivery { token: outgoing.token, result });
        self.wake();
    }

    pub(super) fn wake(&mut self) {
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
}

fn is_refused(outgoing: &QueuedRecord) -> bool {
    let value = outgoing.record.value.as_deref().unwrap_or_default();
    outgoing.to == Destination::SINK && value.starts_with(REFUSED)
}
