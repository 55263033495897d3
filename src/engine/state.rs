//! What operators remember of a partition's records: kept in a store of this machine, and written to a changelog topic in the transaction
//! of the results.
//!
//! What a chunk changes is seen by the next chunk at once, and is put into the store once it is committed. So the store never has what was
//! taken back. After a crash it may lack what was committed last: a lane that begins reads the changelog on from where the store is.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};

use crate::{
    operator::{OperatorError, State},
    record::{Batch, Offset, Record, ResultTopic, TopicPartition},
};

/// A key, and the value that it has from now on; `None` where it has none any more.
pub type Change = (Bytes, Option<Bytes>);

/// Is shown a key and its value, and says whether to go on.
pub type Show<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// The stores of all partitions.
pub trait StateStores: Send + Sync {
    /// The store of a partition, by its number. Whatever was opened for it before changes nothing any more.
    ///
    /// # Errors
    /// A sentence: it cannot be opened.
    fn open(&self, partition: i32) -> Result<Arc<dyn StateStore>, String>;

    /// The bytes that all of them take on the disk.
    fn size(&self) -> u64;
}

/// What is remembered of one partition, as it was committed.
pub trait StateStore: Send + Sync {
    /// From where on the changelog is not in it.
    fn position(&self) -> Offset;

    /// The value of a key, if there is one.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String>;

    /// Shows the entries from one key on and before another, in order, until it is told to stop.
    ///
    /// # Errors
    /// A sentence: they cannot be read.
    fn visit(&self, from: &[u8], to: &[u8], show: Show<'_>) -> Result<(), String>;

    /// Puts changes into it, which are those of the changelog before that offset: all of them, or none.
    ///
    /// # Errors
    /// A sentence: they cannot be written.
    fn apply(&self, changes: &mut dyn Iterator<Item = Change>, position: Offset) -> Result<(), String>;
}

/// Where operators remember what they do, and where it is written.
#[derive(Clone)]
pub struct StatePlan {
    /// The stores.
    pub stores: Arc<dyn StateStores>,
    /// The changelog topic.
    pub changelog: String,
    /// Which of the sink's topics that is.
    pub to: ResultTopic,
}

impl StatePlan {
    /// The changelog's partition of one of the source.
    pub fn changelog_of(&self, partition: &TopicPartition) -> TopicPartition {
        TopicPartition::new(self.changelog.as_str(), partition.partition)
    }
}

/// What a chunk has changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// One more than that of the chunk before that has changed something; the first one's is 1.
    pub number: u64,
    pub changes: Vec<Change>,
}

/// What is remembered of the records of one lane.
pub struct LaneState {
    store: Arc<dyn StateStore>,
    fresh: Mutex<Fresh>,
    /// Held while the store is changed, so that changes come there in their order.
    applying: Mutex<()>,
}

#[derive(Default)]
struct Fresh {
    /// What is not in the store yet, with the number of the chunk that has changed it last.
    entries: BTreeMap<Bytes, (u64, Option<Bytes>)>,
    /// How many chunks have changed something.
    chunks: u64,
    /// What is committed and not in the store yet, with the changelog's position after it.
    committed: VecDeque<(Changes, Offset)>,
    /// What went wrong when something was put into the store.
    failure: Option<String>,
}

impl fmt::Debug for LaneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneState")
    }
}

