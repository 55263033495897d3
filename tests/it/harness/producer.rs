//! Writes records, each of them acknowledged or the test fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};

use super::{PATIENCE, client};

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Kafka's partitioner chooses where `None`.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    /// A tombstone where `None`.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970; now where `None`.
    pub timestamp: Option<i64>,
}

impl Record {
    /// A record without a key.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Record { value: Some(value.into()), ..Record::default() }
    }

    /// A record with neither key nor value.
    pub fn tombstone() -> Self {
        Record::default()
    }

    pub fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Record { key: Some(key.into()), ..self }
    }

    pub fn partition(self, partition: i32) -> Self {
        Record { partition: Some(partition), ..self }
    }

    pub fn timestamp(self, milliseconds: i64) -> Self {
        Record { timestamp: Some(milliseconds), ..self }
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Adds an id that nobody else has, in the header `id`, which goes on to the result.
    pub fn identified(self) -> Self {
        self.header("id", unique_id())
    }

    /// The header `id`.
    pub fn id(&self) -> String {
        super::verifier::id(&self.headers)
    }
}

/// An id that no other record of any run has.
pub fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}-{}", fastrand::u64(..), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An idempotent producer: what the verifier finds double was not doubled here.
pub struct Producer {
    producer: ThreadedProducer<Deliveries>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Producer {
    pub fn new(servers: &str) -> Self {
        let failed = Arc::<Mutex<Vec<String>>>::default();
        let producer = client(servers)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "20000000")
            .set("linger.ms", "5")
            .create_with_context(Deliveries { failed: failed.clone() })
            .unwrap();
        Producer { producer, failed }
    }

    /// Hands a record over, waiting while there is no room for it.
    pub fn write(&self, topic: &str, record: &Record) {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: value.as_ref() })
        });
        let mut next = BaseRecord::<[u8], [u8]>::to(topic).headers(headers);
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        next.partition = record.partition;
        next.timestamp = record.timestamp;
        loop {
            match self.producer.send(next) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    next = back;
                    thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("could not write to {topic}: {error}"),
            }
        }
    }

    /// Waits until every record so far is acknowledged.
    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
        let failed = self.failed.lock().unwrap();
        assert!(failed.is_empty(), "records were not acknowledged: {failed:?}");
    }

    /// Writes records and waits until they are acknowledged.
    pub fn write_all<'a>(&self, topic: &str, records: impl IntoIterator<Item = &'a Record>) {
        records.into_iter().for_each(|record| self.write(topic, record));
        self.flush();
    }
}

struct Deliveries {
    failed: Arc<Mutex<Vec<String>>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = result {
            self.failed.lock().unwrap().push(format!("{}: {error}", record.topic()));
        }
    }
}
