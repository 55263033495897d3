//! Why a pipeline ends or needs new clients.

use thiserror::Error;

/// Why a pipeline cannot go on with the clients that it has. The text is a sentence.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// New clients may do better: they were fenced, or lost their place in a way that only a new start mends.
    #[error("{0}")]
    Restart(String),
    /// A topic takes less than was known when the clients were made: new ones, which know, do better.
    #[error("{0}")]
    Limits(String),
    /// Somebody has to do something about it first.
    #[error("{0}")]
    Fatal(String),
}
