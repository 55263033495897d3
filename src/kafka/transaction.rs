//! Exactly-once: results, dead letters and offsets in one transaction (KIP-98, KIP-447).
//!
//! Every call blocks, so none is made on a thread that has anything else to do. None but that for the offsets has a
//! time limit: the broker ends what takes longer than `transaction.timeout.ms`, and then says so. What had to be done
//! twice, or took long, is told to the producer's [`Signs`](super::signs::Signs).

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
/// librdkafka (2.12 and later, its #5511) waits for ever where that broker was stopped in order and so is not named in
/// metadata any more, whatever time limit the call was given.
const OFFSETS: Duration = Duration::from_secs(6);
/// How long one attempt of a call that is tried again may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The end of a transaction that takes longer is not plain: most take milliseconds.
const SUSPICIOUS: Duration = Duration::from_secs(5);

/// What is to be done about a failed call.
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

/// Makes a call until it does not ask for another.
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

/// Times the end of a transaction.
fn timed<T>(producer: &PolledProducer, end: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = end();
    let took = began.elapsed();
    if took > SUSPICIOUS {
        not_plain(producer, || format!("its end took {took:?}"));
    }
    result
}

/// Gets the producer its id and epoch: fences the producer that had the same `transactional.id`. Gives up once `go_on` says no.
pub fn init(producer: &PolledProducer, go_on: impl Fn() -> bool) -> Result<(), Stop> {
    let init = || -> Result<(), Failed> {
        if !go_on() {
            return Err(Failed::Stop(Stop::Restart("the producer is not wanted any more".to_owned())));
        }
        Ok(producer.client().init_transactions(ATTEMPT)?)
    };
    again(producer, init).map_err(stop)?;
    // Nothing that it has asked so far is about a transaction.
    if let Some(signs) = producer.signs() {
        signs.forget();
    }
    Ok(())
}

/// Begins a transaction; asks nobody.
pub fn begin(producer: &PolledProducer) -> Result<(), DeliveryError> {
    again(producer, || Ok(producer.client().begin_transaction()?)).map_err(|failed| match failed {
        Failed::Stop(stop) => DeliveryError::Stop(stop),
        Failed::Abort(reason) | Failed::Again(reason) => DeliveryError::Abort(reason),
    })
}

/// Adds the offsets, and commits. Once `is_given_up` says so, no attempt is begun any more.
pub fn commit(
    producer: &Arc<PolledProducer>,
    group: &Group,
    offsets: &[CommitOffset],
    is_given_up: impl Fn() -> bool,
) -> Result<(), CommitError> {
    let add_offsets = |part: &[CommitOffset]| -> Result<(), Failed> {
        let deadline = Instant::now() + OFFSETS;
        again(producer, || {
            // Asked for each time: a rebalance changes it. And before `is_given_up`: the place in the group
            // that the worker has after it has lost partitions says nothing of who may commit them.
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

/// Makes a call that has a time limit, which it need not keep; `None` where it did not. Its thread waits on then, with all
/// that it has: until a broker that has nothing to do for long closes its connection (`connections.max.idle.ms`), which
/// librdkafka takes as a reason to look again.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce(Duration) -> T + Send + 'static,
) -> Option<T> {
    if limit.is_zero() {
        return None;
    }
    let (tell, told) = mpsc::channel();
    let call = move || {
        // Nobody waits for one that is late.
        let _ = tell.send(call(limit));
    };
    thread::Builder::new().name("send-offsets".to_owned()).spawn(call).ok()?;
    // The call's own limit is to come first.
    told.recv_timeout(limit + PAUSE).ok()
}

/// Takes back what was sent; or says what no new try mends, if that is what has broken the transaction.
pub fn abort(producer: &PolledProducer) -> Result<(), Stop> {
    // While a transaction is open this does nothing, but it tells what has broken it: the records that were to be a part
    // of it were only purged, and its end would be refused for a transaction that the broker knows nothing of.
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
