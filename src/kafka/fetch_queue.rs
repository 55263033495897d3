//! One queue for the data of all partitions, apart from the queue that rebalances and errors come through.
//!
//! So callbacks can be served while no data is taken, which is all that backpressure needs: nothing is
//! paused, and fetched records stay fetched. `rdkafka` splits queues by partition, each with its own limit;
//! one queue for all has one limit. It calls librdkafka directly, as `rdkafka` lacks these calls.

use std::{
    borrow::Cow,
    ffi::{CStr, CString},
    marker::PhantomData,
    ptr, slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::bindings as rd;

use crate::record::{Headers, Offset};

/// The most records that are taken before callbacks are served again.
pub const BATCH: usize = 4_096;

/// An entry of the queue.
pub enum Fetched<'a> {
    /// A record of a partition.
    Record {
        partition: Place<'a>,
        offset: Offset,
        /// Milliseconds since 1970 UTC.
        timestamp: Option<i64>,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: Headers,
    },
    /// A partition was read to its end, up to this offset.
    End { partition: Place<'a>, offset: Offset },
    /// Something is wrong with a partition, at this offset where it is about records.
    Error { partition: Place<'a>, offset: Offset, code: rdkafka::types::RDKafkaErrorCode, reason: String },
}

/// The partition of a message.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// librdkafka's handle for the topic: one for each name, as long as the consumer lives.
    topic: *mut rd::rd_kafka_topic_t,
    number: i32,
    _message: PhantomData<&'a ()>,
}

impl<'a> Place<'a> {
    /// The same for all messages of one partition, so that no names have to be compared.
    pub fn key(self) -> (usize, i32) {
        (self.topic as usize, self.number)
    }

    /// The topic's name; empty for an error that is about no topic.
    pub fn topic(self) -> Cow<'a, str> {
        if self.topic.is_null() {
            return Cow::Borrowed("");
        }
        // SAFETY: the handle is live, as its message is.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.topic)) }.to_string_lossy()
    }

    /// The partition's number.
    pub fn number(self) -> i32 {
        self.number
    }
}

/// The data queue of one consumer. Must be dropped before the consumer is.
pub struct FetchQueue {
    queue: *mut rd::rd_kafka_queue_t,
    forward: Forward,
}

// SAFETY: librdkafka's queues may be used from any thread; ours is moved to the poll thread and stays there.
unsafe impl Send for FetchQueue {}

/// Sends a partition's data to a [`FetchQueue`] for as long as that exists: a consumer that outlives it may
/// still be assigned partitions.
#[derive(Clone)]
pub struct Forward(Arc<Mutex<Option<Target>>>);

/// The consumer and the queue.
#[derive(Clone, Copy)]
struct Target(*mut rd::rd_kafka_t, *mut rd::rd_kafka_queue_t);

// SAFETY: as for `FetchQueue`; the calls made with it are safe from any thread.
unsafe impl Send for Target {}

impl FetchQueue {
    /// A queue for the consumer that `client` belongs to.
    ///
    /// # Safety
    /// `client` must be a live consumer, and stay so until the queue is dropped.
    pub unsafe fn new(client: *mut rd::rd_kafka_t) -> Self {
        // SAFETY: the caller vouches for `client`.
        let queue = unsafe { rd::rd_kafka_queue_new(client) };
        let forward = Forward(Arc::new(Mutex::new(Some(Target(client, queue)))));
        FetchQueue { queue, forward }
    }

    /// A handle that forwards partitions' data here.
    pub fn forward(&self) -> Forward {
        self.forward.clone()
    }

