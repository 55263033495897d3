//! Exactly-once: results, dead letters and offsets in one transaction (KIP-98, KIP-447).
//!
//! Every call blocks, so none is made on a thread that has anything else to do. None has a time limit: the
//! broker ends what takes longer than `transaction.timeout.ms`, and then says so.

use std::time::Duration;

use rdkafka::{
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, Producer, ProducerContext},
    util::Timeout,
};

use super::{group::Group, offsets::commit_list};
use crate::engine::{CommitError, CommitOffset, DeliveryError, Stop};

/// How long one attempt of a call that is tried again may take.
const ATTEMPT: Duration = Duration::from_secs(30);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// What is to be done about a failed call.
enum Failed {
    Again,
    Abort(String),
    Stop(Stop),
}

impl From<KafkaError> for Failed {
    fn from(error: KafkaError) -> Self {
        let KafkaError::Transaction(native) = &error else { return Failed::Abort(error.to_string()) };
        if native.is_fatal() {
            Failed::Stop(Stop::Restart(format!("the transactional producer cannot go on: {error}")))
        } else if native.txn_requires_abort() {
            Failed::Abort(error.to_string())
        } else if native.is_retriable() {
            Failed::Again
        } else {
            Failed::Stop(Stop::Restart(format!("the transaction failed: {error}")))
        }
    }
}

fn again<T>(mut call: impl FnMut() -> KafkaResult<T>) -> Result<T, Failed> {
    loop {
        match call().map_err(Failed::from) {
            Err(Failed::Again) => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Gets the producer its id and epoch: fences whoever had the same `transactional.id`.
pub fn init<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), Stop> {
    again(|| producer.init_transactions(ATTEMPT)).map_err(|failed| match failed {
        Failed::Stop(stop) => stop,
        Failed::Abort(reason) => Stop::Restart(reason),
        Failed::Again => Stop::Restart("transactions could not be initialised".to_owned()),
    })
}

/// Begins a transaction; asks nobody.
pub fn begin<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), DeliveryError> {
    again(|| producer.begin_transaction()).map_err(|failed| match failed {
        Failed::Stop(stop) => DeliveryError::Stop(stop),
        Failed::Abort(reason) => DeliveryError::Abort(reason),
        Failed::Again => DeliveryError::Abort("a transaction could not be begun".to_owned()),
    })
}

/// Adds the offsets, and commits. Once `is_given_up` says so, no attempt is begun any more.
pub fn commit<C: ProducerContext>(
    producer: &BaseProducer<C>,
    group: &Group,
    offsets: &[CommitOffset],
    is_given_up: impl Fn() -> bool,
) -> Result<(), CommitError> {
    let commit = || -> Result<(), Failed> {
        if !offsets.is_empty() {
            let list = commit_list(offsets)?;
            loop {
                // Asked for each time: a rebalance changes it. And before `is_given_up`: the place in the group
                // that the worker has after it has lost partitions says nothing of who may commit them.
                let metadata = group.metadata();
                if is_given_up() {
                    return Err(Failed::Abort("partitions were lost during the commit".to_owned()));
                }
                let Some(metadata) = metadata else {
                    return Err(Failed::Abort("the worker is no member of its group".to_owned()));
                };
                match producer.send_offsets_to_transaction(&list, &metadata, ATTEMPT).map_err(Failed::from) {
                    Err(Failed::Again) => std::thread::sleep(PAUSE),
                    result => break result?,
                }
            }
        }
        again(|| producer.commit_transaction(Timeout::Never))
    };
    commit().map_err(|failed| match failed {
        Failed::Stop(stop) => CommitError::Stop(stop),
        Failed::Abort(reason) => CommitError::Abort(reason),
        Failed::Again => CommitError::Abort("the transaction could not be committed".to_owned()),
    })
}

/// Takes back what was sent.
pub fn abort<C: ProducerContext>(producer: &BaseProducer<C>) -> Result<(), Stop> {
    again(|| producer.abort_transaction(Timeout::Never)).map_err(|failed| match failed {
        Failed::Stop(stop) => stop,
        Failed::Abort(reason) => Stop::Restart(reason),
        Failed::Again => Stop::Restart("the transaction could not be aborted".to_owned()),
    })
}
