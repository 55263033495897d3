//! One queue for the data of all partitions, apart from the queue that rebalances and errors come through.
//!
//! So callbacks can be served while no data is taken, which is all that backpressure needs: nothing is
//! paused, and what was fetched stays fetched. `rdkafka` splits queues by partition, each with a limit of
//! its own; one queue for all has one limit, and hands out many records in one call. The only place that
//! calls librdkafka directly, for want of these calls in `rdkafka`.

use std::{ffi::CString, ptr, slice, time::Duration};

use rdkafka::bindings as rd;

use crate::record::{Headers, Offset};

/// The most records that one call takes.
const BATCH: usize = 4_096;

/// What is found in the queue.
pub enum Fetched<'a> {
    /// A record of a partition.
    Record {
        /// The partition's number.
        partition: i32,
        offset: Offset,
        /// Milliseconds since 1970 UTC.
        timestamp: Option<i64>,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: Headers,
    },
    /// A partition was read to its end; the offset is the next one that will come.
    End { partition: i32, offset: Offset },
    /// Something is wrong with a partition.
    Error { partition: i32, code: rdkafka::types::RDKafkaErrorCode },
}

/// The data queue of one consumer. Must be dropped before the consumer is.
pub struct FetchQueue {
    client: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    messages: Vec<*mut rd::rd_kafka_message_t>,
}

// SAFETY: librdkafka's queues may be used from any thread; ours is moved to the poll thread and stays there.
unsafe impl Send for FetchQueue {}

/// Sends a partition's data to a [`FetchQueue`]. Usable for as long as the queue is.
#[derive(Clone, Copy)]
pub struct Forward(*mut rd::rd_kafka_t, *mut rd::rd_kafka_queue_t);

// SAFETY: as for `FetchQueue`; the calls made with it are safe from any thread.
unsafe impl Send for Forward {}
// SAFETY: as above.
unsafe impl Sync for Forward {}

impl FetchQueue {
    /// A queue for the consumer that `client` belongs to.
    ///
    /// # Safety
    /// `client` must be a live consumer, and stay so until the queue is dropped.
    pub unsafe fn new(client: *mut rd::rd_kafka_t) -> Self {
        // SAFETY: the caller vouches for `client`.
        let queue = unsafe { rd::rd_kafka_queue_new(client) };
        FetchQueue { client, queue, messages: vec![ptr::null_mut(); BATCH] }
    }

    /// What sends partitions' data here.
    pub fn forward(&self) -> Forward {
        Forward(self.client, self.queue)
    }

    /// Waits for data up to `timeout`, then takes what is there already. Returns whether there was any.
    pub fn poll(&mut self, timeout: Duration, mut take: impl FnMut(Fetched<'_>)) -> bool {
        // A batch call waits until its batch is full, so the waiting is done by the call for one record.
        // SAFETY: the queue is live, and each message is read and destroyed exactly once.
        let first = unsafe { rd::rd_kafka_consume_queue(self.queue, timeout.as_millis() as i32) };
        if first.is_null() {
            return false;
        }
        unsafe { Self::hand_over(first, &mut take) };
        // SAFETY: `messages` has room for `BATCH` pointers.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), self.messages.len())
        };
        for message in &self.messages[..count.max(0) as usize] {
            // SAFETY: librdkafka has filled in `count` messages that are ours now.
            unsafe { Self::hand_over(*message, &mut take) };
        }
        true
    }

    /// # Safety
    /// `message` must be a message of this queue that was not destroyed yet; it is destroyed.
    unsafe fn hand_over(message: *mut rd::rd_kafka_message_t, take: &mut impl FnMut(Fetched<'_>)) {
        // SAFETY: the caller vouches for `message`; key and payload live as long as it.
        unsafe {
            let m = &*message;
            take(match m.err {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Fetched::Record {
                    partition: m.partition,
                    offset: Offset(m.offset),
                    timestamp: timestamp(message),
                    key: bytes(m.key, m.key_len),
                    value: bytes(m.payload, m.len),
                    headers: headers(message),
                },
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    Fetched::End { partition: m.partition, offset: Offset(m.offset) }
                }
                err => Fetched::Error { partition: m.partition, code: err.into() },
            });
            rd::rd_kafka_message_destroy(message);
        }
    }
}

impl Drop for FetchQueue {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed once.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

impl Forward {
    /// Sends a partition's data to the queue from now on. To be called before the partition is assigned:
    /// what was fetched before goes another way. Returns whether the partition could be found.
    pub fn partition(self, topic: &str, partition: i32) -> bool {
        let Ok(topic) = CString::new(topic) else { return false };
        // SAFETY: both pointers are live as long as the consumer polls, which is when this is called.
        unsafe {
            let source = rd::rd_kafka_queue_get_partition(self.0, topic.as_ptr(), partition);
            if source.is_null() {
                return false;
            }
            rd::rd_kafka_queue_forward(source, self.1);
            // Gives up our handle; the forwarding stays.
            rd::rd_kafka_queue_destroy(source);
        }
        true
    }

    /// The partition's end as the last fetch told it; `None` before the first.
    pub fn high_watermark(self, topic: &str, partition: i32) -> Option<Offset> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is live, and the offsets outlive the call.
        let err = unsafe {
            rd::rd_kafka_get_watermark_offsets(self.0, topic.as_ptr(), partition, &mut low, &mut high)
        };
        (err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(Offset(high))
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
            let name = std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned();
            let value = bytes(value.cast_mut(), size).map(bytes::Bytes::copy_from_slice);
            result.push(name, value);
        }
    }
    result
}
