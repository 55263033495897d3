//! Reads what lies before a partition's start, for the engine to know what has come before. It joins no group and commits nothing.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use rdkafka::{
    ClientConfig, Message, Offset as RdOffset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::verify::seen;
use crate::record::{Batch, BatchBuilder, Offset, TopicPartition};

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

/// Part of a partition, which is read on a thread of its own.
struct History {
    config: ClientConfig,
    partition: TopicPartition,
    /// The least timestamp of the first record, in milliseconds since 1970 UTC.
    since: i64,
    before: Offset,
    /// Where to go on, once that is known.
    next: Option<Offset>,
    /// `None` once all is read.
    batches: mpsc::Sender<Option<Batch>>,
}

/// Reads the records of a partition from a time on, up to an offset, with the settings of the consumer.
pub fn read(
    config: &ClientConfig,
    partition: &TopicPartition,
    since: i64,
    before: Offset,
) -> BoxStream<'static, Batch> {
    let (batches, receiver) = mpsc::channel(BATCHES);
    let mut config = config.clone();
    // It reads beside the pipeline's own consumer, which has its share of the memory.
    config.set("enable.partition.eof", "true").set("queued.max.messages.kbytes", "4096");
    let history = History { config, partition: partition.clone(), since, before, next: None, batches };
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
        let consumer: BaseConsumer = self.config.create().map_err(say)?;
        let next = match self.next {
            Some(next) => next,
            None => self.begin(&consumer).map_err(say)?,
        };
        self.next = Some(next);
        if next >= self.before {
            return Ok(());
        }
        consumer.assign(&self.list(RdOffset::Offset(next.0)).map_err(say)?).map_err(say)?;
        let name = Arc::from(&*self.partition.topic);
        let mut batch = BatchBuilder::new(self.partition.clone());
        let mut heard = Instant::now();
        while !self.batches.is_closed() {
            match consumer.poll(POLL) {
                Some(Ok(message)) if message.offset() < self.before.0 => {
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

    /// The offset of the first record that is not older.
    fn begin(&self, consumer: &BaseConsumer) -> Result<Offset, KafkaError> {
        let found = consumer.offsets_for_times(self.list(RdOffset::Offset(self.since))?, ASK)?;
        let first = found.elements().first().map(|element| element.offset());
        // There is none where all are older.
        Ok(if let Some(RdOffset::Offset(offset)) = first { Offset(offset) } else { self.before })
    }

    fn list(&self, at: RdOffset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(&self.partition.topic, self.partition.partition, at)?;
        Ok(list)
    }

    fn hand_on(&mut self, batch: BatchBuilder) {
        if let Some(last) = batch.last() {
            self.next = Some(last.next());
            let _ = self.batches.blocking_send(Some(batch.build()));
        }
    }
}
