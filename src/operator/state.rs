//! What operators remember of earlier records.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::OperatorError;

/// What an operator remembers of the records of one partition: values by key, in the keys' order.
///
/// The engine keeps it. What is put for a record lasts exactly if the record's results do. A key does not begin with the byte 255, which is the
/// engine's own.
pub trait State: Send {
    /// The value of a key, if there is one.
    ///
    /// # Errors
    /// [`OperatorError::Fatal`] where it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError>;

    /// Gives a key that value; with `None` it has none any more.
    fn put(&mut self, key: Bytes, value: Option<Bytes>);

    /// The first entries in the order of their keys, `limit` at most, from one key on and before another.
    ///
    /// # Errors
    /// [`OperatorError::Fatal`] where they cannot be read.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, OperatorError>;
}

/// A state that several hold; one uses it at a time.
#[derive(Clone)]
pub struct SharedState(Arc<Mutex<dyn State>>);

impl SharedState {
    /// Shares a state with whoever holds that.
    pub fn new(state: Arc<Mutex<impl State + 'static>>) -> Self {
        SharedState(state)
    }

    /// One that is kept in memory, and empty.
    pub fn in_memory() -> Self {
        SharedState(Arc::new(Mutex::new(Remembered::default())))
    }

    /// Uses it. Nobody else does meanwhile.
    pub fn with<T>(&self, use_it: impl FnOnce(&mut dyn State) -> T) -> T {
        use_it(&mut *self.lock())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, dyn State + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedState")
    }
}

/// A state in memory, for test cases and previews.
#[derive(Default)]
struct Remembered(BTreeMap<Bytes, Bytes>);

impl State for Remembered {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError> {
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        };
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, OperatorError> {
        let all = self.0.iter().skip_while(|(key, _)| &key[..] < from).take_while(|(key, _)| &key[..] < to);
        Ok(all.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
