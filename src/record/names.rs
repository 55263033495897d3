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

/// A header of a piece of a result that is larger than its topic takes: which result's, a slash, and its place there, from 0.
pub const PIECE: &str = "pipeline.piece";
/// A header of the record that names the pieces of a result: the version of the layout, which is `1`.
pub const MANIFEST: &str = "pipeline.manifest";
/// That version.
pub const MANIFEST_VERSION: &[u8] = b"1";

/// A header of a result that was computed for its request, where later ones of the same `n` are answered with it: that `n`, in decimal
/// digits. A result that was known does not have it.
pub const FINISHED: &str = "pipeline.finished";

/// A header of a record that was a dead letter and was replayed: how often.
pub const REPLAYS: &str = "pipeline.replays";
/// A header of a record in a dead-letter topic that is no letter, but says how far a replay has come: its consumer group. The
/// offset is the value.
pub const REPLAY_MARK: &str = "pipeline.replay-mark";

/// The headers of a record in a retry topic.
pub mod retry {
    use super::super::classes::named;

    /// What the name of each begins with.
    pub const PREFIX: &str = "pipeline.retry.";
    #[rustfmt::skip] // one line a header
    named! {
        /// Each with what it says.
        HEADERS:
        TOPIC "pipeline.retry.topic" "The topic that the record was read from first.";
        PARTITION "pipeline.retry.partition" "The number of its partition there.";
        OFFSET "pipeline.retry.offset" "Its offset there.";
        TIMESTAMP "pipeline.retry.timestamp" "Its timestamp there, in milliseconds since 1970 UTC, where it had one.";
        ATTEMPTS "pipeline.retry.attempts" "How often it was tried so far.";
        WAITS "pipeline.retry.waits" "How often it has waited so far, this time included, but for waiting behind another record of its key.";
        AT "pipeline.retry.at" "When it is tried again, in milliseconds since 1970 UTC.";
    }
}

/// The headers of a dead letter.
pub mod error {
    use super::super::classes::named;

    /// What the name of each begins with.
    pub const PREFIX: &str = "pipeline.error.";
    #[rustfmt::skip] // one line a header
    named! {
        /// Each with what it says.
        HEADERS:
        CLASS "pipeline.error.class" "What kind of trouble it was: one of the classes, such as `not-a-number`.";
        MESSAGE "pipeline.error.message" "What was wrong, for people.";
        TOPIC "pipeline.error.topic" "The topic that the record was read from.";
        PARTITION "pipeline.error.partition" "The number of its partition.";
        OFFSET "pipeline.error.offset" "Its offset there.";
        TIMESTAMP "pipeline.error.timestamp" "Its timestamp, in milliseconds since 1970 UTC; empty where it had none.";
        ATTEMPTS "pipeline.error.attempts" "How often it was tried.";
        CUT "pipeline.error.cut" "Only where the whole record does not fit the topic: that something was cut off, and how many bytes there were.";
    }
}
