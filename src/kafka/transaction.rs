//! Exactly-once: results, dead letters and offsets in one transaction (KIP-98, KIP-447).
//!
//! Every call blocks, so each is made on a thread that does nothing else. Only the call for the offsets has a
//! time limit of ours: the broker ends a transaction that takes longer than `transaction.timeout.ms`, and
//! then says so. What had to be repeated, or took long, is added to the producer's
//! [`Signs`](super::signs::Signs).

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{error::KafkaError, producer::Producer, types::RDKafkaErrorCode as Code, util::Timeout};

use super::{
    group::Group,
    offsets::{commit_list, parts},
    permanent,
    producer::PolledProducer,
};
use crate::engine::{CommitError, CommitOffset, DeliveryError, Stop};

/// How long the group's coordinator may take to accept offsets before the producer is given up.
///
/// Whatever time limit the call has, librdkafka (2.12 and later, its #5511) waits forever where that broker
/// was shut down in order and so is missing in the metadata.
const OFFSETS: Duration = Duration::from_secs(6);
/// How long one attempt of a repeated call may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// A transaction whose end takes longer than this is not plain: most take milliseconds.
const SUSPICIOUS: Duration = Duration::from_secs(5);

/// What to do about a failed call.
enum Failed {
    Again(String),
    Abort(String),
    Stop(Stop),
}

impl From<KafkaError> for Failed {
    fn from(error: KafkaError) -> Self {
        if let Some(stop) = permanent::of_error(&error) {
            return Failed::Stop(stop);
        }
        let KafkaError::Transaction(native) = &error else { return Failed::Abort(error.to_string()) };
        if native.is_fatal() {
            Failed::Stop(Stop::Restart(format!("the transactional producer cannot go on: {error}")))
        } else if native.txn_requires_abort() {
            Failed::Abort(error.to_string())
        } else if native.is_retriable() {
            Failed::Again(error.to_string())
        } else {
            Failed::Stop(Stop::Restart(format!("the transaction failed: {error}")))
        }
    }
}

/// Repeats a call until it does not fail with [`Failed::Again`].
fn again<T>(producer: &PolledProducer, mut call: impl FnMut() -> Result<T, Failed>) -> Result<T, Failed> {
    loop {
        match call() {
            Err(Failed::Again(reason)) => {
                not_plain(producer, || reason);
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn not_plain(producer: &PolledProducer, sign: impl FnOnce() -> String) {
    if let Some(signs) = producer.signs() {
        signs.add(sign);
    }
}

/// Runs the end of a transaction, and adds a sign where it takes long.
fn timed<T>(producer: &PolledProducer, end: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = end();
    let took = began.elapsed();
    if took > SUSPICIOUS {
        not_plain(producer, || format!("its end took {took:?}"));
    }
    result
}

/// Requests the producer's id and epoch, which fences the producer that had the same `transactional.id`.
/// Gives up once `go_on` returns false.
pub fn init(producer: &PolledProducer, go_on: impl Fn() -> bool) -> Result<(), Stop> {
    let init = || -> Result<(), Failed> {
        if !go_on() {
            return Err(Failed::Stop(Stop::Restart("the producer is not wanted any more".to_owned())));
        }
        Ok(producer.client().init_transactions(ATTEMPT)?)
    };
    again(producer, init).map_err(stop)?;
    // No request so far was part of a transaction.
    if let Some(signs) = producer.signs() {
        signs.forget();
    }
    Ok(())
}

/// Begins a transaction; sends no request.
pub fn begin(producer: &PolledProducer) -> Result<(), DeliveryError> {
    again(producer, || Ok(producer.client().begin_transaction()?)).map_err(|failed| match failed {
        Failed::Stop(stop) => DeliveryError::Stop(stop),
        Failed::Abort(reason) | Failed::Again(reason) => DeliveryError::Abort(reason),
    })
}

/// Adds the offsets, and commits. Begins no more attempts once `is_given_up` returns true.
pub fn commit(
    producer: &Arc<PolledProducer>,
    group: &Group,
    offsets: &[CommitOffset],
    is_given_up: impl Fn() -> bool,
) -> Result<(), CommitError> {
    let add_offsets = |part: &[CommitOffset]| -> Result<(), Failed> {
        let deadline = Instant::now() + OFFSETS;
        again(producer, || {
            // Each time, as a rebalance changes it. And before `is_given_up`: with the membership that the
            // worker gets after it has lost partitions, it must not commit them.
            let metadata = group.metadata();
            if is_given_up() {
                return Err(Failed::Abort("partitions were lost during the commit".to_owned()));
            }
            let Some(metadata) = metadata else {
                return Err(Failed::Abort("the worker is no member of its group".to_owned()));
            };
            let (list, producer_too) = (commit_list(part)?, producer.clone());
            let send = move |left| producer_too.client().send_offsets_to_transaction(&list, &metadata, left);
            match within(deadline.saturating_duration_since(Instant::now()), send) {
                Some(sent) => Ok(sent?),
                None => {
                    producer.give_up();
                    let reason =
                        format!("the group's coordinator did not take the offsets within {OFFSETS:?}");
                    Err(Failed::Abort(reason))
                }
            }
        })
    };
    let commit = || -> Result<(), Failed> {
        parts(offsets).into_iter().try_for_each(add_offsets)?;
        again(producer, || Ok(producer.client().commit_transaction(Timeout::Never)?))
    };
    timed(producer, commit).map_err(|failed| match failed {
        Failed::Stop(stop) => CommitError::Stop(stop),
        Failed::Abort(reason) | Failed::Again(reason) => CommitError::Abort(reason),
    })
}

/// Makes a call whose time limit may not be kept; returns `None` where it is not. Then its thread keeps
/// waiting, with everything that it holds, until a broker closes an idle connection
/// (`connections.max.idle.ms`), after which librdkafka looks again.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce(Duration) -> T + Send + 'static,
) -> Option<T> {
    if limit.is_zero() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    let call = move || {
        // Nobody receives a late result.
        let _ = sender.send(call(limit));
    };
    thread::Builder::new().name("send-offsets".to_owned()).spawn(call).ok()?;
    // A bit longer than the call's own limit.
    receiver.recv_timeout(limit + PAUSE).ok()
}

/// Takes back what was sent.
///
/// # Errors
/// Where the transaction failed for a reason that no new attempt mends, or it cannot be aborted.
pub fn abort(producer: &PolledProducer) -> Result<(), Stop> {
    // While a transaction is open this does nothing but return what has broken it. Otherwise that would not
    // be known: its records were only purged, and its end would be refused because the broker does not know
    // the transaction.
    if let Err(broken) = producer.client().begin_transaction() {
        if broken.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed) {
            return Err(Stop::Fatal(format!(
                "the broker does not let this user write the result or dead-letter topic: {broken}"
            )));
        }
        if let Some(stop) = permanent::of_error(&broken) {
            return Err(stop);
        }
    }
    let abort = || again(producer, || Ok(producer.client().abort_transaction(Timeout::Never)?));
    timed(producer, abort).map_err(stop)
}

fn stop(failed: Failed) -> Stop {
    match failed {
        Failed::Stop(stop) => stop,
        Failed::Abort(reason) | Failed::Again(reason) => Stop::Restart(reason),
    }
}
