use crate::record::{Offset, Record, TopicPartition};

/// The class of a result that is larger than its topic takes.
pub const TOO_LARGE: &str = "result-too-large";

/// The record as it came, with headers that say what was wrong with it and where it was:
/// `pipeline.error.class`, `.message`, `.topic`, `.partition`, `.offset`, `.timestamp` (milliseconds since
/// 1970 UTC, of the record) and `.attempts`.
pub fn of(
    mut record: Record,
    partition: &TopicPartition,
    offset: Offset,
    class: &str,
    message: &str,
    attempts: u32,
) -> Record {
    let timestamp = record.timestamp.map(|timestamp| timestamp.to_string()).unwrap_or_default();
    for (name, value) in [
        ("class", class.to_owned()),
        ("message", message.to_owned()),
        ("topic", partition.topic.to_string()),
        ("partition", partition.partition.to_string()),
        ("offset", offset.to_string()),
        ("timestamp", timestamp),
        ("attempts", attempts.to_string()),
    ] {
        record.headers.push(format!("pipeline.error.{name}"), Some(value.into()));
    }
    record
}