impl LaneState {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        LaneState { store, fresh: Mutex::default(), applying: Mutex::default() }
    }

    /// From where on the changelog has to be read.
    pub fn position(&self) -> Offset {
        self.store.position()
    }

    /// Puts what was read of the changelog into the store.
    ///
    /// # Errors
    /// A sentence: it cannot be written.
    pub fn restore(&self, batch: &Batch) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        let record = |index| batch.record(index);
        let mut changes = (0..batch.len()).filter_map(|index| {
            let Record { key, value, .. } = record(index);
            Some((key?, value))
        });
        self.store.apply(&mut changes, batch.offset(batch.len() - 1).next())
    }

    /// That is committed: it can be put into the store. It is that of the chunk that comes next: all that earlier ones have changed is
    /// there, or was committed before.
    pub fn commit(&self, changes: Changes, position: Offset) {
        self.lock().committed.push_back((changes, position));
    }

    /// What went wrong when something was put into the store.
    ///
    /// # Errors
    /// That.
    pub fn failure(&self) -> Result<(), String> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Puts what is committed into the store.
    pub fn apply(&self) {
        if let Err(reason) = self.try_to_apply() {
            self.lock().failure = Some(reason);
        }
    }

    fn try_to_apply(&self) -> Result<(), String> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let committed = std::mem::take(&mut self.lock().committed);
        let last = committed.back().map(|(changes, position)| (changes.number, *position));
        let Some((number, position)) = last else { return Ok(()) };
        self.store.apply(&mut committed.into_iter().flat_map(|(changes, _)| changes.changes), position)?;
        // One walk: that is far less than to look for each key, as most of what is here was just committed.
        self.lock().entries.retain(|_, (of, _)| *of > number);
        Ok(())
    }

    /// The value of a key, with all that is computed.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        if let Some((_, value)) = self.lock().entries.get(key) {
            return Ok(value.clone());
        }
        // It is in the store before it leaves that.
        self.store.get(key)
    }

    fn lock(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is remembered, as the records of one chunk see and change it.
pub struct ChunkState {
    lane: Arc<LaneState>,
    changes: BTreeMap<Bytes, Option<Bytes>>,
    /// What the record that is computed now has changed, and what was there before in `changes`.
    undo: Vec<(Bytes, Option<Option<Bytes>>)>,
}

impl ChunkState {
    pub fn new(lane: Arc<LaneState>) -> Self {
        ChunkState { lane, changes: BTreeMap::new(), undo: Vec::new() }
    }

    /// A record is computed, and what it has changed counts; or it has failed, and has changed nothing.
    pub fn end_record(&mut self, is_computed: bool) {
        if is_computed {
            return self.undo.clear();
        }
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(value) => self.changes.insert(key, value),
                None => self.changes.remove(&key),
            };
        }
    }

    /// The chunk is computed: the next one sees what it has changed. `None` where it has changed nothing.
    pub fn finish(&mut self) -> Option<Changes> {
        if self.changes.is_empty() {
            return None;
        }
        let changes = together(std::mem::take(&mut self.changes));
        let mut fresh = self.lane.lock();
        fresh.chunks += 1;
        let number = fresh.chunks;
        let entries = changes.iter().map(|(key, value)| (key.clone(), (number, value.clone())));
        fresh.entries.extend(entries);
        Some(Changes { number, changes })
    }

    /// What was changed and is not in the store yet, in a range.
    fn changed(&self, from: &[u8], to: &[u8]) -> BTreeMap<Bytes, Option<Bytes>> {
        let (from, to) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
        if from >= to {
            return BTreeMap::new();
        }
        let fresh = self.lane.lock();
        let of_lane = fresh.entries.range(from.clone()..to.clone());
        let mut changed: BTreeMap<Bytes, Option<Bytes>> =
            of_lane.map(|(key, (_, value))| (key.clone(), value.clone())).collect();
        let own = self.changes.range(from..to).map(|(key, value)| (key.clone(), value.clone()));
        changed.extend(own);
        changed
    }
}

/// The same, in one piece of memory: it is held in three places, and let go of by three threads.
fn together(changes: BTreeMap<Bytes, Option<Bytes>>) -> Vec<Change> {
    let value = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
    let mut all = BytesMut::with_capacity(changes.iter().map(|(key, of)| key.len() + value(of)).sum());
    let lengths: Vec<_> = changes
        .into_iter()
        .map(|(key, of)| {
            all.extend_from_slice(&key);
            all.extend_from_slice(of.as_deref().unwrap_or_default());
            (key.len(), of.map(|of| of.len()))
        })
        .collect();
    let mut left = all.freeze();
    lengths
        .into_iter()
        .map(|(key, value)| (left.split_to(key), value.map(|value| left.split_to(value))))
        .collect()
}

fn fatal(message: String) -> OperatorError {
    OperatorError::Fatal { message }
}

impl State for ChunkState {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, OperatorError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.lane.get(key).map_err(fatal),
        }
    }

    fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        let before = self.changes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, OperatorError> {
        // Before the store is looked into: what is taken out of here meanwhile is there.
        let changed = self.changed(from, to);
        let (mut left, mut found) = (changed.iter().peekable(), Vec::new());
        let take = |found: &mut Vec<_>, (key, value): (&Bytes, &Option<Bytes>)| {
            found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
        };
        let visited = self.lane.store.visit(from, to, &mut |key, value| {
            while let Some(next) = left.next_if(|(changed, _)| &changed[..] < key) {
                take(&mut found, next);
            }
            match left.next_if(|(changed, _)| &changed[..] == key) {
                // What the store has of it no longer counts.
                Some(next) => take(&mut found, next),
                None => found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))),
            }
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        visited.map_err(fatal)?;
        left.for_each(|next| take(&mut found, next));
        found.truncate(limit);
        Ok(found)
    }
}
