//! A producer with the thread that polls it. Both are replaced after a transaction that was not plain.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, DeliveryResult, Producer, ProducerContext},
    statistics::Statistics,
    types::RDKafkaErrorCode as Code,
};

use super::{
    places::Places,
    signs::{Signs, with_log},
    statistics, threads,
};
use crate::{
    engine::{Delivery, DeliveryError, Refusal, Stop, Token, Written},
    telemetry::{Client, Progress},
};

/// How long the poll thread waits for acknowledgements before it checks whether to stop.
const POLL: Duration = Duration::from_millis(100);

/// The token of a record that the engine knows nothing of.
pub const OF_NOBODY: usize = usize::MAX;

/// A producer, its poll thread, and, where it is transactional, what its log says.
pub struct PolledProducer {
    // Before the producer: fields are dropped in this order.
    signs: Option<Arc<Signs>>,
    producer: Arc<BaseProducer<Acknowledgements>>,
    stop: Arc<AtomicBool>,
    poll: Option<JoinHandle<()>>,
    /// Whether a call to it has not returned.
    given_up: AtomicBool,
}

/// What all producers of a sink are made with.
#[derive(Clone)]
pub struct Makes {
    pub config: ClientConfig,
    pub transactional: bool,
    pub places: Arc<Places>,
    pub deliveries: Arc<Deliveries>,
    pub progress: Arc<Progress>,
}

/// Collects the deliveries of the poll threads until the engine takes them.
#[derive(Default)]
pub struct Deliveries {
    waiting: Mutex<Vec<Delivery>>,
    /// Whether there is room again although nothing was delivered.
    room: AtomicBool,
    waker: AtomicWaker,
}

impl Deliveries {
    /// See [`Sink::poll_deliveries`](crate::engine::Sink::poll_deliveries).
    pub fn poll(&self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()> {
        if self.take(deliveries) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        // Again: something may have come before the waker was registered.
        if self.take(deliveries) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Wakes the engine to send again where there was no room.
    pub fn room_again(&self) {
        self.room.store(true, Relaxed);
        self.waker.wake();
    }

    fn take(&self, deliveries: &mut Vec<Delivery>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if deliveries.is_empty() {
            std::mem::swap(&mut *waiting, deliveries);
        } else {
            deliveries.append(&mut waiting);
        }
        self.room.swap(false, Relaxed) || !deliveries.is_empty()
    }
}

/// The producer's context.
pub struct Acknowledgements {
    deliveries: Arc<Deliveries>,
    transactional: bool,
    /// Whether a record was not delivered in time.
    timed_out: AtomicBool,
    progress: Arc<Progress>,
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.progress.statistics(Client::Producer, statistics::read(&statistics));
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let result = match result {
            Ok(message) => Ok(Written { partition: message.partition(), offset: message.offset() }),
            Err((error, message)) => {
                if error.rdkafka_error_code() == Some(Code::MessageTimedOut) {
                    self.timed_out.store(true, Relaxed);
                }
                Err(delivery_error(error, message.payload_len() as u64, self.transactional))
            }
        };
        if token == OF_NOBODY {
            // One that is not delivered breaks its transaction, whose commit then says so.
            return;
        }
        let delivery = Delivery { token: Token(token), result };
        self.deliveries.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        self.deliveries.waker.wake();
    }
}

impl PolledProducer {
    /// A producer; a transactional one does not have its producer id yet.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings, or the thread does not start.
    pub fn new(makes: &Makes) -> Result<Self, Stop> {
        let context = Acknowledgements {
            deliveries: makes.deliveries.clone(),
            transactional: makes.transactional,
            timed_out: AtomicBool::new(false),
            progress: makes.progress.clone(),
        };
        let config = if makes.transactional { with_log(&makes.config) } else { makes.config.clone() };
        let producer: BaseProducer<Acknowledgements> = config
            .create_with_context(context)
            .map_err(|error| Stop::Fatal(format!("cannot make a producer: {error}")))?;
        let producer = Arc::new(producer);
        // SAFETY: every owner of the signs is gone before the producer, as `Drop` and the order of fields see to.
        let signs =
            makes.transactional.then(|| Arc::new(unsafe { Signs::of(producer.client().native_ptr()) }));
        let stop = Arc::new(AtomicBool::new(false));
        let poll = spawn_poll(producer.clone(), signs.clone(), stop.clone(), makes)?;
        Ok(PolledProducer { signs, producer, stop, poll: Some(poll), given_up: AtomicBool::new(false) })
    }

    /// The producer itself.
    pub fn client(&self) -> &BaseProducer<Acknowledgements> {
        &self.producer
    }

    /// Whether a record was not delivered in time. The producer may never deliver another one to that
    /// partition then.
    pub fn has_timed_out(&self) -> bool {
        self.producer.context().timed_out.load(Relaxed)
    }

    /// Records that a call to it does not return, so that it must not be used any more.
    pub fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// Whether it must not be used any more.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    /// What its log shows, where it is transactional.
    pub fn signs(&self) -> Option<&Signs> {
        self.signs.as_deref()
    }
}

fn spawn_poll(
    producer: Arc<BaseProducer<Acknowledgements>>,
    signs: Option<Arc<Signs>>,
    stop: Arc<AtomicBool>,
    makes: &Makes,
) -> Result<JoinHandle<()>, Stop> {
    let places = makes.places.clone();
    let poll = move || {
        let mut next = Instant::now();
        while !stop.load(Relaxed) {
            producer.poll(POLL);
            if let Some(signs) = &signs {
                signs.read();
            }
            places.refresh(&producer, &mut next);
        }
        // In this order: see `Signs`.
        drop(signs);
        drop(producer);
    };
    thread::Builder::new()
        .name("producer-poll".to_owned())
        .spawn(poll)
        .map_err(|error| Stop::Fatal(format!("cannot start the producer's poll thread: {error}")))
}

impl Drop for PolledProducer {
    fn drop(&mut self) {
        if let Some((Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch, _)) =
            self.producer.client().fatal_error()
        {
            self.producer.context().progress.fenced();
        }
        self.stop.store(true, Relaxed);
        if let Some(poll) = self.poll.take() {
            // The thread ends within one poll.
            threads::join(poll);
        }
    }
}

/// What a failed record means for the pipeline.
pub fn delivery_error(error: &KafkaError, size: u64, transactional: bool) -> DeliveryError {
    let code = error.rdkafka_error_code();
    let reason = |what: &str| format!("{what}: {error}");
    match code {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
            let reason = format!("a value of {size} bytes is more than the topic takes");
            Refusal { too_large: Some(size), reason }.into()
        }
        Some(Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation) => {
            Refusal { too_large: None, reason: reason("the broker refuses the record") }.into()
        }
        // Its batch was refused because of another record, or it was purged before it was acknowledged.
        Some(Code::InvalidDifferentRecord | Code::PurgeQueue | Code::PurgeInflight) => {
            DeliveryError::Again(error.to_string())
        }
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => DeliveryError::Stop(
            Stop::Fatal(reason("the broker does not let this user write the result or dead-letter topic")),
        ),
        Some(Code::Fatal) => DeliveryError::Stop(Stop::Restart(reason("the producer cannot go on"))),
        _ if transactional => DeliveryError::Abort(reason("a record was not delivered")),
        _ => DeliveryError::Stop(Stop::Restart(reason("a record was not delivered"))),
    }
}
