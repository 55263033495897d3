//! What the engine asks of a producer.

use std::task::{Context, Poll};

use futures::future::BoxFuture;

use super::{CommitError, CommitOffset, Stop};
use crate::record::Record;

/// Where a record is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The result topic.
    Result,
    /// The dead-letter topic.
    DeadLetter,
}

/// Names a sent record when its delivery is told. Means something to the engine alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub usize);

/// What became of a sent record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The token that the record was sent with.
    pub token: Token,
    /// Acknowledged, or why not.
    pub result: Result<(), DeliveryError>,
}

/// Why a record was not delivered.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum DeliveryError {
    /// The broker refuses the record, or the batch that it was in, for what it is: sent again alone, it shows
    /// which.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It was not written, and nothing is wrong with it: it is sent again.
    #[error("{0}")]
    Again(String),
    /// Exactly-once: the transaction has to be aborted, and its records done again.
    #[error("{0}")]
    Abort(String),
    /// These clients can deliver nothing any more.
    #[error("{0}")]
    Stop(#[from] Stop),
}

/// What a broker has against a record.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
#[error("{reason}")]
pub struct Refusal {
    /// Bytes of the record's value, where it is too large for its topic.
    pub too_large: Option<u64>,
    /// The broker's reason.
    pub reason: String,
}

/// Why a record could not be handed over.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum SendError {
    /// There is no room until something has been delivered.
    #[error("the producer's queue is full")]
    Full,
    /// It can not be delivered.
    #[error("{0}")]
    Failed(#[from] DeliveryError),
}

/// Where results and dead letters go.
pub trait Sink: Send + 'static {
    /// Hands over a record that one of the source's partition `from` has made; returns at once. The first one after a
    /// commit begins a transaction, where the guarantee is exactly-once.
    ///
    /// # Errors
    /// [`SendError::Full`]: send it again once a delivery has been told. Else the record was refused.
    fn send(&mut self, to: Destination, from: i32, record: &Record, token: Token) -> Result<(), SendError>;

    /// Appends what has been delivered, or arranges to be woken.
    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()>;

    /// At-least-once: drops what is queued and not on its way yet; its deliveries say
    /// [`Again`](DeliveryError::Again). Where a record was refused, what was queued behind it is there yet, and not
    /// on its way: nothing overtakes it.
    fn discard(&mut self);

    /// Exactly-once: commits what was sent together with the offsets.
    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Exactly-once: takes back what was sent since the last commit, and a commit that is under way where that
    /// is still possible: it is to pass for nothing that comes after this call.
    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>>;
}
