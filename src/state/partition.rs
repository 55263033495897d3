//! What operators remember of the records of one partition.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{Folder, Tree, lock, now, read_position, write_position};
use crate::{
    engine::{Change, Show, StateStore},
    record::Offset,
};

/// Where a partition's tree says how far it is: no key of an entry begins so.
pub(super) const POSITION: &[u8] = &[u8::MAX];

/// How far a partition's tree is, and when it came there; `None` where it says nothing of it.
pub(super) fn kept_position(tree: &Tree) -> Result<Option<(i64, u64)>, String> {
    Ok(tree.get(POSITION)?.as_deref().and_then(read_position))
}

pub(super) struct Partition {
    number: i32,
    folder: Arc<Folder>,
    tree: Arc<Tree>,
    current: Mutex<Current>,
}

/// How far it is, and who may change it.
#[derive(Default)]
struct Current {
    position: i64,
    /// When that was reached, in milliseconds since 1970 UTC.
    at: u64,
    /// How many stores were opened.
    stores: u64,
    /// The number of the last one, until that is gone.
    store: Option<u64>,
}

impl Partition {
    /// The partition that has a directory of that name.
    pub(super) fn open(folder: &Arc<Folder>, number: i32, name: &str) -> Result<Arc<Self>, String> {
        let tree = folder.tree(name)?;
        let (position, at) = kept_position(&tree)?.unwrap_or_default();
        let current = Mutex::new(Current { position, at, ..Current::default() });
        Ok(Arc::new(Partition { number, folder: folder.clone(), tree, current }))
    }

    /// A store of it; those before it change nothing any more.
    pub(super) fn store(self: &Arc<Self>) -> Result<Store, String> {
        let mut current = lock(&self.current);
        self.forget_what_is_too_old(&mut current)?;
        current.stores += 1;
        current.store = Some(current.stores);
        Ok(Store { number: current.stores, partition: self.clone() })
    }

    /// From where on it has to be read; `None` while it has a store, which is up to date.
    pub(super) fn position_of_standby(&self) -> Result<Option<Offset>, String> {
        let mut current = lock(&self.current);
        if current.store.is_some() {
            return Ok(None);
        }
        self.forget_what_is_too_old(&mut current)?;
        Ok(Some(Offset(current.position)))
    }

    /// Puts records of the changelog into it, unless it has a store meanwhile.
    pub(super) fn apply_as_standby(
        &self,
        changes: Vec<(Offset, Change)>,
        position: Offset,
    ) -> Result<(), String> {
        let mut current = lock(&self.current);
        if current.store.is_some() {
            return Ok(());
        }
        let from = current.position;
        let mut fresh = changes.into_iter().filter(|(offset, _)| offset.0 >= from).map(|(_, change)| change);
        self.change(&mut current, &mut fresh, position);
        drop(current);
        self.folder.write_if_due(&self.tree)
    }

    /// The value of a key, as far as it is read.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.tree.get(key)
    }

    /// Forgets all of it.
    pub(super) fn clear(&self) -> Result<(), String> {
        let mut current = lock(&self.current);
        current.position = 0;
        self.tree.clear()
    }

    /// What is older may lack that a key has no value any more.
    fn forget_what_is_too_old(&self, current: &mut Current) -> Result<(), String> {
        if current.position > 0 && self.folder.is_too_old(current.at) {
            tracing::info!(
                partition = self.number,
                "what is remembered is older than the changelog's tombstones, and is read anew"
            );
            self.tree.clear()?;
            current.position = 0;
        }
        Ok(())
    }

    fn change(&self, current: &mut Current, changes: &mut dyn Iterator<Item = Change>, position: Offset) {
        // A broker does not always say where a record is.
        current.position = position.0.max(current.position);
        current.at = now();
        let position = (POSITION.into(), Some(write_position(Offset(current.position), current.at)));
        let changes = changes.map(|(key, value)| (key[..].into(), value.map(|value| value[..].into())));
        self.tree.change(changes.chain([position]));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let mut current = lock(&self.partition.current);
        if current.store == Some(self.number) {
            current.store = None;
        }
    }
}

pub(super) struct Store {
    partition: Arc<Partition>,
    number: u64,
}

impl StateStore for Store {
    fn position(&self) -> Offset {
        Offset(lock(&self.partition.current).position)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.partition.tree.get(key)
    }

    fn visit(&self, from: &[u8], to: &[u8], show: Show<'_>) -> Result<(), String> {
        self.partition.tree.visit((from, to), show)
    }

    fn apply(&self, changes: &mut dyn Iterator<Item = Change>, position: Offset) -> Result<(), String> {
        let mut current = lock(&self.partition.current);
        // The partition has come back meanwhile, and its new store reads this from the changelog.
        if current.store != Some(self.number) {
            return Ok(());
        }
        self.partition.change(&mut current, changes, position);
        drop(current);
        self.partition.folder.write_if_due(&self.partition.tree)
    }
}
