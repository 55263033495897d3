//! What flows: records, their headers, and the batches in which they hop between tasks.
//!
//! Knows: nothing else here. Must not know: rdkafka, tokio, serde.

pub mod classes;
mod destination;
mod mark;
mod names;
mod size;

use std::{fmt, str::FromStr, sync::Arc};

use bytes::{Bytes, BytesMut};

pub use destination::ResultTopic;
#[cfg_attr(not(internals), doc(hidden))]
pub use destination::{Destination, PerTopic};
#[cfg_attr(not(internals), doc(hidden))]
pub use mark::Mark;
#[cfg_attr(not(internals), doc(hidden))]
pub use names::{
    CORRELATION_ID, DEADLINE, FINISHED, INDEX, MANIFEST, MANIFEST_VERSION, PIECE, REPLAY_MARK, REPLAYS,
    REPLY_PARTITION, WORKER, error, retry,
};
#[cfg_attr(not(internals), doc(hidden))]
pub use size::{FRAME, wire_size};

/// A place in a partition. The next record to be read has the offset that is committed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Offset(pub i64);

impl Offset {
    /// The offset right after this one: what is committed once this record is done.
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic. Cheap to clone; prints as `topic[0]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition of that number of that topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }

    /// Whether it is a copy of the other one, found without comparing names: `false` says nothing.
    #[cfg_attr(not(internals), doc(hidden))]
    pub fn is_same(&self, other: &TopicPartition) -> bool {
        self.partition == other.partition && Arc::ptr_eq(&self.topic, &other.topic)
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Partitions in words: their numbers, where they are of one topic, and otherwise with their topics.
///
/// ```
/// use pipeline::record::{TopicPartition, places};
///
/// let (one, other) = (TopicPartition::new("a", 1), TopicPartition::new("b", 0));
/// assert_eq!(places(&[one.clone(), TopicPartition::new("a", 0)]), "0 1");
/// assert_eq!(places(&[other, one]), "a[1] b[0]");
/// assert_eq!(places(&[]), "none");
/// ```
#[cfg_attr(not(internals), doc(hidden))]
pub fn places(partitions: &[TopicPartition]) -> String {
    let mut sorted: Vec<&TopicPartition> = partitions.iter().collect();
    sorted.sort();
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return "none".to_owned() };
    let is_one_topic = first.topic == last.topic;
    let words = sorted.iter().map(|p| if is_one_topic { p.partition.to_string() } else { p.to_string() });
    words.collect::<Vec<_>>().join(" ")
}

/// What the allocator adds to a piece of memory on average, in bytes: its own 8, and rounding up to 16.
const ALLOCATION: usize = 16;

/// One header: a name, which need not be unique, and bytes or null.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value, not interpreted.
    pub value: Option<Bytes>,
}

/// A record's headers, in order. Most records have none, and then this allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// Adds a header at the end; an equal name that is there already stays.
    pub fn push(&mut self, name: impl Into<String>, value: Option<Bytes>) {
        let headers = self.0.get_or_insert_default();
        Arc::make_mut(headers).push(Header { name: name.into(), value });
    }

    /// Gives the header of that name this value: the first one's place is kept, others of that name go.
    pub fn set(&mut self, name: &str, value: Bytes) {
        let headers = Arc::make_mut(self.0.get_or_insert_default());
        let mut value = Some(value);
        headers.retain_mut(|header| {
            if header.name != name {
                return true;
            }
            let first = value.is_some();
            if first {
                header.value = value.take();
            }
            first
        });
        if let Some(value) = value {
            headers.push(Header { name: name.to_owned(), value: Some(value) });
        }
    }

    /// The headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_deref().map(Vec::as_slice).unwrap_or_default().iter()
    }

    /// The value of the last header of that name, as Kafka's own `lastHeader` does.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().rev().find(|header| header.name == name)?.value.as_deref()
    }

    /// The same as text; `None` where it is not UTF-8, too.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The same as a number in decimal digits; `None` where it is anything else, with a sign too.
    pub fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        // `parse` would accept a sign.
        self.text(name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
    }

    /// Takes all headers out but those that are to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        let Some(headers) = &mut self.0 else { return };
        let headers = Arc::make_mut(headers);
        headers.retain(keep);
        if headers.is_empty() {
            self.0 = None;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().as_slice().is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.iter().map(|h| h.name.len() + h.value.as_ref().map_or(0, Bytes::len)).sum()
    }

    /// What holding them costs beside the record itself, in bytes: their own bookkeeping and the allocations' too.
    fn held(&self) -> usize {
        let Some(headers) = &self.0 else { return 0 };
        let counts = 2 * size_of::<usize>() + ALLOCATION;
        let list = size_of::<Vec<Header>>() + headers.capacity() * size_of::<Header>() + ALLOCATION;
        counts + list + self.size() + headers.len() * 2 * ALLOCATION
    }
}

