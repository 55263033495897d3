//! What is asked, and what has become of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

/// What a caller asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// A number.
    Number(u64),
    /// Any bytes.
    Value(Bytes),
}

/// Names a caller that waits; chosen by the owner of the [`Waiter`](super::Waiter).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallerId(pub usize);

/// Names a request that several callers may wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub usize);

/// Why there is no result.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The worker cannot compute it.
    #[error("{message}")]
    DeadLetter {
        /// The class of the dead letter.
        class: String,
        /// Why, as a sentence.
        message: String,
    },
    /// No broker has taken the request.
    #[error("it could not be produced: {0}")]
    NotProduced(String),
    /// No result came in time.
    #[error("no result came in time")]
    TimedOut,
    /// The gateway is being stopped.
    #[error("the gateway is stopping")]
    Stopping,
}

/// What has become of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<R> {
    /// The caller that waits for it.
    pub caller: CallerId,
    /// The question that it answers.
    pub question: Question,
    /// From producing the request to its acknowledgement; `None` where the answer was there first.
    pub acknowledged: Option<Duration>,
    /// Partition and offset of the request, once it is acknowledged.
    pub place: Option<(i32, i64)>,
    /// From the question to the answer.
    pub total: Duration,
    /// The result, or why there is none.
    pub outcome: Result<R, Failure>,
}

/// A request that is to be produced, again or for the first time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Produce {
    /// The number that its acknowledgement and its reply are known by.
    pub request: RequestId,
    /// Its `correlation-id`, the same each time.
    pub id: Uuid,
    /// The question that it asks.
    pub question: Question,
    /// When the last caller stops waiting.
    pub deadline: Instant,
    /// The first of the callers that wait.
    pub first: CallerId,
}
