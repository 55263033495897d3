//! What the engine asks of a consumer.

use futures::{Stream, future::BoxFuture};
use tokio::sync::oneshot;

use super::{DeliveryError, Reservation, Stop};
use crate::record::{Batch, Offset, TopicPartition};

/// A partition that is ours from now on.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The partition that is ours from now on.
    pub partition: TopicPartition,
    /// The next offset to be read.
    pub start: Offset,
    /// What the last commit carried, or nothing.
    pub metadata: String,
    /// The offset after the last record that was there when the source began.
    pub end: Offset,
}

/// What a source tells, in the order in which it happened.
#[derive(Debug)]
pub enum SourceEvent {
    /// Partitions that are ours from now on.
    Assigned(Vec<Assignment>),
    /// The source has gone back: all partitions that are ours, none included. Records that came before this
    /// event are read again after it.
    Rewound(Vec<Assignment>),
    /// Records, with the room that they take in the budget.
    Batch(Batch, Reservation),
    /// A partition has been read to its end: everything before the offset has been told.
    End(TopicPartition, Offset),
    /// The ends of partitions, as last heard: for lag.
    HighWatermarks(Vec<(TopicPartition, Offset)>),
    /// Partitions that are taken away once `Handover` is dropped: until then they can be committed.
    Revoked(Vec<TopicPartition>, Handover),
    /// Partitions that somebody else may already own: nothing of theirs can be committed. The group is joined
    /// again once `Handover` is dropped: from then on a commit under way would pass for one of the new member.
    Lost(Vec<TopicPartition>, Handover),
}

/// The source waits until this is dropped before it lets partitions go.
#[derive(Debug)]
pub struct Handover(#[allow(dead_code, reason = "dropping it is the signal")] oneshot::Sender<()>);

impl Handover {
    /// A handover, and what wakes when it is dropped.
    pub fn new() -> (Handover, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Handover(sender), receiver)
    }
}

/// What is committed for a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The next offset to be read by the partition's next owner.
    pub offset: Offset,
    /// What is done above it (see [`OffsetTracker`](super::OffsetTracker)).
    pub metadata: String,
}

/// Why a commit did not happen.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum CommitError {
    /// It may work later: the group is moving, or the broker is away.
    #[error("{0}")]
    Passing(String),
    /// The transaction has to be aborted, and its records done again from the committed offsets.
    #[error("{0}")]
    Abort(String),
    /// These clients can commit nothing any more.
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

/// Where records come from. The stream ends after [`close`](Source::close), once everything is handed over.
pub trait Source: Stream<Item = Result<SourceEvent, Stop>> + Unpin + Send {
    /// Commits offsets; resolves once the broker has them.
    fn commit(&self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Goes back to the committed offsets of all that is assigned; reports `Rewound` once it has.
    fn rewind(&mut self);

    /// Leaves the group: tells `Revoked` for what is assigned, then ends.
    fn close(&mut self);
}
