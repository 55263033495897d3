//! How large a record is for a broker.

use super::Record;

/// Bytes that a record takes in a batch of its own beside its key, value and headers, at most: 61 for the batch and up to
/// 36 for the record's lengths (Kafka protocol, record batch v2).
pub const FRAME: u64 = 61 + 36;

/// Bytes that a record takes in a batch of its own, at most: what a topic's `max.message.bytes` is held against.
pub fn wire_size(record: &Record) -> u64 {
    let headers = record.headers.iter().count() * 10;
    FRAME + (headers + record.size()) as u64
}
