//! The names of the headers that we write and read.

/// A header of a request: the partition of the result topic where its result is wanted, in decimal digits. Workers look
/// at it, and at the deadline, only where their file says that the records are requests.
pub const REPLY_PARTITION: &str = "pipeline.reply-partition";
/// A header of a request: when nobody waits for its result any more, in milliseconds since 1970 UTC.
pub const DEADLINE: &str = "pipeline.deadline";
/// A header of a request, which its result has too: a UUID.
pub const CORRELATION_ID: &str = "correlation-id";
/// A header of a result that was wanted at a partition: the worker that computed it.
pub const WORKER: &str = "pipeline.worker";
/// A header of a record that was made from an element of a list: the element's place there, from 0.
pub const INDEX: &str = "pipeline.index";

/// The headers of a dead letter.
pub mod error {
    /// What the name of each begins with.
    pub const PREFIX: &str = "pipeline.error.";
    /// What kind of trouble it was, such as `not-a-number`.
    pub const CLASS: &str = "pipeline.error.class";
    /// What was wrong, for people.
    pub const MESSAGE: &str = "pipeline.error.message";
    /// The topic that the record was read from.
    pub const TOPIC: &str = "pipeline.error.topic";
    /// The number of its partition.
    pub const PARTITION: &str = "pipeline.error.partition";
    /// Its offset there.
    pub const OFFSET: &str = "pipeline.error.offset";
    /// Its timestamp, in milliseconds since 1970 UTC; empty where it had none.
    pub const TIMESTAMP: &str = "pipeline.error.timestamp";
    /// How often it was tried.
    pub const ATTEMPTS: &str = "pipeline.error.attempts";
    /// That something was cut off because the topic does not take it, and how much there was.
    pub const CUT: &str = "pipeline.error.cut";
}
