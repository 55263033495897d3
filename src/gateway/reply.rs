//! A result as it comes from Kafka, and what reads one that is in pieces.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::pieces::Manifest;

/// A result as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The result's bytes, as the worker wrote them.
    pub value: Bytes,
    /// The partition that it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The worker that computed it, where it says so.
    pub worker: Option<String>,
    /// Where the result is, if it is in pieces: then the value is empty.
    pub pieces: Option<Manifest>,
}

/// Reads results that are in pieces.
pub trait Pieces: Send + Sync + 'static {
    /// These of the pieces that a manifest names, in order; a sentence where one cannot be read, and nothing after it.
    fn read(&self, manifest: &Manifest, pieces: Range<usize>) -> BoxStream<'static, Result<Bytes, String>>;
}
