//! What is kept under keys: files in a folder, and in memory what has changed since they were written.
//!
//! There is no journal. After a crash a tree is as its files are, each of which was written as a whole; what came after that is read from a
//! topic, so whoever changes a tree puts into it, with the changes, how far of the topic they are.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use lsm_tree::{
    AbstractTree, AnyTree, Cache, Config, DescriptorTable, Guard, SeqNo, SequenceNumberCounter, UserKey,
    UserValue, compaction,
};

use crate::engine::Show;

/// How many files of the newest changes may lie beside each other before they are merged into the others.
const LOOSE_FILES: u8 = 8;
/// What an entry takes in memory besides its own bytes.
const AROUND: usize = 96;
/// The most bytes of a key.
pub(super) const LONGEST_KEY: usize = u16::MAX as usize;
/// What is read is the newest of all.
const NEWEST: SeqNo = SeqNo::MAX;

/// Keys, and the values that they have from then on; `None` where they have none any more.
type Entries = BTreeMap<UserKey, Option<UserValue>>;

pub(super) struct Tree {
    files: AnyTree,
    /// What numbers the files.
    counter: SequenceNumberCounter,
    recent: Mutex<Recent>,
    written: Condvar,
}

#[derive(Default)]
struct Recent {
    /// What is in no file.
    changed: Entries,
    /// The bytes of that.
    bytes: usize,
    /// How often something of it has changed.
    changes: usize,
    /// What was changed before, and is being written, or was: it is still at hand, as most keys come again soon.
    before: Arc<Entries>,
    is_writing: bool,
    /// Why something could not be written.
    failure: Option<String>,
}

/// How much of a tree may be in no file.
pub(super) struct Unwritten {
    pub(super) bytes: usize,
    pub(super) changes: usize,
}

impl Tree {
    pub(super) fn open(
        folder: &Path,
        cache: Arc<Cache>,
        files: Arc<DescriptorTable>,
    ) -> Result<Self, String> {
        let counter = SequenceNumberCounter::default();
        let config = Config::new(folder, counter.clone(), SequenceNumberCounter::default());
        let parted = lsm_tree::config::PartitioningPolicy::all(true);
        // In parts, so that a look-up reads a few kilobytes where the cache has not all: a whole filter may have megabytes.
        let files = config
            .use_cache(cache)
            .use_descriptor_table(Some(files))
            .filter_block_partitioning_policy(parted.clone())
            .index_block_partitioning_policy(parted)
            .open();
        let files = files.map_err(|error| error.to_string())?;
        counter.fetch_max(files.get_highest_seqno().map_or(0, |highest| highest + 1));
        Ok(Tree { files, counter, recent: Mutex::default(), written: Condvar::new() })
    }