impl<N: Into<String>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(iter: I) -> Self {
        let mut headers = Headers::default();
        for (name, value) in iter {
            headers.push(name, Some(value.into()));
        }
        headers
    }
}

/// One record, as operators see it. Key and value are slices of a buffer that its batch shares.
///
/// ```
/// use pipeline::record::Record;
/// let record = Record { key: Some("k".into()), value: Some("30".into()), ..Record::default() };
/// assert_eq!(record.size(), 3);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Record {
    /// The key, which decides the partition and the order; none is allowed.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, which operators pass on.
    pub headers: Headers,
    /// Milliseconds since 1970 UTC, where the record has a timestamp.
    pub timestamp: Option<i64>,
    /// Which of the sink's topics it goes to, once it is a result.
    pub to: ResultTopic,
}

impl Record {
    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
            + self.headers.size()
    }
}

/// Records of one partition, in the order of their offsets: what hops between tasks.
///
/// Small records cost 40 bytes each beside their own, and share one buffer and one allocation.
#[derive(Clone, Debug)]
#[cfg_attr(not(internals), doc(hidden))]
pub struct Batch {
    /// Where the records come from.
    pub partition: TopicPartition,
    buffer: Bytes,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    offset: i64,
    timestamp: i64,
    start: u32,
    /// Bytes, or [`NULL`].
    key: u32,
    /// Bytes, or [`NULL`].
    value: u32,
    headers: Headers,
}

const NULL: u32 = u32::MAX;
const NO_TIMESTAMP: i64 = i64::MIN;

#[cfg_attr(not(internals), doc(hidden))]
impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.buffer.len() + self.entries.iter().map(|e| e.headers.size()).sum::<usize>()
    }

    /// What holding the batch costs, in bytes, its own bookkeeping included.
    pub fn size(&self) -> usize {
        let headers: usize = self.entries.iter().map(|e| e.headers.held()).sum();
        self.buffer.len() + self.entries.len() * size_of::<Entry>() + headers
    }

    /// The offset of the record at `index`; panics where there is none, as a slice does.
    pub fn offset(&self, index: usize) -> Offset {
        Offset(self.entries[index].offset)
    }

    /// The timestamp of the record at `index`, in milliseconds since 1970 UTC, where it has one; panics where
    /// there is no record, as a slice does.
    pub fn timestamp(&self, index: usize) -> Option<i64> {
        let timestamp = self.entries[index].timestamp;
        (timestamp != NO_TIMESTAMP).then_some(timestamp)
    }

    /// The record at `index`, sharing the batch's buffer; panics where there is none, as a slice does.
    pub fn record(&self, index: usize) -> Record {
        let entry = &self.entries[index];
        let value_start = entry.start + if entry.key == NULL { 0 } else { entry.key };
        Record {
            key: self.key(index),
            value: self.slice(value_start, entry.value),
            headers: entry.headers.clone(),
            timestamp: (entry.timestamp != NO_TIMESTAMP).then_some(entry.timestamp),
            to: ResultTopic::default(),
        }
    }

    /// The key of the record at `index`, as a slice of the shared buffer.
    ///
    /// # Panics
    /// If there are fewer records.
    pub fn key(&self, index: usize) -> Option<Bytes> {
        let entry = &self.entries[index];
        self.slice(entry.start, entry.key)
    }

    fn slice(&self, start: u32, len: u32) -> Option<Bytes> {
        (len != NULL).then(|| self.buffer.slice(start as usize..start as usize + len as usize))
    }
}

/// Collects the records of one partition into a [`Batch`].
#[derive(Debug)]
#[cfg_attr(not(internals), doc(hidden))]
pub struct BatchBuilder {
    partition: TopicPartition,
    buffer: BytesMut,
    entries: Vec<Entry>,
}

