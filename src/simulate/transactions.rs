//! The transaction coordinator, and the checks of partition leaders: epochs, one transaction at a time for
//! each producer (KIP-98), brokers that refuse batches of no open transaction (KIP-890, part 1) and apply an
//! EndTxn to whatever transaction is open (without part 2).

use std::{collections::BTreeSet, time::Duration};

use super::{
    producer::QueuedRecord,
    script::Role,
    topics::{Written, partition_of},
    world::{ClientId, Step, World},
};
use crate::record::Destination;

/// `transaction.timeout.ms`.
const TIMEOUT: Duration = Duration::from_secs(10);

pub type TransactionId = usize;
pub type ProducerId = usize;

/// Why the coordinator or a leader refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// CONCURRENT_TRANSACTIONS: the last transaction's markers are still being written.
    Again,
    /// INVALID_PRODUCER_EPOCH, PRODUCER_FENCED.
    Fenced,
    /// INVALID_TXN_STATE.
    InvalidState,
}

#[derive(Default)]
pub struct Transactions {
    producers: Vec<Coordinated>,
    /// Whether a transaction was committed; `None` while it is open.
    outcomes: Vec<Option<bool>>,
}

#[derive(Default)]
struct Coordinated {
    epoch: i32,
    state: State,
    /// The partitions of the open transaction.
    partitions: BTreeSet<(bool, i32)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    Empty,
    Ongoing(TransactionId),
    /// The outcome (committed or not) is decided; the markers are being written.
    Ending(bool),
    Complete(bool),
}

/// The partition that a record goes to: whether it is the dead-letter topic's, and its number.
pub fn place(outgoing: &QueuedRecord) -> (bool, i32) {
    (outgoing.to == Destination::DeadLetter, partition_of(&outgoing.record))
}

impl Transactions {
    /// Whether a `read_committed` reader sees that transaction's records.
    pub fn is_committed(&self, transaction: Option<TransactionId>) -> bool {
        transaction.is_none_or(|id| self.outcomes[id] == Some(true))
    }

    fn of(&mut self, producer: ProducerId, epoch: i32) -> Result<&mut Coordinated, Refused> {
        let of = &mut self.producers[producer];
        if of.epoch == epoch { Ok(of) } else { Err(Refused::Fenced) }
    }

    /// The producer's open transaction, if the epoch is current.
    pub fn ongoing(&mut self, producer: ProducerId, epoch: i32) -> Result<TransactionId, Refused> {
        match self.of(producer, epoch)?.state {
            State::Ongoing(id) => Ok(id),
            _ => Err(Refused::InvalidState),
        }
    }
}

impl World {
    /// InitProducerId: a new producer, or the next epoch.
    pub fn init_producer(&mut self, known: Option<ProducerId>) -> Result<(ProducerId, i32), Refused> {
        let Some(id) = known else {
            self.transactions.producers.push(Coordinated::default());
            return Ok((self.transactions.producers.len() - 1, 0));
        };
        match self.transactions.producers[id].state {
            State::Ongoing(_) => {
                self.transactions.producers[id].epoch += 1;
                self.decide(id, false);
                Err(Refused::Again)
            }
            State::Ending(_) => Err(Refused::Again),
            State::Empty | State::Complete(_) => {
                let of = &mut self.transactions.producers[id];
                of.epoch += 1;
                of.state = State::Empty;
                Ok((id, of.epoch))
            }
        }
    }

    /// AddPartitionsToTxn, AddOffsetsToTxn: the first one opens the transaction.
    pub fn add_to_transaction(
        &mut self,
        producer: ProducerId,
        epoch: i32,
        partitions: impl IntoIterator<Item = (bool, i32)>,
    ) -> Result<(), Refused> {
        let next = self.transactions.outcomes.len();
        let of = self.transactions.of(producer, epoch)?;
        match of.state {
            State::Ending(_) => return Err(Refused::Again),
            State::Ongoing(_) => {}
            State::Empty | State::Complete(_) => {
                of.state = State::Ongoing(next);
                of.partitions.clear();
                self.transactions.outcomes.push(None);
                let expire = move |world: &mut World| world.expire(producer, next);
                self.plan(TIMEOUT, None, Step::Call(Box::new(expire)));
            }
        }
        self.transactions.producers[producer].partitions.extend(partitions);
        Ok(())
    }

    /// Produce: a batch, whole or not at all.
    pub fn write(
        &mut self,
        client: ClientId,
        transactional: Option<(ProducerId, i32)>,
        batch: &[QueuedRecord],
    ) -> Result<(), Refused> {
        let transaction = match transactional {
            None => None,
            Some((producer, epoch)) => {
                let id = self.transactions.ongoing(producer, epoch)?;
                let partitions = &self.transactions.producers[producer].partitions;
                if !batch.iter().all(|outgoing| partitions.contains(&place(outgoing))) {
                    return Err(Refused::InvalidState);
                }
                Some(id)
            }
        };
        for outgoing in batch {
            let QueuedRecord { to, record, again, .. } = outgoing;
            let written = Written {
                to: *to,
                partition: partition_of(record),
                record: record.clone(),
                by: client,
                again: *again,
                transaction,
            };
            self.judge.written(&written);
            self.topics.written.push(written);
        }
        Ok(())
    }

    /// EndTxn; applies to whatever transaction is open.
    pub fn end_transaction(&mut self, producer: ProducerId, epoch: i32, commit: bool) -> Result<(), Refused> {
        match self.transactions.of(producer, epoch)?.state {
            State::Ongoing(_) => {
                self.decide(producer, commit);
                Ok(())
            }
            State::Ending(decided) if decided == commit => Err(Refused::Again),
            State::Complete(decided) if decided == commit => Ok(()),
            State::Empty | State::Ending(_) | State::Complete(_) => Err(Refused::InvalidState),
        }
    }

    /// The coordinator aborts a transaction that takes too long, and fences its producer.
    fn expire(&mut self, producer: ProducerId, transaction: TransactionId) {
        if self.transactions.producers[producer].state == State::Ongoing(transaction) {
            self.say(|_| format!("Kafka: producer {producer}'s transaction {transaction} has timed out"));
            self.transactions.producers[producer].epoch += 1;
            self.decide(producer, false);
        }
    }

    fn decide(&mut self, producer: ProducerId, commit: bool) {
        let State::Ongoing(id) = self.transactions.producers[producer].state else { return };
        let done = if commit { "committed" } else { "aborted" };
        self.say(|_| format!("Kafka: producer {producer}'s transaction {id} is {done}"));
        self.transactions.producers[producer].state = State::Ending(commit);
        self.transactions.outcomes[id] = Some(commit);
        if commit {
            for written in self.topics.written.iter().filter(|written| written.transaction == Some(id)) {
                self.judge.seen(written);
            }
        }
        self.request(Role::Group, move |world| {
            world.end_offsets(id, commit);
            world.transactions.producers[producer].state = State::Complete(commit);
        });
    }
}
