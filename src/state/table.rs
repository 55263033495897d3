//! The newest value of each key of a topic.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::{MEMTABLE, Stores, millis, now, read_position, write_position};
use crate::{
    engine::Change,
    operator::{OperatorError, Table},
    record::Offset,
};

/// What comes before the number of a partition, under which its position is.
const POSITIONS: u8 = 0;
/// What comes before the keys of entries, which may begin with anything.
const ENTRY: u8 = 1;

/// The newest value of each key of a topic, as far as it is read.
pub struct StoredTable {
    topic: String,
    database: Database,
    keyspace: Keyspace,
    /// Whether the topic was read to its end once.
    is_complete: AtomicBool,
}

impl Stores {
    /// The table of a topic, with what was read of it before.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    pub fn table(&self, topic: &str) -> Result<Arc<StoredTable>, String> {
        let failed = |error: fjall::Error| {
            format!("the table {topic} cannot be read in {}: {error}", self.path.display())
        };
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
        let keyspace = self.database.keyspace(&format!("t-{topic}"), options).map_err(failed)?;
        let table = StoredTable {
            topic: topic.to_owned(),
            database: self.database.clone(),
            keyspace,
            is_complete: AtomicBool::new(false),
        };
        let positions = table.keyspace.range(vec![POSITIONS]..vec![ENTRY]);
        let oldest =
            positions.filter_map(|guard| read_position(&guard.into_inner().ok()?.1)).map(|(_, at)| at).min();
        // What is older may lack that a key has no value any more.
        if oldest.is_some_and(|at| now().saturating_sub(at) >= millis(self.tombstones)) {
            table.clear()?;
        }
        Ok(Arc::new(table))
    }
}

impl StoredTable {
    /// From where on a partition is not in it.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    pub fn position(&self, partition: i32) -> Result<Offset, String> {
        let kept = self.keyspace.get(position_of(partition)).map_err(|error| self.failed(&error))?;
        Ok(Offset(kept.as_deref().and_then(read_position).map_or(0, |(position, _)| position)))
    }

    /// Puts what was read of a partition before that offset into it.
    ///
    /// # Errors
    /// A sentence: it cannot be written.
    pub fn apply(
        &self,
        partition: i32,
        changes: impl Iterator<Item = Change>,
        position: Offset,
    ) -> Result<(), String> {
        let mut batch = self.database.batch();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, entry(&key), &value[..]),
                None => batch.remove(&self.keyspace, entry(&key)),
            }
        }
        batch.insert(&self.keyspace, position_of(partition), write_position(position));
        batch.commit().map_err(|error| self.failed(&error))
    }

    /// Forgets all of it.
    ///
    /// # Errors
    /// A sentence: it cannot be written.
    pub fn clear(&self) -> Result<(), String> {
        self.keyspace.clear().map_err(|error| self.failed(&error))
    }

    /// The topic is read to its end.
    pub fn is_read(&self) {
        self.is_complete.store(true, Relaxed);
    }

    fn failed(&self, error: &fjall::Error) -> String {
        format!("the table {} cannot be read or written: {error}", self.topic)
    }
}

impl Table for StoredTable {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError> {
        if !self.is_complete.load(Relaxed) {
            let message = format!("the table {} is not read to its end yet", self.topic);
            return Err(OperatorError::Away { message });
        }
        let value = self.keyspace.get(entry(key)).map_err(|error| self.failed(&error));
        let value = value.map_err(|message| OperatorError::Fatal { message })?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }
}

fn position_of(partition: i32) -> Vec<u8> {
    [&[POSITIONS][..], &partition.to_be_bytes()].concat()
}

fn entry(key: &[u8]) -> Vec<u8> {
    [&[ENTRY], key].concat()
}
