//! The newest value of each key of a topic.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use lsm_tree::UserKey;

use super::{Folder, Stores, TopicCopy, Tree, now, read_position, tree::LONGEST_KEY, write_position};
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
    folder: Arc<Folder>,
    tree: Arc<Tree>,
    /// Whether the topic was read to its end once.
    is_complete: AtomicBool,
}

impl Stores {
    /// The table of a topic, with what was read of it before.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    pub fn table(&self, topic: &str) -> Result<Arc<StoredTable>, String> {
        let table = StoredTable {
            topic: topic.to_owned(),
            folder: self.folder.clone(),
            tree: self.folder.tree(&format!("table-{topic}"))?,
            is_complete: AtomicBool::new(false),
        };
        let mut is_too_old = false;
        let positions: (&[u8], &[u8]) = (&[POSITIONS], &[ENTRY]);
        table.tree.visit(positions, &mut |_, value| {
            is_too_old |= read_position(value).is_some_and(|(_, at)| self.folder.is_too_old(at));
            ControlFlow::Continue(())
        })?;
        if is_too_old {
            table.clear(0)?;
        }
        Ok(Arc::new(table))
    }
}

impl TopicCopy for StoredTable {
    fn position(&self, partition: i32) -> Result<Option<Offset>, String> {
        let kept = self.tree.get(&position_of(partition)).map_err(|error| self.failed(&error))?;
        let position = kept.as_deref().and_then(read_position);
        Ok(Some(Offset(position.map_or(0, |(position, _)| position))))
    }

    fn apply(&self, partition: i32, changes: Vec<(Offset, Change)>, position: Offset) -> Result<(), String> {
        let position = (position_of(partition), Some(write_position(position, now())));
        let changes =
            changes.into_iter().map(|(_, (key, value))| (entry(&key), value.map(|value| value[..].into())));
        let changes = changes.filter(|(key, _)| {
            let fits = key.len() <= LONGEST_KEY;
            if !fits {
                tracing::warn!(
                    table = self.topic,
                    partition,
                    "a record whose key is longer than 64 KiB is left out"
                );
            }
            fits
        });
        self.tree.change(changes.chain([position]));
        self.folder.write_if_due(&self.tree)
    }

    fn clear(&self, _: i32) -> Result<(), String> {
        self.tree.clear().map_err(|error| self.failed(&error))
    }

    fn is_read(&self) {
        self.is_complete.store(true, Relaxed);
    }
}

impl StoredTable {
    fn failed(&self, error: &str) -> String {
        format!("the table {} cannot be read or written: {error}", self.topic)
    }
}

impl Table for StoredTable {
    fn get(&self, key: &[u8], _: Option<i32>) -> Result<Option<Bytes>, OperatorError> {
        if !self.is_complete.load(Relaxed) {
            let message = format!("the table {} is not read to its end yet", self.topic);
            return Err(OperatorError::Away { message });
        }
        let key = entry(key);
        if key.len() > LONGEST_KEY {
            return Ok(None);
        }
        let value = self.tree.get(&key).map_err(|error| self.failed(&error));
        value.map_err(|message| OperatorError::Fatal { message })
    }
}

fn position_of(partition: i32) -> UserKey {
    [&[POSITIONS][..], &partition.to_be_bytes()].concat().into()
}

fn entry(key: &[u8]) -> UserKey {
    [&[ENTRY], key].concat().into()
}