    /// Whether there is one in that folder: opened, any other would become one.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join("current").is_file()
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        let recent = self.lock();
        let known = recent.changed.get(key).or_else(|| recent.before.get(key));
        if let Some(value) = known {
            return Ok(value.as_deref().map(Bytes::copy_from_slice));
        }
        drop(recent);
        // It leaves memory only once it is in a file, so it is here.
        let value = self.files.get(key, NEWEST).map_err(|error| error.to_string())?;
        Ok(value.as_deref().map(Bytes::copy_from_slice))
    }

    /// Shows the entries from one key on and before another, in order, until it is told to stop.
    pub(super) fn visit(&self, (from, to): (&[u8], &[u8]), show: Show<'_>) -> Result<(), String> {
        if from >= to {
            return Ok(());
        }
        let recent = self.lock();
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut changed = recent.changed.range::<[u8], _>(bounds).peekable();
        let mut before = recent.before.range::<[u8], _>(bounds).peekable();
        let mut in_files = self.files.range(from..to, NEWEST, None).map(Guard::into_inner).peekable();
        loop {
            let of_files = match in_files.peek() {
                Some(Err(_)) => {
                    return in_files.next().map_or(Ok(()), |next| next.map(drop)).map_err(|e| e.to_string());
                }
                Some(Ok((key, _))) => Some(key.clone()),
                None => None,
            };
            let keys = [changed.peek().map(|(key, _)| *key), before.peek().map(|(key, _)| *key)];
            let Some(first) = keys.into_iter().flatten().chain(&of_files).min().cloned() else { break };
            // The newest one counts; the others are passed by.
            let newest = changed.next_if(|(key, _)| **key == first).map(|(_, value)| value.clone());
            let older = before.next_if(|(key, _)| **key == first).map(|(_, value)| value.clone());
            let oldest = in_files.next_if(|next| next.as_ref().is_ok_and(|(key, _)| *key == first));
            let oldest = oldest.and_then(Result::ok).map(|(_, value)| Some(value));
            if let Some(value) = newest.or(older).or(oldest).flatten()
                && show(&first, &value).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Makes changes: all of them are in one file later, or none is.
    pub(super) fn change(&self, changes: impl Iterator<Item = (UserKey, Option<UserValue>)>) {
        let mut recent = self.lock();
        for (key, value) in changes {
            let size = value.as_ref().map_or(0, |value| value.len());
            recent.changes += 1;
            recent.bytes += size;
            let length = key.len();
            match recent.changed.insert(key, value) {
                Some(before) => recent.bytes -= before.map_or(0, |value| value.len()),
                None => recent.bytes += AROUND + length,
            }
        }
    }

    /// Whether what has changed should be written now, by whoever calls [`write`](Tree::write) then. Waits while something is written already
    /// and too much has changed meanwhile.
    ///
    /// # Errors
    /// What was written last could not be.
    pub(super) fn should_write(&self, most: &Unwritten) -> Result<bool, String> {
        let is_over = |recent: &Recent, times: usize| {
            recent.bytes > most.bytes * times || recent.changes > most.changes * times
        };
        let recent = self.lock();
        let wait = |recent: &mut Recent| recent.is_writing && is_over(recent, 2);
        let mut recent = self.written.wait_while(recent, wait).unwrap_or_else(PoisonError::into_inner);
        recent.failure.clone().map_or(Ok(()), Err)?;
        if recent.is_writing || !is_over(&recent, 1) {
            return Ok(false);
        }
        begin(&mut recent);
        Ok(true)
    }

    /// Writes what should be written to a file.
    pub(super) fn write(&self) {
        let entries = self.lock().before.clone();
        let done = self.write_file(&entries);
        drop(entries);
        let mut recent = self.lock();
        recent.is_writing = false;
        recent.failure = done.err().map(|error| error.to_string());
        self.written.notify_all();
    }

    /// Writes all that has changed, once nobody else writes.
    ///
    /// # Errors
    /// It could not be written, or what was before that.
    pub(super) fn write_all(&self) -> Result<(), String> {
        let mut recent = self.idle();
        recent.failure.clone().map_or(Ok(()), Err)?;
        if recent.changed.is_empty() {
            return Ok(());
        }
        begin(&mut recent);
        drop(recent);
        self.write();
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    /// Merges files, where that is due.
    ///
    /// # Errors
    /// It could not be done.
    pub(super) fn merge(&self) -> Result<(), String> {
        let merge = compaction::Leveled::default().with_l0_threshold(LOOSE_FILES);
        self.files.compact(Arc::new(merge), self.counter.get()).map_err(|error| error.to_string())
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The files could not be taken away.
    pub(super) fn clear(&self) -> Result<(), String> {
        let mut recent = self.idle();
        *recent = Recent::default();
        self.files.clear().map_err(|error| error.to_string())
    }

    /// The bytes that it takes on the disk.
    pub(super) fn size(&self) -> u64 {
        self.files.disk_space()
    }

    fn write_file(&self, entries: &Entries) -> lsm_tree::Result<()> {
        let mut file = self.files.ingestion()?;
        for (key, value) in entries {
            match value {
                Some(value) => file.write(key.clone(), value.clone())?,
                None => file.write_tombstone(key.clone())?,
            }
        }
        file.finish()
    }

    fn idle(&self) -> MutexGuard<'_, Recent> {
        let wait = |recent: &mut Recent| recent.is_writing;
        self.written.wait_while(self.lock(), wait).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has changed is what will be written, and what was before that leaves memory.
fn begin(recent: &mut Recent) {
    recent.before = Arc::new(std::mem::take(&mut recent.changed));
    (recent.bytes, recent.changes, recent.is_writing) = (0, 0, true);
}
