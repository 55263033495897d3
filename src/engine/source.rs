//! What the engine needs of a consumer.

use futures::{Stream, future::BoxFuture, stream::BoxStream};
use tokio::sync::oneshot;

use super::{DeliveryError, Reservation, Stop};
use crate::record::{Batch, Offset, TopicPartition};

/// A partition that is ours from now on, and where to begin.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to be read.
    pub start: Offset,
    /// The metadata of the last commit, or nothing.
    pub metadata: String,
    /// The offset after the last record that was there when the source began.
    pub end: Offset,
}

/// What a source reports, in the order in which it happened.
#[derive(Debug)]
pub enum SourceEvent {
    /// Partitions that are ours from now on.
    Assigned(Vec<Assignment>),
    /// The source has gone back to the committed offsets: all partitions that are ours, which may be none.
    /// Records from before this event are read again after it.
    Rewound(Vec<Assignment>),
    /// Records, with the room that they take in the budget.
    Batch(Batch, Reservation),
    /// A partition has been read to its end: everything before the offset has been reported.
    End(TopicPartition, Offset),
    /// The current ends of partitions, for lag.
    HighWatermarks(Vec<(TopicPartition, Offset)>),
    /// Partitions that go to another member once `Handover` is dropped; until then offsets can be committed.
    Revoked(Vec<TopicPartition>, Handover),
    /// Partitions that another member may own already: no offset can be committed. The group is joined again
    /// once `Handover` is dropped; from then on a commit under way would pass for one of the new member.
    Lost(Vec<TopicPartition>, Handover),
}

/// The source waits until this is dropped before it lets partitions go.
#[derive(Debug)]
pub struct Handover(#[allow(dead_code, reason = "dropping it is the signal")] oneshot::Sender<()>);

impl Handover {
    /// A handover, and the receiver that wakes when it is dropped.
    pub fn new() -> (Handover, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Handover(sender), receiver)
    }
}

/// What is committed for a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitOffset {
    /// The partition that the offset is in.
    pub partition: TopicPartition,
    /// The offset at which the partition's next owner begins.
    pub offset: Offset,
    /// What is done above it (see [`OffsetTracker`](super::OffsetTracker)).
    pub metadata: String,
}

/// Why a commit did not happen.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// It may succeed later: the group is in a rebalance, or the broker does not answer.
    #[error("{0}")]
    Passing(String),
    /// The transaction has to be aborted, and its records done again from the committed offsets.
    #[error("{0}")]
    Abort(String),
    /// These clients cannot commit anything any more.
    #[error("{0}")]
    Stop(#[from] Stop),
}

impl From<DeliveryError> for CommitError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Stop(stop) => CommitError::Stop(stop),
            error => CommitError::Abort(error.to_string()),
        }
    }
}

/// A part of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Past {
    /// What lies before an offset, from the first record on whose timestamp is not below `since`.
    Since {
        /// In milliseconds since 1970 UTC.
        since: i64,
        /// The first offset that is not wanted.
        before: Offset,
    },
    /// From that offset to the end as it is now, with what open transactions have written, once those have ended.
    From(Offset),
}

/// Where records come from. The stream ends after [`close`](Source::close), once everything is handed over.
/// An error on the stream is final: these clients cannot go on, and [`Stop`] says whether new ones can.
pub trait Source: Stream<Item = Result<SourceEvent, Stop>> + Unpin + Send {
    /// Commits offsets; resolves once the broker has them.
    ///
    /// # Errors
    /// [`CommitError::Passing`] where the commit can be tried again, and [`CommitError::Stop`] where these
    /// clients cannot go on.
    fn commit(&self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Goes back to the committed offsets of all assigned partitions; reports `Rewound` once it has, or an
    /// error on the stream.
    fn rewind(&mut self);

    /// Reads a part of a partition beside what is read of it anyway. The stream waits for brokers that are away, and ends once all is
    /// read.
    fn history(&self, partition: &TopicPartition, part: Past) -> BoxStream<'static, Batch>;

    /// Leaves the group: reports `Revoked` for what is assigned, then ends the stream.
    fn close(&mut self);
}
