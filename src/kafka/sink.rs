//! A producer as the engine's sink, with its transactions. After a transaction that was not plain, the next
//! one has a new producer.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, PurgeConfig},
    types::RDKafkaErrorCode as Code,
};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    places::Places,
    producer::{Deliveries, Makes, OF_NOBODY, PolledProducer, delivery_error},
    threads, transaction,
};
use crate::{
    engine::{CommitError, CommitOffset, Delivery, DeliveryError, SendError, Sink, Stop, Token},
    kafka::group::Group,
    plant::{Fault, planted},
    record::{Destination, Mark, PerTopic, Record},
    telemetry::Progress,
};

/// The topics that a sink writes to.
#[derive(Clone, Debug)]
pub struct SinkTopics {
    /// Whether a record may name the partition of its result.
    pub requests: bool,
    /// Whether results without a key keep the order of their source partition.
    pub in_order: bool,
    /// How many of the result topics have their records in the partition with the number of the source's: the last ones.
    pub beside: usize,
    /// The topics' names.
    pub names: PerTopic<String>,
}

/// How long a replaced producer may take to finish what it has in flight.
const FINISH: Duration = Duration::from_secs(10);

/// A producer as the engine's sink.
pub struct KafkaSink {
    /// The current producer; exactly-once, that of the open transaction.
    producer: Arc<PolledProducer>,
    topics: SinkTopics,
    makes: Makes,
    /// Exactly-once: the group whose offsets go into the transactions.
    group: Option<Group>,
    /// Exactly-once: the name of the group, where its commits are marked in the topic that it reads.
    marks: Option<Arc<str>>,
    transactions: Arc<Transactions>,
}

/// What commits and aborts, each on a thread of its own, share with the sink.
struct Transactions {
    makes: Makes,
    /// Whether a transaction is open; at-least-once, whether the sink has the current producer.
    open: AtomicBool,
    /// Counts the aborts that were asked for: a commit from before one gives up.
    aborts: AtomicU64,
    /// Held by one commit or abort at a time: an abort waits for the commit that it cancels, and both for a
    /// new producer.
    turn: Mutex<()>,
    /// The producer of the next transaction.
    next: Mutex<Next>,
    /// Whether the sink is gone.
    closed: AtomicBool,
}

/// The producer of the next transaction; at-least-once, of the next record.
enum Next {
    Ready(Arc<PolledProducer>),
    /// A new one is being made: nothing is sent meanwhile.
    Renewing,
    /// No new one can be made.
    Stopped(Stop),
}

impl KafkaSink {
    /// A sink with its own producer. A transactional one requests its producer id, so this blocks; it needs
    /// [`commit_for`](KafkaSink::commit_for) to know whose offsets it commits.
    ///
    /// # Errors
    /// Where the producer cannot be made, or cannot use transactions.
    pub fn new(
        config: &ClientConfig,
        topics: SinkTopics,
        transactional: bool,
        progress: Arc<Progress>,
    ) -> Result<Self, Stop> {
        let makes = Makes {
            config: config.clone(),
            transactional,
            places: Arc::new(Places::new(&topics)),
            deliveries: Arc::new(Deliveries::default()),
            progress,
        };
        let producer = Arc::new(PolledProducer::new(&makes)?);
        makes.places.ask_first(producer.client());
        if transactional {
            transaction::init(&producer, || true)?;
        }
        let transactions = Arc::new(Transactions {
            makes: makes.clone(),
            open: AtomicBool::new(false),
            aborts: AtomicU64::new(0),
            turn: Mutex::default(),
            next: Mutex::new(Next::Ready(producer.clone())),
            closed: AtomicBool::new(false),
        });
        Ok(KafkaSink { producer, topics, makes, group: None, marks: None, transactions })
    }

    /// Sets the group whose offsets go into the transactions.
    pub fn commit_for(&mut self, group: Group) {
        self.group = Some(group);
    }

    /// Has each transaction in which something is sent write its commits as [`Mark`]s of that group, too.
    pub fn mark_commits(&mut self, group: &str) {
        self.marks = Some(group.into());
    }

