//! What the engine needs of a producer.

use std::task::{Context, Poll};

use futures::future::BoxFuture;

use super::{CommitError, CommitOffset, Stop};
use crate::record::{Destination, Record};

/// Names a sent record when its delivery is reported. Only the engine knows its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub usize);

/// What became of a sent record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The token that the record was sent with.
    pub token: Token,
    /// Where it is, once it is acknowledged, or why not.
    pub result: Result<Written, DeliveryError>,
}

/// Where an acknowledged record is in its topic.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Written {
    /// The partition's number.
    pub partition: i32,
    /// The record's offset there.
    pub offset: i64,
}

/// Why a record was not delivered.
#[derive(thiserror::Error, Clone, PartialEq, Eq, Debug)]
pub enum DeliveryError {
    /// The broker refuses the record, or another one in its batch, for what it is. Sent again alone, it shows
    /// which.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It was not written although nothing is wrong with it; it has to be sent again.
    #[error("{0}")]
    Again(String),
    /// Exactly-once: the transaction has to be aborted, and its records done again.
    #[error("{0}")]
    Abort(String),
    /// These clients cannot deliver anything any more.
    #[error("{0}")]
    Stop(#[from] Stop),
}

/// Why a broker refuses a record.
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
    /// There is no room until something is delivered.
    #[error("the producer's queue is full")]
    Full,
    /// It will not be delivered.
    #[error("{0}")]
    Failed(#[from] DeliveryError),
}

/// Where results and dead letters go.
pub trait Sink: Send + 'static {
    /// Hands over a result or dead letter of a record from the source's partition `from`; returns at once.
    /// Exactly-once, the first one after a commit begins a transaction.
    ///
    /// # Errors
    /// [`SendError::Full`] where there is no room: send it again after the next delivery.
    /// [`SendError::Failed`] where the record will not be delivered, for the reason in it; no delivery is
    /// reported then.
    fn send(&mut self, to: Destination, from: i32, record: &Record, token: Token) -> Result<(), SendError>;

    /// Appends the deliveries since the last call, or arranges to wake the task. Ready without a delivery
    /// where there is room again.
    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()>;

    /// At-least-once: drops what is queued and not on its way; its deliveries are
    /// [`Again`](DeliveryError::Again). Where a record was refused, everything queued behind it is dropped by
    /// this, so that nothing overtakes it.
    fn discard(&mut self);

    /// Exactly-once: commits what was sent, together with the offsets.
    ///
    /// # Errors
    /// [`CommitError::Abort`] where the transaction has to be aborted with [`abort`](Sink::abort), and
    /// [`CommitError::Stop`] where these clients cannot go on.
    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>>;

    /// Exactly-once: takes back what was sent since the last commit, and a commit under way where that is
    /// still possible, which must not take effect for the member that the worker becomes next.
    ///
    /// # Errors
    /// [`Stop`] where the transaction cannot be aborted, so that these clients cannot go on.
    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>>;
}
