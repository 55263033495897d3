//! Results and dead letters to a producer; acknowledgements from a thread that polls it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture, task::AtomicWaker};
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig},
    statistics::Statistics,
    types::RDKafkaErrorCode as Code,
};

use super::{reply::ReplyPartitions, statistics, transaction};
use crate::{
    engine::{
        CommitError, CommitOffset, Delivery, DeliveryError, Destination, Refusal, SendError, Sink, Stop,
        Token,
    },
    kafka::group::Group,
    record::Record,
    telemetry::{Client, Progress},
};

/// How long the poll thread waits for acknowledgements before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// The topics that a sink writes to.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Whether a record may say at which partition its result is wanted.
    pub requests: bool,
    /// Where results go.
    pub results: String,
    /// Where dead letters go.
    pub dead_letters: String,
}

/// A producer as the engine's sink.
pub struct KafkaSink {
    producer: Arc<BaseProducer<Acknowledgements>>,
    topics: Topics,
    /// Where records are requests: the partitions that they may ask for their replies at.
    replies: Option<Arc<ReplyPartitions>>,
    poll: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    transactional: bool,
    /// Exactly-once: the group whose offsets go into the transactions.
    group: Option<Group>,
    transaction: Arc<TransactionState>,
}

/// What commits and aborts, each on a thread of its own, share with the sink.
#[derive(Default)]
struct TransactionState {
    /// Whether a transaction is open.
    open: AtomicBool,
    /// How often an abort was asked for: a commit from before gives up.
    aborts: AtomicU64,
    /// One at a time: an abort waits for the commit that it gives up.
    turn: Mutex<()>,
}

/// Collects what the poll thread is told, until the engine takes it.
pub struct Acknowledgements {
    deliveries: Mutex<Vec<Delivery>>,
    waker: AtomicWaker,
    transactional: bool,
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
            Ok(_) => Ok(()),
            Err((error, message)) => {
                Err(delivery_error(error, message.payload_len() as u64, self.transactional))
            }
        };
        let delivery = Delivery { token: Token(token), result };
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        self.waker.wake();
    }
}

impl KafkaSink {
    /// A sink with a producer of its own. A transactional one asks the broker for its id first, so this
    /// blocks; it must be told by [`commit_for`](KafkaSink::commit_for) whose offsets it commits.
    ///
    /// # Errors
    /// Where the producer cannot be made, or transactions cannot be had.
    pub fn new(
        config: &ClientConfig,
        topics: Topics,
        transactional: bool,
        progress: Arc<Progress>,
    ) -> Result<Self, Stop> {
        let context = Acknowledgements {
            deliveries: Mutex::default(),
            waker: AtomicWaker::default(),
            transactional,
            progress,
        };
        let producer: BaseProducer<Acknowledgements> = config
            .create_with_context(context)
            .map_err(|error| Stop::Fatal(format!("cannot make a producer: {error}")))?;
        let producer = Arc::new(producer);
        let stop = Arc::new(AtomicBool::new(false));
        let replies = topics.requests.then(|| {
            let replies = Arc::new(ReplyPartitions::default());
            replies.ask(&producer, &topics.results);
            replies
        });
        let poll = spawn_poll(producer.clone(), stop.clone(), replies.clone(), topics.results.clone())?;
        let transaction = Arc::default();
        let sink = KafkaSink {
            producer,
            topics,
            replies,
            poll: Some(poll),
            stop,
            transactional,
            group: None,
            transaction,
        };
        if transactional {
            transaction::init(&sink.producer)?;
        }
        Ok(sink)
    }

    /// The group whose offsets go into the transactions.
    pub fn commit_for(&mut self, group: Group) {
        self.group = Some(group);
    }
}

fn spawn_poll(
    producer: Arc<BaseProducer<Acknowledgements>>,
    stop: Arc<AtomicBool>,
    replies: Option<Arc<ReplyPartitions>>,
    results: String,
) -> Result<JoinHandle<()>, Stop> {
    let poll = move || {
        let mut next = Instant::now();
        while !stop.load(Relaxed) {
            producer.poll(POLL);
            if let Some(replies) = &replies {
                replies.refresh(&producer, &results, &mut next);
            }
        }
    };
    thread::Builder::new()
        .name("producer-poll".to_owned())
        .spawn(poll)
        .map_err(|error| Stop::Fatal(format!("cannot start the producer's poll thread: {error}")))
}

