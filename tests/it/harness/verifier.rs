//! Reads a topic as an independent consumer does, `read_committed`, and returns everything in it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers,
};

use super::{PATIENCE, client};

/// A record that is in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl Found {
    /// The value as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a tombstone has no text")).unwrap()
    }

    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.headers, name)
    }

    /// The header `id`.
    pub fn id(&self) -> String {
        id(&self.headers)
    }
}

fn header(headers: &[(String, Option<Vec<u8>>)], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned())
}

pub(super) fn id(headers: &[(String, Option<Vec<u8>>)]) -> String {
    header(headers, "id").unwrap_or_else(|| panic!("there is no header `id` among {headers:?}"))
}

/// Every committed record from the start of the topic to its end, which is where the first open
/// transaction began, if there is one. A topic that does not exist has none. By partition, then offset.
pub fn read(servers: &str, topic: &str) -> Vec<Found> {
    let Some(mut reader) = Reader::open(servers, topic) else { return Vec::new() };
    let deadline = Instant::now() + PATIENCE;
    while !reader.at_the_end() {
        assert!(Instant::now() < deadline, "did not reach the end of {topic} within {PATIENCE:?}");
        reader.poll();
    }
    reader.sorted()
}

/// Reads until what was read is enough, or fails with `what` was waited for.
pub fn read_until(servers: &str, topic: &str, what: &str, enough: impl Fn(&[Found]) -> bool) -> Vec<Found> {
    let deadline = Instant::now() + PATIENCE;
    let mut reader = None;
    let mut looked_at = 0;
    loop {
        assert!(
            Instant::now() < deadline,
            "{topic} did not have {what} within {PATIENCE:?}; it had {looked_at} records"
        );
        match &mut reader {
            None => {
                reader = Reader::open(servers, topic);
                std::thread::sleep(Duration::from_millis(50));
            }
            Some(reader) => {
                reader.poll();
                if reader.found.len() > looked_at && reader.at_the_end() {
                    looked_at = reader.found.len();
                    if enough(&reader.found) {
                        return std::mem::take(&mut reader.found);
                    }
                }
            }
        }
    }
}

struct Reader {
    consumer: BaseConsumer,
    /// The partitions whose end was not reached since their last record.
    unfinished: BTreeSet<i32>,
    found: Vec<Found>,
}

impl Reader {
    fn open(servers: &str, topic: &str) -> Option<Self> {
        let consumer: BaseConsumer = client(servers)
            .set("group.id", "verifier")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            // That a partition is at its end is told by an empty fetch: not one that waits for more.
            .set("fetch.wait.max.ms", "10")
            .set("fetch.message.max.bytes", "20000000")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let topic = metadata.topics().first().filter(|topic| topic.error().is_none())?;
        let unfinished: BTreeSet<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
        let mut assignment = TopicPartitionList::new();
        for partition in &unfinished {
            assignment.add_partition_offset(topic.name(), *partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        Some(Reader { consumer, unfinished, found: Vec::new() })
    }

    fn at_the_end(&self) -> bool {
        self.unfinished.is_empty()
    }

    fn poll(&mut self) {
        match self.consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.unfinished.remove(&partition);
            }
            Some(Err(error)) => eprintln!("the verifier goes on after: {error}"),
            Some(Ok(record)) => {
                self.unfinished.insert(record.partition());
                let headers = record.headers().into_iter().flat_map(Headers::iter);
                self.found.push(Found {
                    partition: record.partition(),
                    offset: record.offset(),
                    key: record.key().map(<[u8]>::to_vec),
                    value: record.payload().map(<[u8]>::to_vec),
                    headers: headers.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect(),
                    timestamp: record.timestamp().to_millis(),
                });
            }
        }
    }

    fn sorted(mut self) -> Vec<Found> {
        self.found.sort_by_key(|found| (found.partition, found.offset));
        self.found
    }
}
