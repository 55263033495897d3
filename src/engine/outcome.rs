//! What comes of a chunk: records to be sent, and what is counted.

use bytes::Bytes;

use super::{Stop, state::Changes, work::Work};
use crate::record::{Destination, Offset, Record};

/// What a record that waits for its acknowledgement costs librdkafka and us besides its own bytes.
pub const RECORD_OVERHEAD: u64 = 256;

/// One record to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The index in the chunk of the record that caused it.
    pub cause: usize,
    pub to: Destination,
    pub part: Part,
    pub record: Record,
}

/// What of a result a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Whole,
    /// A piece of one that is larger than its topic takes.
    Piece,
    /// What names the pieces before it, with the same cause; it is sent once it is known where they are.
    Manifest,
}

impl Outgoing {
    /// A result, dead letter or reply as it is.
    pub fn whole(cause: usize, to: Destination, record: Record) -> Self {
        Outgoing { cause, to, part: Part::Whole, record }
    }
}

/// What became of a chunk.
#[derive(Debug, Default)]
pub struct Outcome {
    pub outgoing: Vec<Outgoing>,
    /// What has to be in the object store before, by its name there.
    pub objects: Vec<(String, Bytes)>,
    /// What operators remember from now on. It is among what is sent, too.
    pub changes: Option<Changes>,
    /// The class of each dead letter, for the metrics.
    pub dead_letters: Vec<&'static str>,
    pub retries: u64,
    /// Records of which the operators made nothing.
    pub dropped: u64,
    /// How long each operator worked.
    pub work: Work,
    /// Requests whose deadline had passed.
    pub expired: Vec<Offset>,
    pub fatal: Option<Stop>,
    /// Whether computing was cancelled: then the rest means nothing.
    pub cancelled: bool,
}

impl Outcome {
    /// The bytes that it holds in memory.
    pub fn size(&self) -> u64 {
        self.outgoing.iter().map(|o| o.record.size() as u64 + RECORD_OVERHEAD).sum()
    }

    /// The pool went away with the work: the process is being torn down.
    pub fn without_threads() -> Self {
        Outcome { fatal: Some(Stop::Fatal("the compute threads are gone".to_owned())), ..Outcome::default() }
    }
}