impl Sink for KafkaSink {
    fn send(&mut self, to: Destination, record: &Record, token: Token) -> Result<(), SendError> {
        if self.transactional && !self.transaction.open.load(Relaxed) {
            transaction::begin(&self.producer)?;
            self.transaction.open.store(true, Relaxed);
        }
        let topic = match to {
            Destination::Result => &self.topics.results,
            Destination::DeadLetter => &self.topics.dead_letters,
        };
        let mut out: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, token.0);
        if to == Destination::Result {
            out.partition = self.replies.as_ref().and_then(|replies| replies.of(record));
        }
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        out.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            out.headers = Some(headers(record));
        }
        self.producer.send(out).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(Code::QueueFull) => SendError::Full,
            error => {
                let size = record.value.as_ref().map_or(0, |value| value.len() as u64);
                SendError::Failed(delivery_error(&error, size, self.transactional))
            }
        })
    }

    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()> {
        let acknowledgements = self.producer.client().context();
        let take = |deliveries: &mut Vec<Delivery>| {
            let mut waiting = acknowledgements.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            if deliveries.is_empty() {
                std::mem::swap(&mut *waiting, deliveries);
            } else {
                deliveries.append(&mut waiting);
            }
            !deliveries.is_empty()
        };
        if take(deliveries) {
            return Poll::Ready(());
        }
        acknowledgements.waker.register(context.waker());
        // Once more: something may have come before the waker was there.
        if take(deliveries) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn discard(&mut self) {
        self.producer.purge(PurgeConfig::default().queue());
    }

    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (producer, group, state) = (self.producer.clone(), self.group.clone(), self.transaction.clone());
        let aborts = state.aborts.load(SeqCst);
        let commit = tokio::task::spawn_blocking(move || {
            let Some(group) = group else { return Ok(()) };
            let _turn = state.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.open.swap(true, Relaxed) {
                transaction::begin(&producer)?;
            }
            let is_given_up = || state.aborts.load(SeqCst) != aborts;
            transaction::commit(&producer, &group, &offsets, is_given_up)?;
            state.open.store(false, Relaxed);
            Ok(())
        });
        commit
            .map(|result| {
                result.unwrap_or_else(|_| Err(Stop::Restart("the commit panicked".to_owned()).into()))
            })
            .boxed()
    }

    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>> {
        let (producer, state) = (self.producer.clone(), self.transaction.clone());
        state.aborts.fetch_add(1, SeqCst);
        let abort = tokio::task::spawn_blocking(move || {
            let _turn = state.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if state.open.swap(false, Relaxed) { transaction::abort(&producer) } else { Ok(()) }
        });
        abort
            .map(|result| result.unwrap_or_else(|_| Err(Stop::Restart("the abort panicked".to_owned()))))
            .boxed()
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        let context = self.producer.context();
        if let Some((Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch, _)) =
            self.producer.client().fatal_error()
        {
            context.progress.fenced();
        }
        self.stop.store(true, Relaxed);
        if let Some(poll) = self.poll.take() {
            // It ends within one poll; it has nothing to tell, and cannot be helped if it panicked.
            let _ = poll.join();
        }
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(record.headers.iter().len());
    record.headers.iter().fold(headers, |headers, header| {
        headers.insert(Header { key: &header.name, value: header.value.as_deref() })
    })
}

/// What a failed record means for the pipeline.
fn delivery_error(error: &KafkaError, size: u64, transactional: bool) -> DeliveryError {
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
        // Its batch was refused for another record; or it was dropped before it was sent.
        Some(Code::InvalidDifferentRecord | Code::PurgeQueue) => DeliveryError::Again(error.to_string()),
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => DeliveryError::Stop(
            Stop::Fatal(reason("the broker does not let this user write the result or dead-letter topic")),
        ),
        Some(Code::Fatal) => DeliveryError::Stop(Stop::Restart(reason("the producer cannot go on"))),
        _ if transactional => DeliveryError::Abort(reason("a record was not delivered")),
        _ => DeliveryError::Stop(Stop::Restart(reason("a record was not delivered"))),
    }
}
