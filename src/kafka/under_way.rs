//! Tells whoever waits how far a record is that takes long: through a topic of its own, as no transaction may hold it back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{settings, threads};
use crate::telemetry::UnderWay;

/// How long the brokers may take to tell of the topic before they are asked again.
const ASK: Duration = Duration::from_secs(5);
/// How long the thread waits for a record before it checks whether to stop.
const POLL: Duration = Duration::from_millis(100);

/// Writes how far records are. What cannot be written soon is not written.
pub struct UnderWaySink {
    config: ClientConfig,
    topic: String,
    /// Made when there is something to tell.
    producer: Option<BaseProducer>,
}

impl UnderWaySink {
    /// For that topic.
    pub fn new(config: &ClientConfig, topic: &str) -> Self {
        let config = settings::unless_set(config, &[("linger.ms", "0"), ("message.timeout.ms", "5000")]);
        UnderWaySink { config, topic: topic.to_owned(), producer: None }
    }

    /// Writes them. Never waits.
    ///
    /// # Errors
    /// librdkafka's reason, where there can be no client, or it takes nothing more.
    pub fn tell(&mut self, all: &[UnderWay]) -> Result<(), KafkaError> {
        if self.producer.is_none() && !all.is_empty() {
            self.producer = Some(self.config.create()?);
        }
        let Some(producer) = &self.producer else { return Ok(()) };
        for told in all {
            let key = format!("{}-{}-{}", told.topic, told.partition, told.offset);
            // Numbers and text can always be written.
            let value = serde_json::to_vec(told).unwrap_or_default();
            let record = BaseRecord::to(&self.topic).key(&key).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.poll(Duration::ZERO);
        Ok(())
    }
}

impl Drop for UnderWaySink {
    fn drop(&mut self) {
        let producer = self.producer.take();
        threads::block(|| {
            if let Some(producer) = producer {
                producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
            }
        });
    }
}

/// Reads how far records are, from now on, on a thread of its own; dropping this ends it.
pub struct UnderWayReader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UnderWayReader {
    /// Hands each to `each` until that returns false.
    ///
    /// # Errors
    /// Where the client or its thread cannot be made.
    pub fn start(
        config: &ClientConfig,
        topic: &str,
        each: impl Fn(UnderWay) -> bool + Send + 'static,
    ) -> Result<Self, KafkaError> {
        let config = settings::without_group(config, "pipeline-progress", "latest");
        let (consumer, topic): (BaseConsumer, _) = (config.create()?, topic.to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let read = move || {
            let mut assigned = false;
            while !stopped.load(Relaxed) {
                assigned = assigned || assign(&consumer, &topic);
                let Some(Ok(record)) = consumer.poll(POLL) else { continue };
                // What is none was written by somebody else.
                let told = record.payload().and_then(|value| serde_json::from_slice(value).ok());
                if told.is_some_and(|told| !each(told)) {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(read);
        let thread = thread.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(UnderWayReader { stop, thread: Some(thread) })
    }
}

/// Reads all partitions of a topic from their ends on; `false` where they are not known yet.
fn assign(consumer: &BaseConsumer, topic: &str) -> bool {
    let Ok(metadata) = consumer.fetch_metadata(Some(topic), ASK) else { return false };
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        if list.add_partition_offset(topic, partition.id(), Offset::End).is_err() {
            return false;
        }
    }
    list.count() > 0 && consumer.assign(&list).is_ok()
}

impl Drop for UnderWayReader {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.thread.take().into_iter().for_each(threads::join);
    }
}
