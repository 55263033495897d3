//! Topics of which operators look up the newest value of a key.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::OperatorError;

/// The newest value of each key of a topic.
pub trait Table: Send + Sync {
    /// The newest value of a key; `None` where it has none.
    ///
    /// # Errors
    /// [`OperatorError::Away`] until the topic is read to its end, and [`OperatorError::Fatal`] where what was read cannot be.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError>;
}

/// The table that an operator looks into. Whoever runs the operator gives it.
pub struct TableOf {
    topic: String,
    given: Mutex<Option<Arc<dyn Table>>>,
}

impl TableOf {
    /// The one of that topic.
    pub(super) fn new(topic: String) -> Self {
        TableOf { topic, given: Mutex::new(None) }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// That is the table.
    pub fn give(&self, table: Arc<dyn Table>) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(table);
    }

    /// The newest value of a key, as [`Table::get`] says. Where no table was given, as in `pipeline tap`, no key has one.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError> {
        let table = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        table.map_or(Ok(None), |table| table.get(key))
    }
}

impl fmt::Debug for TableOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the table {}", self.topic)
    }
}