    /// Takes the next producer; exactly-once, begins a transaction with it.
    fn begin(&mut self) -> Result<(), SendError> {
        let next = match &*self.transactions.next() {
            Next::Ready(next) => next.clone(),
            Next::Renewing => return Err(SendError::Full),
            Next::Stopped(stop) => return Err(DeliveryError::Stop(stop.clone()).into()),
        };
        if !Arc::ptr_eq(&next, &self.producer) {
            let old = std::mem::replace(&mut self.producer, next);
            // On another thread, as dropping it waits for its threads.
            spawn_blocking(move || {
                // What is not delivered in time is dropped, like everything that was queued after it.
                let _ = old.client().flush(FINISH);
                drop(old);
            });
        }
        if self.makes.transactional {
            transaction::begin(&self.producer)?;
        }
        self.transactions.open.store(true, Relaxed);
        Ok(())
    }

    /// The error where librdkafka does not take a record.
    fn not_taken(&self, error: &KafkaError, record: &Record) -> SendError {
        match error {
            KafkaError::MessageProduction(Code::QueueFull) => SendError::Full,
            // A batch was refused, and nothing is sent after it; its deliveries, which say why, are about to
            // come.
            KafkaError::MessageProduction(Code::Fatal) if self.has_gap() => SendError::Full,
            error => {
                let size = record.value.as_ref().map_or(0, |value| value.len() as u64);
                SendError::Failed(delivery_error(error, size, self.makes.transactional))
            }
        }
    }

    /// Whether the producer has stopped so that nothing overtakes what could not be delivered.
    fn has_gap(&self) -> bool {
        matches!(self.producer.client().client().fatal_error(), Some((Code::GaplessGuarantee, _)))
    }
}

impl Transactions {
    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The producer of the current transaction, or of the next one.
    fn producer(&self) -> Result<Arc<PolledProducer>, Stop> {
        match &*self.next() {
            Next::Ready(producer) => Ok(producer.clone()),
            // The caller holds the turn, which a renewal keeps until it has ended.
            Next::Renewing => Err(Stop::Restart("the new producer was given up".to_owned())),
            Next::Stopped(stop) => Err(stop.clone()),
        }
    }

    fn commit(
        &self,
        group: &Group,
        marks: Option<&str>,
        offsets: &[CommitOffset],
        is_given_up: impl Fn() -> bool,
    ) -> Result<(), CommitError> {
        let producer = self.producer()?;
        if !self.open.swap(true, Relaxed) {
            transaction::begin(&producer)?;
        } else if let Some(group) = marks {
            // Something was sent: what is passed over again does no harm, and a mark for each mark that is read would have no end.
            offsets.iter().try_for_each(|offset| mark(&producer, group, offset))?;
        }
        transaction::commit(&producer, group, offsets, is_given_up)?;
        self.open.store(false, Relaxed);
        Ok(())
    }

    fn abort(&self) -> Result<(), Stop> {
        if !self.open.swap(false, Relaxed) {
            return Ok(());
        }
        let producer = self.producer()?;
        if producer.is_given_up() {
            // The epoch of the next producer ends its transaction.
            self.renew("a call did not return");
            return self.producer().map(drop);
        }
        transaction::abort(&producer)
    }

    /// Calls `end`, reports its result, and then makes a new producer where the transaction was not plain.
    /// Once the result is reported, no transaction begins with the old producer.
    fn end<E: From<Stop>>(
        &self,
        report: oneshot::Sender<Result<(), E>>,
        end: impl FnOnce() -> Result<(), E>,
    ) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let result = end();
        // A transaction that could not be committed has to be aborted first.
        let not_plain = if result.is_ok() { self.not_plain() } else { None };
        if not_plain.is_some() {
            // Before the result is reported.
            *self.next() = Next::Renewing;
        }
        // A sink that is gone does not need to know.
        let _ = report.send(result);
        if let Some(sign) = not_plain {
            self.renew(&sign);
        }
    }

    /// The sign that the producer's last transaction was not plain, if there is one.
    fn not_plain(&self) -> Option<String> {
        if planted(Fault::NoGuard) {
            return None;
        }
        let producer = self.producer().ok()?;
        if producer.has_timed_out() {
            return Some("a record was not delivered in time".to_owned());
        }
        producer.signs()?.found()
    }

    /// Makes a new producer with the same `transactional.id`, whose higher epoch fences all requests of the
    /// old one that are still on their way.
    fn renew(&self, sign: &str) {
        tracing::warn!(
            sign,
            "a request of the last transaction may still be on its way: a new producer replaces this one"
        );
        *self.next() = Next::Renewing;
        let renewed = PolledProducer::new(&self.makes).and_then(|producer| {
            transaction::init(&producer, || !self.closed.load(Relaxed))?;
            Ok(Arc::new(producer))
        });
        *self.next() = match renewed {
            Ok(producer) => Next::Ready(producer),
            Err(stop) => Next::Stopped(stop),
        };
        self.makes.progress.renewed();
        self.makes.deliveries.room_again();
    }
}

