//! What a folder has of partitions before any of them is opened: how far each is, and whether it is too old to be of use.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lsm_tree::{Cache, DescriptorTable};

use super::{FILES, Folder, Stores, Tree, partition::kept_position};
use crate::record::Offset;

/// What stands before a directory's name while it is removed, so that a crash leaves nothing that is taken for a partition.
const REMOVED: &str = "removed-";

impl Stores {
    /// From where on the changelog is not in what is kept of each partition. For before any of them is opened.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    pub fn kept(&self) -> Result<Vec<(i32, Offset)>, String> {
        let mut kept = Vec::new();
        for name in directories(self.path()).unwrap_or_default() {
            let path = self.path().join(&name);
            let Some(partition) = partition(&name).filter(|_| Tree::is_in(&path)) else { continue };
            let position = kept_position(&open(&path)?)?;
            kept.extend(position.map(|(position, _)| (partition, Offset(position))));
        }
        Ok(kept)
    }
}

impl Folder {
    /// Removes what is kept of partitions, where it is older than the topic's tombstones. For before any of them is opened.
    pub(super) fn remove_what_is_too_old(&self) {
        let (mut partitions, mut bytes) = (0_u32, 0_u64);
        for name in directories(&self.path).unwrap_or_default() {
            match self.remove_if_too_old(&name) {
                Ok(None) => {}
                Ok(Some(size)) => (partitions, bytes) = (partitions + 1, bytes + size),
                Err(error) => tracing::warn!(
                    folder = %self.path.join(name).display(),
                    error,
                    "it cannot be seen how old this is, or it cannot be removed; it stays"
                ),
            }
        }
        if partitions > 0 {
            tracing::info!(
                folder = %self.path.display(),
                partitions,
                bytes,
                "what was kept of these partitions is older than the changelog's tombstones, and is removed"
            );
        }
    }

    /// Returns how many bytes it had, where it was removed.
    fn remove_if_too_old(&self, name: &str) -> Result<Option<u64>, String> {
        let path = self.path.join(name);
        if name.strip_prefix(REMOVED).and_then(partition).is_some() {
            // It was too old when a process began to remove it, and did not come to the end.
            return fs::remove_dir_all(path).map(|()| None).map_err(|error| error.to_string());
        }
        // What was written lately need not be opened: it is looked at again at a later start.
        if partition(name).is_none() || !Tree::is_in(&path) || written_since(&path) < self.tombstones {
            return Ok(None);
        }
        let tree = open(&path)?;
        let Some((1.., at)) = kept_position(&tree)? else { return Ok(None) };
        if !self.is_too_old(at) {
            return Ok(None);
        }
        let size = tree.size();
        drop(tree);
        remove(&path, &self.path.join(format!("{REMOVED}{name}"))).map_err(|error| error.to_string())?;
        Ok(Some(size))
    }
}

fn directories(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A link is none.
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// The number of the partition whose directory has that name.
fn partition(name: &str) -> Option<i32> {
    let number = name.strip_prefix("partition-")?.parse().ok()?;
    (format!("partition-{number}") == name && number >= 0).then_some(number)
}

/// Opens a partition's tree for a look.
fn open(path: &Path) -> Result<Tree, String> {
    let (cache, files) = (Cache::with_capacity_bytes(1 << 20), DescriptorTable::new(FILES));
    Tree::open(path, Arc::new(cache), Arc::new(files))
        .map_err(|error| format!("what is kept in {} cannot be read: {error}", path.display()))
}

/// For how long nothing was written there. A clock that was set back makes it short.
fn written_since(path: &Path) -> Duration {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    written.ok().and_then(|written| SystemTime::now().duration_since(written).ok()).unwrap_or_default()
}

fn remove(path: &Path, meanwhile: &Path) -> io::Result<()> {
    if meanwhile.try_exists()? {
        fs::remove_dir_all(meanwhile)?;
    }
    fs::rename(path, meanwhile)?;
    fs::remove_dir_all(meanwhile)
}
