//! What operators remember and look up, in files of this machine (`lsm-tree`): a directory for each process, and in it one for each partition
//! and each table.
//!
//! Nothing here has to be saved: topics have all of it. It is here so that it need not be read again.
//!
//! Knows: engine, operator, pieces, record. Must not know: rdkafka.

mod finished;
mod kept;
mod own;
mod partition;
mod table;
mod tree;
mod writer;

use std::{
    collections::HashMap,
    env,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use lsm_tree::{Cache, DescriptorTable, UserValue};

pub use finished::FinishedResults;
pub use own::OwnTable;
use partition::Partition;
pub use table::StoredTable;
use tree::{Tree, Unwritten};
use writer::Writer;

use crate::{
    engine::{Change, StateStore, StateStores},
    record::Offset,
};

/// How many processes may have their directories beside each other.
const PROCESSES: usize = 64;
/// How often something may change, in all partitions, before it is written: so much is read of topics after a crash, in half a second.
const CHANGES: usize = 500_000;
/// How many files may be open.
const FILES: usize = 256;

/// The folder of all state where nothing else is said: `$XDG_STATE_HOME/pipeline`, or the same in `~/.local/state`.
///
/// # Errors
/// A sentence: neither is known.
pub fn state_folder() -> Result<PathBuf, String> {
    let own = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = own("XDG_STATE_HOME").or_else(|| own("HOME").map(|home| home.join(".local/state")));
    let folder =
        folder.ok_or("neither XDG_STATE_HOME nor HOME says where state can be kept: say `state.folder`")?;
    Ok(folder.join("pipeline"))
}

/// A copy of a topic, which whoever follows the topic keeps up to date.
pub trait TopicCopy: Send + Sync {
    /// From where on a partition is not in it; `None` while another one keeps that up to date.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    fn position(&self, partition: i32) -> Result<Option<Offset>, String>;

    /// Puts what was read of a partition before that offset into it: nothing, where nothing came.
    ///
    /// # Errors
    /// A sentence: it cannot be written.
    fn apply(&self, partition: i32, changes: Vec<(Offset, Change)>, position: Offset) -> Result<(), String>;

    /// The topic was made again: forgets what it has of that partition, or all.
    ///
    /// # Errors
    /// A sentence: it cannot be written.
    fn clear(&self, partition: i32) -> Result<(), String>;

    /// A partition is read to its end.
    fn is_read_of(&self, _partition: i32) {}

    /// All partitions are.
    fn is_read(&self) {}

    /// What a record of the topic changes in it, if anything: the value of its key.
    fn change(&self, record: &Followed<'_>) -> Option<Change> {
        let copied = Bytes::copy_from_slice;
        Some((copied(record.key?), record.value.map(copied)))
    }

    /// The first offset that a partition of the topic still has. It is told now and then.
    fn begins(&self, _partition: i32, _offset: Offset) {}
}

/// A record of a topic that is followed.
pub struct Followed<'a> {
    /// The number of its partition.
    pub partition: i32,
    /// Where it is there.
    pub offset: Offset,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` where it is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl Followed<'_> {
    /// The value of the last header of that name.
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|(header, _)| *header == name).map(|(_, value)| *value)
    }
}

/// The stores of one pipeline's partitions, and its tables, in one process.
pub struct Stores {
    folder: Arc<Folder>,
    identity: u64,
    partitions: Mutex<HashMap<i32, Arc<Partition>>>,
}

/// A directory that only this process has.
struct Folder {
    path: PathBuf,
    /// In bytes.
    memory: usize,
    /// For how long a topic keeps what says that a key has no value any more.
    tombstones: Duration,
    cache: Arc<Cache>,
    files: Arc<DescriptorTable>,
    trees: Mutex<Vec<Arc<Tree>>>,
    writer: Writer,
    /// Held as long as this is; what writes has ended before.
    _lock: File,
}

impl Stores {
    /// Opens the first directory that no other process has, of those in the folder for the state of that name. `memory` is in bytes, and a
    /// changelog keeps tombstones that long: what is kept of partitions and is older is removed.
    ///
    /// # Errors
    /// A sentence: none can be opened.
    pub fn open(folder: &Path, name: &str, memory: u64, tombstones: Duration) -> Result<Stores, String> {
        for number in 0..PROCESSES {
            let path = folder.join(name).join(number.to_string());
            let failed = |error: io::Error| {
                format!(
                    "the state cannot be kept in {}: {error}. Say another `state.folder`, or remove that one: the changelog topic has all of it",
                    path.display()
                )
            };
            fs::create_dir_all(&path).map_err(failed)?;
            let lock = File::create(path.join("lock")).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            let identity = identity(&path).map_err(failed)?;
            let writer = Writer::start().map_err(failed)?;
            let folder = Folder {
                path,
                memory: usize::try_from(memory).unwrap_or(usize::MAX),
                tombstones,
                cache: Arc::new(Cache::with_capacity_bytes(memory / 2)),
                files: Arc::new(DescriptorTable::new(FILES)),
                trees: Mutex::default(),
                writer,
                _lock: lock,
            };
            folder.remove_what_is_too_old();
            return Ok(Stores { folder: Arc::new(folder), identity, partitions: Mutex::default() });
        }
        Err(format!("{PROCESSES} processes keep their state in {} already", folder.display()))
    }

    /// A number that belongs to the directory. As only one process has that at a time, it is the same one again after a crash.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Writes all that is only in memory, so that nothing has to be read of topics when a process opens this next. Blocks.
    ///
    /// # Errors
    /// A sentence: it could not be written.
    pub fn save(&self) -> Result<(), String> {
        let trees = lock(&self.folder.trees).clone();
        trees.iter().try_for_each(|tree| tree.write_all()).map_err(|error| {
            format!("what operators remember could not be written to {}: {error}", self.path().display())
        })
    }
}

impl Stores {
    fn partition(&self, number: i32) -> Result<Arc<Partition>, String> {
        let mut partitions = lock(&self.partitions);
        if let Some(opened) = partitions.get(&number) {
            return Ok(opened.clone());
        }
        let opened = Partition::open(&self.folder, number, &format!("partition-{number}"))?;
        Ok(partitions.entry(number).or_insert(opened).clone())
    }
}

/// A standby: what is remembered of partitions that other workers have is kept up to date too.
impl TopicCopy for Stores {
    fn position(&self, partition: i32) -> Result<Option<Offset>, String> {
        self.partition(partition)?.position_of_standby()
    }

    fn apply(&self, partition: i32, changes: Vec<(Offset, Change)>, position: Offset) -> Result<(), String> {
        self.partition(partition)?.apply_as_standby(changes, position)
    }

    fn clear(&self, partition: i32) -> Result<(), String> {
        self.partition(partition)?.clear()
    }
}

impl StateStores for Stores {
    fn open(&self, partition: i32) -> Result<Arc<dyn StateStore>, String> {
        Ok(Arc::new(self.partition(partition)?.store()?))
    }

    fn size(&self) -> u64 {
        lock(&self.folder.trees).iter().map(|tree| tree.size()).sum()
    }
}

impl Folder {
    fn tree(&self, name: &str) -> Result<Arc<Tree>, String> {
        let path = self.path.join(name);
        let tree = Tree::open(&path, self.cache.clone(), self.files.clone());
        let tree = Arc::new(tree.map_err(|error| {
            format!(
                "what is kept in {} cannot be read: {error}. Remove it: topics have all of it",
                path.display()
            )
        })?);
        lock(&self.trees).push(tree.clone());
        Ok(tree)
    }

    /// Has a tree written, where too much of it is only in memory. Waits where that is still under way and even more has changed.
    ///
    /// # Errors
    /// A sentence: it could not be written the last time.
    fn write_if_due(&self, tree: &Arc<Tree>) -> Result<(), String> {
        let trees = lock(&self.trees).len().max(1);
        let most = Unwritten { bytes: self.memory / 4 / trees, changes: CHANGES / trees };
        let due = tree.should_write(&most).map_err(|error| {
            format!("what operators remember cannot be written to {}: {error}", self.path.display())
        })?;
        if due {
            self.writer.write(tree.clone());
        }
        Ok(())
    }

    /// Whether what was known at that time may lack that a key has no value any more.
    fn is_too_old(&self, at: u64) -> bool {
        now().saturating_sub(at) >= millis(self.tombstones)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a directory, which it gets when it is new.
fn identity(path: &Path) -> io::Result<u64> {
    let file = path.join("identity");
    match fs::read_to_string(&file).ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok()) {
        Some(identity) => Ok(identity),
        None => {
            let identity = fastrand::u64(..);
            fs::write(file, format!("{identity:016x}\n"))?;
            Ok(identity)
        }
    }
}

/// A position, and when it was reached.
fn write_position(position: Offset, at: u64) -> UserValue {
    [position.0.to_be_bytes(), at.to_be_bytes()].concat().into()
}

fn read_position(bytes: &[u8]) -> Option<(i64, u64)> {
    let (position, at) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*position), u64::from_be_bytes(*at.first_chunk()?)))
}

/// In milliseconds since 1970 UTC.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
