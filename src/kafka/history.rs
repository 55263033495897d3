//! Reads a part of a partition beside what is read of it anyway, for the engine to know what has come before. It joins no group and
//! commits nothing.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset as RdOffset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::verify::seen;
use crate::{
    engine::Past,
    record::{Batch, BatchBuilder, Offset, TopicPartition},
};

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(10);
/// How long is waited for records before it is looked whether anybody wants them still.
const POLL: Duration = Duration::from_millis(200);
/// How long no record may come before the brokers are asked anew.
const SILENCE: Duration = Duration::from_secs(30);
/// The pause before brokers that are away are asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// The most bytes of a batch, and the most batches that wait for the engine.
const BATCH: usize = 256 << 10;
const BATCHES: usize = 4;

/// Has what librdkafka says in our log.
struct Logs;

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        super::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        super::log_error(&error, reason);
    }
}

impl ConsumerContext for Logs {}

/// Finds out where partitions end, with what open transactions have written.
#[derive(Clone, Default)]
pub struct Ends(Arc<OnceLock<BaseConsumer<Logs>>>);

impl Ends {
    /// Where a partition ends.
    ///
    /// # Errors
    /// What the brokers say.
    pub fn of(&self, config: &ClientConfig, partition: &TopicPartition) -> Result<Offset, KafkaError> {
        let client = match self.0.get() {
            Some(client) => client,
            None => {
                // One that does not look at transactions is told the end of what is written.
                let client =
                    config.clone().set("isolation.level", "read_uncommitted").create_with_context(Logs)?;
                self.0.get_or_init(|| client)
            }
        };
        let (_, high) = client.fetch_watermarks(&partition.topic, partition.partition, ASK)?;
        Ok(Offset(high))
    }
}

/// Part of a partition, which is read on a thread of its own.
struct History {
    config: ClientConfig,
    ends: Ends,
    partition: TopicPartition,
    part: Past,
    /// Where to go on, and up to where, once that is known.
    range: Option<(Offset, Offset)>,
    /// `None` once all is read.
    batches: mpsc::Sender<Option<Batch>>,
}

/// Reads a part of a partition with the settings of the consumer. `ends` finds out where partitions end.
pub fn read(
    config: &ClientConfig,
    ends: &Ends,
    partition: &TopicPartition,
    part: Past,
) -> BoxStream<'static, Batch> {
    let (batches, receiver) = mpsc::channel(BATCHES);
    let mut config = config.clone();
    // It reads beside the pipeline's own consumer, which has its share of the memory.
    config.set("enable.partition.eof", "true").set("queued.max.messages.kbytes", "4096");
    let (ends, partition) = (ends.clone(), partition.clone());
    let history = History { config, ends, partition: partition.clone(), part, range: None, batches };
    if let Err(error) = thread::Builder::new().name("history".to_owned()).spawn(move || history.run()) {
        tracing::error!(%error, %partition, "no thread can be started that reads what came before: the partition waits");
    }
    // A thread that is gone has not read all.
    let batches = ReceiverStream::new(receiver).chain(stream::pending());
    batches.take_while(|batch| ready(batch.is_some())).filter_map(ready).boxed()
}

impl History {
    fn run(mut self) {
        let began = Instant::now();
        while !self.batches.is_closed() {
            match self.read() {
                Ok(()) => {
                    // Nobody wants it once the other side is gone.
                    let _ = self.batches.blocking_send(None);
                    break;
                }
                Err(error) => {
                    tracing::warn!(error, partition = %self.partition, "what came before cannot be read yet; trying again");
                    thread::sleep(AGAIN);
                }
            }
        }
        tracing::debug!(partition = %self.partition, took = ?began.elapsed(), "what came before was read");
    }

    /// Reads on to the end.
    ///
    /// # Errors
    /// What the brokers say; what was handed on is not read again.
    fn read(&mut self) -> Result<(), String> {
        let say = |error: KafkaError| error.to_string();
        if let (None, Past::From(start)) = (self.range, self.part) {
            self.range = Some((start, self.ends.of(&self.config, &self.partition).map_err(say)?));
        }
        // Mostly nothing waits: then no consumer is needed.
        if self.range.is_some_and(|(next, before)| next >= before) {
            return Ok(());
        }
        let consumer = self.config.create_with_context(Logs).map_err(say)?;
        let (next, before) = match (self.range, self.part) {
            (None, Past::Since { since, before }) => {
                (self.begin(&consumer, since, before).map_err(say)?, before)
            }
            (Some(range), Past::Since { .. }) => range,
            (range, Past::From(start)) => {
                let (next, before) = range.unwrap_or((start, start));
                self.wait_for_transactions(&consumer, before)?;
                (next, before)
            }
        };
        self.range = Some((next, before));
        if next >= before {
            return Ok(());
        }
        consumer.assign(&self.list(RdOffset::Offset(next.0)).map_err(say)?).map_err(say)?;
        let name = Arc::from(&*self.partition.topic);
        let mut batch = BatchBuilder::new(self.partition.clone());
        let mut heard = Instant::now();
        while !self.batches.is_closed() {
            match consumer.poll(POLL) {
                Some(Ok(message)) if message.offset() < before.0 => {
                    heard = Instant::now();
                    let seen = seen(&message, &name);
                    let (offset, record) = (Offset(seen.offset), seen.record);
                    batch.push(
                        offset,
                        record.timestamp,
                        record.key.as_deref(),
                        record.value.as_deref(),
                        record.headers,
                    );
                    if batch.bytes() >= BATCH {
                        self.hand_on(std::mem::replace(
                            &mut batch,
                            BatchBuilder::new(self.partition.clone()),
                        ));
                    }
                }
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => {
                    self.hand_on(batch);
                    return Ok(());
                }
                // The consumer goes on by itself where it can.
                Some(Err(_)) | None if heard.elapsed() < SILENCE => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err(format!("no record came for {SILENCE:?}")),
            }
        }
        Ok(())
    }

    /// Waits until all transactions have ended that have written before an offset: what they have written is seen only then.
    fn wait_for_transactions(&self, consumer: &BaseConsumer<Logs>, before: Offset) -> Result<(), String> {
        let since = Instant::now();
        while !self.batches.is_closed() {
            let ask = consumer.fetch_watermarks(&self.partition.topic, self.partition.partition, ASK);
            let (_, stable) = ask.map_err(|error| error.to_string())?;
            if stable >= before.0 {
                break;
            }
            if since.elapsed() >= SILENCE {
                return Err(format!("a transaction has been open since offset {stable} for {SILENCE:?}"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// The offset of the first record that is not older.
    fn begin(&self, consumer: &BaseConsumer<Logs>, since: i64, before: Offset) -> Result<Offset, KafkaError> {
        let found = consumer.offsets_for_times(self.list(RdOffset::Offset(since))?, ASK)?;
        let first = found.elements().first().map(|element| element.offset());
        // There is none where all are older.
        Ok(if let Some(RdOffset::Offset(offset)) = first { Offset(offset) } else { before })
    }

    fn list(&self, at: RdOffset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&self.partition.topic, self.partition.partition, at)?;
        Ok(list)
    }

    fn hand_on(&mut self, batch: BatchBuilder) {
        if let Some(last) = batch.last() {
            self.range = self.range.map(|(_, before)| (last.next(), before));
            let _ = self.batches.blocking_send(Some(batch.build()));
        }
    }
}