impl Sink for KafkaSink {
    fn send(&mut self, to: Destination, from: i32, record: &Record, token: Token) -> Result<(), SendError> {
        if !self.transactions.open.load(Relaxed) {
            self.begin()?;
        }
        let mut out: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&self.topics.names[to], token.0);
        if let Destination::Result(topic) = to {
            out.partition = self.makes.places.of(topic, record, from);
        }
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        out.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            out.headers = Some(headers(record));
        }
        self.producer.client().send(out).map_err(|(error, _)| self.not_taken(&error, record))
    }

    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()> {
        self.makes.deliveries.poll(context, deliveries)
    }

    fn discard(&mut self) {
        self.producer.client().purge(PurgeConfig::default().queue());
        // Purging has left a gap in the sequence numbers of an idempotent producer, and one whose batch was
        // refused takes no more records.
        *self.transactions.next() = match PolledProducer::new(&self.makes) {
            Ok(fresh) => Next::Ready(Arc::new(fresh)),
            Err(stop) => Next::Stopped(stop),
        };
        self.transactions.open.store(false, Relaxed);
    }

    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (transactions, group) = (self.transactions.clone(), self.group.clone());
        let marks = self.marks.clone();
        let aborts = transactions.aborts.load(SeqCst);
        let (report, result) = oneshot::channel();
        spawn_blocking(move || {
            transactions.end(report, || {
                let Some(group) = group else { return Ok(()) };
                let is_given_up = || transactions.aborts.load(SeqCst) != aborts;
                transactions.commit(&group, marks.as_deref(), &offsets, is_given_up)
            });
        });
        result
            .map(|result| {
                result.unwrap_or_else(|_| Err(Stop::Restart("the commit panicked".to_owned()).into()))
            })
            .boxed()
    }

    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>> {
        let transactions = self.transactions.clone();
        transactions.aborts.fetch_add(1, SeqCst);
        let (report, result) = oneshot::channel();
        spawn_blocking(move || transactions.end(report, || transactions.abort()));
        result
            .map(|result| result.unwrap_or_else(|_| Err(Stop::Restart("the abort panicked".to_owned()))))
            .boxed()
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        self.transactions.closed.store(true, Relaxed);
        // It may be the last owner of the consumer, which waits when it is dropped.
        let group = self.group.take();
        threads::block(|| drop(group));
    }
}

/// Writes a commit into the partition that it is of. Whether it arrives, the commit of the transaction says.
fn mark(producer: &PolledProducer, group: &str, commit: &CommitOffset) -> Result<(), CommitError> {
    let CommitOffset { partition, offset, metadata } = commit;
    let mark = Mark { group: group.to_owned(), offset: *offset, metadata: metadata.clone() }.record();
    let mut out: BaseRecord<'_, [u8], [u8], usize> =
        BaseRecord::with_opaque_to(&partition.topic, OF_NOBODY).partition(partition.partition);
    out.key = mark.key.as_deref();
    out.payload = mark.value.as_deref();
    out.headers = Some(headers(&mark));
    producer
        .client()
        .send(out)
        .map_err(|(error, _)| CommitError::Abort(format!("how far the replay is cannot be written: {error}")))
}

fn headers(record: &Record) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(record.headers.iter().len());
    record.headers.iter().fold(headers, |headers, header| {
        headers.insert(Header { key: &header.name, value: header.value.as_deref() })
    })
}