    /// Waits for data up to `timeout`, then takes what is there already, at most so many entries. Returns whether there was
    /// any.
    ///
    /// One call a record. The call for many (`rd_kafka_consume_batch_queue`) counts the end of a partition as a
    /// record, in all versions from 2.2 to 2.12: after the next rebalance, which pauses and resumes what stays
    /// assigned, the record that came next is never read (librdkafka #4844).
    pub fn poll(&mut self, timeout: Duration, most: usize, mut take: impl FnMut(Fetched<'_>)) -> bool {
        let mut wait = timeout.as_millis() as i32;
        for taken in 0..most {
            // SAFETY: the queue is live, and each message is read and destroyed exactly once.
            let message = unsafe { rd::rd_kafka_consume_queue(self.queue, wait) };
            if message.is_null() {
                return taken > 0;
            }
            unsafe { Self::hand_over(message, &mut take) };
            wait = 0;
        }
        true
    }

    /// # Safety
    /// `message` must be a message of this queue that was not destroyed yet; it is destroyed.
    unsafe fn hand_over(message: *mut rd::rd_kafka_message_t, take: &mut impl FnMut(Fetched<'_>)) {
        // SAFETY: the caller vouches for `message`; key and payload live as long as it.
        unsafe {
            let m = &*message;
            let partition = Place { topic: m.rkt, number: m.partition, _message: PhantomData };
            take(match m.err {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Fetched::Record {
                    partition,
                    offset: Offset(m.offset),
                    timestamp: timestamp(message),
                    key: bytes(m.key, m.key_len),
                    value: bytes(m.payload, m.len),
                    headers: headers(message),
                },
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    Fetched::End { partition, offset: Offset(m.offset) }
                }
                err => Fetched::Error {
                    partition,
                    offset: Offset(m.offset),
                    code: err.into(),
                    reason: CStr::from_ptr(rd::rd_kafka_message_errstr(message))
                        .to_string_lossy()
                        .into_owned(),
                },
            });
            rd::rd_kafka_message_destroy(message);
        }
    }
}

impl Drop for FetchQueue {
    fn drop(&mut self) {
        // Waits for a thread that is just forwarding to it; none begins to after this.
        *self.forward.target() = None;
        // SAFETY: made in `new`, destroyed once.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

impl Forward {
    /// Sends a partition's data to the queue from now on. To be called before the partition is assigned, as
    /// earlier data goes another way. Returns false where the partition is not found, or the queue is gone.
    pub fn partition(&self, topic: &str, partition: i32) -> bool {
        let Ok(topic) = CString::new(topic) else { return false };
        let target = self.target();
        let Some(Target(client, queue)) = *target else { return false };
        // SAFETY: the queue is live as long as `target` is locked, and the consumer longer.
        unsafe {
            let source = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if source.is_null() {
                return false;
            }
            rd::rd_kafka_queue_forward(source, queue);
            // Gives up our handle; the forwarding stays.
            rd::rd_kafka_queue_destroy(source);
        }
        true
    }

    /// The partition's end, as of the last fetch; `None` before the first.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Option<Offset> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        let target = self.target();
        let Target(client, _) = (*target)?;
        // SAFETY: the client is live, as its queue is; the offsets outlive the call.
        let err = unsafe {
            rd::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high)
        };
        (err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(Offset(high))
    }

    fn target(&self) -> MutexGuard<'_, Option<Target>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

unsafe fn bytes<'a>(start: *mut std::ffi::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller passes a message's key or payload, and uses the slice while the message lives.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast::<u8>(), len) })
}

unsafe fn timestamp(message: *const rd::rd_kafka_message_t) -> Option<i64> {
    let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the caller vouches for `message`.
    let timestamp = unsafe { rd::rd_kafka_message_timestamp(message, &mut kind) };
    (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(timestamp)
}

unsafe fn headers(message: *const rd::rd_kafka_message_t) -> Headers {
    let mut result = Headers::default();
    let mut list = ptr::null_mut();
    // SAFETY: the caller vouches for `message`; names and values are copied while it lives.
    unsafe {
        if rd::rd_kafka_message_headers(message, &mut list)
            != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return result;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let err = rd::rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut size);
            if err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            let value = bytes(value.cast_mut(), size).map(bytes::Bytes::copy_from_slice);
            result.push(name, value);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        ClientConfig, Offset as RdOffset, TopicPartitionList,
        consumer::{BaseConsumer, Consumer},
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer},
    };

    use super::*;

    #[test]
    fn nothing_is_forwarded_to_a_queue_that_is_gone() {
        let consumer: BaseConsumer = ClientConfig::new().set("group.id", "g").create().unwrap();
        // SAFETY: the consumer is dropped after the queue.
        let queue = unsafe { FetchQueue::new(consumer.client().native_ptr()) };
        let forward = queue.forward();
        assert!(forward.partition("t", 0));
        drop(queue);
        assert!(!forward.partition("t", 0));
        assert_eq!(forward.high_watermark("t", 0), None);
    }

    #[test]
    fn the_end_of_a_partition_is_no_record() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        producer.send(BaseRecord::<str, str>::to("t").payload("a")).unwrap();
        producer.flush(Duration::from_secs(30)).unwrap();
        let consumer: BaseConsumer =
            config.set("group.id", "g").set("enable.partition.eof", "true").create().unwrap();
        // SAFETY: the consumer is dropped after the queue.
        let mut queue = unsafe { FetchQueue::new(consumer.client().native_ptr()) };
        assert!(queue.forward().partition("t", 0));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, RdOffset::Beginning).unwrap();
        consumer.assign(&list).unwrap();

        // Until both wait in the queue: the end that is taken together with a record is what went wrong.
        std::thread::sleep(Duration::from_secs(2));
        let mut taken = Vec::new();
        while taken.len() < 2 {
            queue.poll(Duration::from_secs(1), BATCH, |fetched| match fetched {
                Fetched::Record { offset, .. } => taken.push(("record", offset.0)),
                Fetched::End { offset, .. } => taken.push(("end", offset.0)),
                Fetched::Error { code, .. } => panic!("{code}"),
            });
        }
        assert_eq!(taken, [("record", 0), ("end", 1)]);
        let position = consumer.position().unwrap();
        assert_eq!(position.elements()[0].offset(), RdOffset::Offset(1), "where it goes on after a pause");
        drop(queue);
    }
}
