//! Why a pipeline ends or needs new clients.

use thiserror::Error;

/// Why a pipeline cannot go on with the clients that it has. The text is a sentence.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// New clients may go on: these were fenced, or have failed in a way that only new ones mend.
    #[error("{0}")]
    Restart(String),
    /// A topic takes less than when the clients were made, so new ones have to be made that know its limit.
    #[error("{0}")]
    TopicLimits(String),
    /// No client can go on until a person changes something.
    #[error("{0}")]
    Fatal(String),
}
