//! Of a topic that has its keys in the same partitions as the source: what those partitions have that are asked for here.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::{Folder, Followed, Partition, Stores, TopicCopy, lock, tree::LONGEST_KEY};
use crate::{
    engine::Change,
    operator::{OperatorError, Table},
    record::Offset,
};

/// What comes before all keys, so that none is that of the position.
const ENTRY: u8 = 1;

/// The newest value of each key of those partitions of a topic that records were looked up for. A partition is read once the first record
/// of the source's partition with its number comes, which waits for it, and is followed from then on.
pub struct OwnTable {
    topic: String,
    folder: Arc<Folder>,
    partitions: Mutex<HashMap<i32, Own>>,
}

struct Own {
    kept: Arc<Partition>,
    /// Whether it was read to its end once.
    is_complete: bool,
}

impl Stores {
    /// The table of a topic of which only some partitions are wanted here.
    pub fn own_table(&self, topic: &str) -> Arc<OwnTable> {
        Arc::new(OwnTable {
            topic: topic.to_owned(),
            folder: self.folder.clone(),
            partitions: Mutex::default(),
        })
    }
}

impl OwnTable {
    fn kept(&self, partition: i32) -> Option<Arc<Partition>> {
        lock(&self.partitions).get(&partition).map(|own| own.kept.clone())
    }

    fn fatal(&self, error: &str) -> OperatorError {
        OperatorError::Fatal {
            message: format!("the table {} cannot be read or written: {error}", self.topic),
        }
    }
}

impl TopicCopy for OwnTable {
    fn position(&self, partition: i32) -> Result<Option<Offset>, String> {
        self.kept(partition).map_or(Ok(None), |kept| kept.position_of_standby())
    }

    fn apply(&self, partition: i32, changes: Vec<(Offset, Change)>, position: Offset) -> Result<(), String> {
        self.kept(partition).map_or(Ok(()), |kept| kept.apply_as_standby(changes, position))
    }

    fn clear(&self, partition: i32) -> Result<(), String> {
        self.kept(partition).map_or(Ok(()), |kept| kept.clear())
    }

    fn is_read_of(&self, partition: i32) {
        lock(&self.partitions).get_mut(&partition).into_iter().for_each(|own| own.is_complete = true);
    }

    fn change(&self, record: &Followed<'_>) -> Option<Change> {
        let key = record.key.filter(|key| key.len() < LONGEST_KEY)?;
        Some((entry(key), record.value.map(Bytes::copy_from_slice)))
    }
}

impl Table for OwnTable {
    fn get(&self, key: &[u8], beside: Option<i32>) -> Result<Option<Bytes>, OperatorError> {
        let Some(number) = beside else { return Ok(None) };
        let mut partitions = lock(&self.partitions);
        if let Some(own) = partitions.get(&number).filter(|own| own.is_complete) {
            let kept = own.kept.clone();
            drop(partitions);
            return kept.get(&entry(key)).map_err(|error| self.fatal(&error));
        }
        if let Entry::Vacant(place) = partitions.entry(number) {
            let name = format!("table-{}-partition-{number}", self.topic);
            let kept = Partition::open(&self.folder, number, &name).map_err(|error| self.fatal(&error))?;
            place.insert(Own { kept, is_complete: false });
        }
        let message = format!("partition {number} of the table {} is not read to its end yet", self.topic);
        Err(OperatorError::Away { message })
    }
}

fn entry(key: &[u8]) -> Bytes {
    [&[ENTRY], key].concat().into()
}
