//! What operators remember and look up, in a database of this machine (`fjall`): a directory for each process, and in it a keyspace for each
//! partition and each table.
//!
//! Nothing here has to be saved: topics have all of it. It is here so that it need not be read again.
//!
//! Knows: engine, operator, record. Must not know: rdkafka, config.

mod table;

use std::{
    collections::HashMap,
    env, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

pub use table::StoredTable;

use crate::{
    engine::{Change, StateStore, StateStores},
    record::Offset,
};

/// How many processes may have their directories beside each other.
const PROCESSES: usize = 64;
/// Where a partition's keyspace says how far it is: no key of an entry begins so.
const POSITION: &[u8] = &[u8::MAX];
/// The most bytes of changes of one partition that are not in a file of its own yet: so much is read of the journal after a crash.
const MEMTABLE: u64 = 4 << 20;
/// Less is no database.
const LEAST_JOURNAL: u64 = 64 << 20;

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

/// The stores of one pipeline's partitions, in one process.
pub struct Stores {
    database: Database,
    path: PathBuf,
    identity: u64,
    /// For how long the changelog keeps what says that a key has no value any more.
    tombstones: Duration,
    /// By partition: how often it was opened. Whoever changes something in it holds that.
    opened: Mutex<HashMap<i32, Arc<Mutex<u64>>>>,
}

impl Stores {
    /// Opens the first directory that no other process has, of those in the folder for the state of that name. `memory` is in bytes, and a
    /// changelog keeps tombstones that long.
    ///
    /// # Errors
    /// A sentence: none can be opened.
    pub fn open(folder: &Path, name: &str, memory: u64, tombstones: Duration) -> Result<Stores, String> {
        for number in 0..PROCESSES {
            let path = folder.join(name).join(number.to_string());
            let failed = |error: &dyn std::fmt::Display| {
                format!(
                    "the state cannot be kept in {}: {error}. Say another `state.folder`, or remove that one: the changelog topic has all of it",
                    path.display()
                )
            };
            fs::create_dir_all(&path).map_err(|error| failed(&error))?;
            #[expect(deprecated, reason = "it is the only bound of what is not in files yet")]
            let database = Database::builder(&path)
                .cache_size(memory / 2)
                .max_write_buffer_size(Some((memory / 2).max(1 << 20)))
                .max_journaling_size(LEAST_JOURNAL.max(memory))
                .worker_threads(1)
                .open();
            match database {
                Ok(database) => {
                    let identity = identity(&path).map_err(|error| failed(&error))?;
                    return Ok(Stores { database, path, identity, tombstones, opened: Mutex::default() });
                }
                Err(fjall::Error::Locked) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(format!("{PROCESSES} processes keep their state in {} already", folder.display()))
    }

    /// A number that belongs to the directory. As only one process has that at a time, it is the same one again after a crash.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl StateStores for Stores {
    fn open(&self, partition: i32) -> Result<Arc<dyn StateStore>, String> {
        let failed = |error: fjall::Error| {
            format!("the state of partition {partition} cannot be read in {}: {error}", self.path.display())
        };
        let mut opened = lock(&self.opened);
        let current = opened.entry(partition).or_default().clone();
        let number = {
            let mut current = lock(&current);
            *current += 1;
            *current
        };
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
        let keyspace = self.database.keyspace(&format!("p{partition}"), options).map_err(failed)?;
        let store =
            Store { database: self.database.clone(), keyspace, position: AtomicI64::new(0), current, number };
        let kept = store.keyspace.get(POSITION).map_err(failed)?;
        if let Some((position, at)) = kept.as_deref().and_then(read_position) {
            let age = now().saturating_sub(at);
            // What is older may lack that a key has no value any more.
            if age < millis(self.tombstones) {
                store.position.store(position, Relaxed);
            } else {
                tracing::info!(
                    partition,
                    hours = age / 3_600_000,
                    "what is remembered is older than the changelog's tombstones, and is read anew"
                );
                store.keyspace.clear().map_err(failed)?;
            }
        }
        Ok(Arc::new(store))
    }

    fn size(&self) -> u64 {
        // Where that cannot be said, work goes on.
        self.database.disk_space().unwrap_or_default()
    }
}

/// One partition's.
struct Store {
    database: Database,
    keyspace: Keyspace,
    position: AtomicI64,
    /// The number of the store that may change something: the last one that was opened.
    current: Arc<Mutex<u64>>,
    number: u64,
}

impl StateStore for Store {
    fn position(&self) -> Offset {
        Offset(self.position.load(Relaxed))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        let value = self.keyspace.get(key).map_err(|error| format!("the state cannot be read: {error}"))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn range<'a>(
        &'a self,
        from: &[u8],
        to: &[u8],
    ) -> Box<dyn Iterator<Item = Result<(Bytes, Bytes), String>> + 'a> {
        let entries = self.keyspace.range(from.to_vec()..to.to_vec());
        Box::new(entries.map(|guard| {
            let (key, value) =
                guard.into_inner().map_err(|error| format!("the state cannot be read: {error}"))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        }))
    }

    fn apply(&self, changes: &mut dyn Iterator<Item = Change>, position: Offset) -> Result<(), String> {
        let current = lock(&self.current);
        // The partition has come back meanwhile, and its new store reads this from the changelog.
        if *current != self.number {
            return Ok(());
        }
        // A broker does not always say where a record is.
        let position = position.max(self.position());
        let mut batch = self.database.batch();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, &key[..], &value[..]),
                None => batch.remove(&self.keyspace, &key[..]),
            }
        }
        batch.insert(&self.keyspace, POSITION, write_position(position));
        batch.commit().map_err(|error| format!("the state cannot be written: {error}"))?;
        self.position.store(position.0, Relaxed);
        Ok(())
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
fn write_position(position: Offset) -> Vec<u8> {
    [position.0.to_be_bytes(), now().to_be_bytes()].concat()
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