#[cfg_attr(not(internals), doc(hidden))]
impl BatchBuilder {
    /// An empty batch of that partition.
    pub fn new(partition: TopicPartition) -> Self {
        BatchBuilder { partition, buffer: BytesMut::new(), entries: Vec::new() }
    }

    /// Copies a record in. `timestamp` is in milliseconds since 1970 UTC.
    pub fn push(
        &mut self,
        offset: Offset,
        timestamp: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers,
    ) {
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(key.unwrap_or_default());
        self.buffer.extend_from_slice(value.unwrap_or_default());
        self.entries.push(Entry {
            offset: offset.0,
            timestamp: timestamp.unwrap_or(NO_TIMESTAMP),
            start,
            key: key.map_or(NULL, |k| k.len() as u32),
            value: value.map_or(NULL, |v| v.len() as u32),
            headers,
        });
    }

    /// Bytes of keys and values so far. A batch must stay under 4 GiB.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing has been pushed yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The offset of the record that was pushed last.
    pub fn last(&self) -> Option<Offset> {
        self.entries.last().map(|entry| Offset(entry.offset))
    }

    /// The partition that the batch is of.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The batch.
    pub fn build(self) -> Batch {
        Batch { partition: self.partition, buffer: self.buffer.freeze(), entries: self.entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_pushed_nulls_and_empties_apart() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 3));
        let headers: Headers = [("trace", "1")].into_iter().collect();
        builder.push(Offset(7), Some(1_000), Some(b"key"), Some(b"value"), headers.clone());
        builder.push(Offset(9), None, None, None, Headers::default());
        builder.push(Offset(10), Some(-1), Some(b""), Some(b""), Headers::default());
        let batch = builder.build();

        assert_eq!((batch.offset(0), batch.offset(1), batch.offset(2)), (Offset(7), Offset(9), Offset(10)));
        let first = Record {
            key: Some("key".into()),
            value: Some("value".into()),
            headers,
            timestamp: Some(1_000),
            ..Record::default()
        };
        assert_eq!(batch.record(0), first);
        assert_eq!(batch.record(1), Record::default());
        let empty = Record {
            key: Some(Bytes::new()),
            value: Some(Bytes::new()),
            timestamp: Some(-1),
            ..Record::default()
        };
        assert_eq!(batch.record(2), empty);
    }

    #[test]
    fn a_batch_costs_what_its_headers_take_in_memory_and_not_only_their_bytes() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        // Two bytes each, and some fifty times as much to hold them.
        let headers: Headers = (0..1_000).map(|_| ("a", "b")).collect();
        builder.push(Offset(0), None, None, Some(b"5"), headers);
        let batch = builder.build();
        assert_eq!(batch.bytes(), 2_001);
        let held = batch.size();
        assert!(held >= 1_000 * (size_of::<Header>() + 2), "{held} bytes");
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        builder.push(Offset(0), None, None, Some(b"5"), Headers::default());
        assert_eq!(builder.build().size(), 1 + size_of::<Entry>(), "without headers it costs what it did");
    }

    #[test]
    fn a_header_that_is_set_is_there_once() {
        let mut headers: Headers = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        let untouched = headers.clone();
        headers.set("a", "4".into());
        assert_eq!(headers, [("a", "4"), ("b", "2")].into_iter().collect());
        headers.set("c", "5".into());
        assert_eq!(headers.get("c"), Some(&b"5"[..]));
        assert_eq!(untouched.iter().count(), 3);
    }

    #[test]
    fn the_last_header_of_a_name_wins_and_all_are_kept() {
        let headers: Headers = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(headers.get("a"), Some(&b"3"[..]));
        assert_eq!(headers.get("c"), None);
        assert_eq!(headers.iter().count(), 3);
    }

    #[test]
    fn headers_that_are_not_kept_leave_nothing_behind() {
        let all: Headers = [("a", "1"), ("b", "x"), ("a", "3")].into_iter().collect();
        let mut some = all.clone();
        some.retain(|header| header.name == "a");
        assert_eq!(some, [("a", "1"), ("a", "3")].into_iter().collect());
        assert_eq!((some.number("a"), some.number::<u8>("b"), some.text("b")), (Some(3), None, None));
        some.retain(|_| false);
        assert_eq!(some, Headers::default());
        assert_eq!((all.text("b"), all.number::<u8>("b")), (Some("x"), None), "the clone is another one");
    }
}
