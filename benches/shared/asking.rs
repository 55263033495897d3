//! Whoever asks with a bare producer and consumer, for comparison.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::Measured;

/// A producer and a consumer of all partitions.
pub struct Straight {
    consumer: BaseConsumer,
    producer: ThreadedProducer<DefaultProducerContext>,
    from: String,
}

impl Straight {
    /// Reads from the end on.
    pub fn new(servers: &str, from: &str, to: &str) -> Straight {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("socket.nagle.disable", "true");
        let consumer: BaseConsumer = config.clone().set("group.id", "unused").create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(to), Duration::from_secs(30)).expect("metadata");
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(to, partition.id(), Offset::End).expect("a partition");
        }
        consumer.assign(&list).expect("assigned");
        // Until it stands at the end, a result could slip by.
        for _ in 0..20 {
            consumer.poll(Duration::from_millis(100));
        }
        let producer = config
            .set("linger.ms", "0")
            .set("sticky.partitioning.linger.ms", "0")
            .set("enable.idempotence", "true")
            .create()
            .expect("a producer");
        Straight { consumer, producer, from: from.to_owned() }
    }

    /// So many requests, so many of them at a time.
    pub fn load(&self, value: &str, users: usize, requests: usize) -> Measured {
        let start = Instant::now();
        let (mut pending, mut times, mut next) = (HashMap::new(), Vec::with_capacity(requests), 0_u64);
        while times.len() < requests {
            while pending.len() < users && (next as usize) < requests {
                pending.insert(next, Instant::now());
                let id = next.to_string();
                let headers = OwnedHeaders::new().insert(Header { key: "correlation-id", value: Some(&id) });
                let record = BaseRecord::<(), str>::to(&self.from).payload(value).headers(headers);
                self.producer.send(record).map_err(|(error, _)| error).expect("sent");
                next += 1;
            }
            let Some(record) = self.consumer.poll(Duration::from_secs(30)) else { continue };
            let record = record.expect("a record");
            let id = record.headers().and_then(|headers| {
                let header = headers.iter().find(|header| header.key == "correlation-id")?;
                std::str::from_utf8(header.value?).ok()?.parse().ok()
            });
            if let Some(sent) = id.and_then(|id: u64| pending.remove(&id)) {
                times.push(sent.elapsed());
            }
        }
        Measured::new(times, start)
    }
}

impl Drop for Straight {
    fn drop(&mut self) {
        let _ = self.producer.flush(Duration::from_secs(5));
    }
}
