//! Topics that operators look into.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{OperatorError, Output};

/// What a topic has under each key.
pub trait Table: Send + Sync {
    /// What it has under a key; `None` where there is nothing. `beside` is the partition of the record that it is looked up for.
    ///
    /// # Errors
    /// [`OperatorError::Away`] until the topic is read to its end, where that matters, and [`OperatorError::Fatal`] where what was read
    /// cannot be.
    fn get(&self, key: &[u8], beside: Option<i32>) -> Result<Option<Bytes>, OperatorError>;
}

/// Which records of which topic a table is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableKind {
    /// The newest value of each key of that topic.
    Newest(String),
    /// The same, where a key is in the partition with the number of its records': only the partitions that are worked on are read.
    Own(String),
    /// The finished results in the sink's own topic, each under what its header [`FINISHED`](crate::record::FINISHED) says, for
    /// as long as so many bytes of the disk have room for it. What is found is one of [`WHOLE`] and [`MANIFEST_OF`], and the value.
    Finished(u64),
}

/// What a finished result begins with whose value is all of it.
pub const WHOLE: u8 = 0;
/// What one begins with whose value says where it is ([`MANIFEST`](crate::record::MANIFEST)).
pub const MANIFEST_OF: u8 = 1;

/// The table that an operator looks into. Whoever runs the operator gives it.
pub struct TableOf {
    kind: TableKind,
    given: Mutex<Option<Arc<dyn Table>>>,
}

impl TableOf {
    pub(super) fn new(kind: TableKind) -> Self {
        TableOf { kind, given: Mutex::new(None) }
    }

    /// What it is made of.
    pub fn kind(&self) -> &TableKind {
        &self.kind
    }

    /// The topic whose newest values it is made of, where it is.
    pub fn newest(&self) -> Option<&str> {
        match &self.kind {
            TableKind::Newest(topic) | TableKind::Own(topic) => Some(topic),
            TableKind::Finished(_) => None,
        }
    }

    /// The topic's name, where that of the sink is `sink`.
    pub fn topic<'a>(&'a self, sink: &'a str) -> &'a str {
        self.newest().unwrap_or(sink)
    }

    /// That is the table.
    pub fn give(&self, table: Arc<dyn Table>) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(table);
    }

    /// What [`Table::get`] says. Where no table was given, as in `pipeline test`, there is nothing.
    pub(super) fn get(&self, key: &[u8], out: &Output) -> Result<Option<Bytes>, OperatorError> {
        let table = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let beside = out.place().map(|(partition, _)| partition.partition);
        table.map_or(Ok(None), |table| table.get(key, beside))
    }
}

impl fmt::Debug for TableOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the table {:?}", self.kind)
    }
}
