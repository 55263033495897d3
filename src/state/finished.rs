//! Finished results of a topic, under what they are the results of, as many as the disk has room for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lsm_tree::UserKey;

use super::{Folder, Followed, Stores, TopicCopy, Tree, lock, now, read_position, write_position};
use crate::{
    engine::Change,
    operator::{MANIFEST_OF, OperatorError, Table, WHOLE},
    pieces::{Manifest, Place},
    record::{FINISHED, MANIFEST, Offset, PIECE},
};

/// What comes before the number of a partition, under which its position is.
const POSITIONS: u8 = 0;
/// What comes before the keys of results.
const RESULT: u8 = 1;
/// Under which key a tree says how many were begun before it.
const AGE: &[u8] = &[2];

/// What of a topic is finished. There are two trees: once the newer one has half of the disk, the older one is emptied and is the newer
/// one from then on. So nothing has to be sorted by age, and what is popular is computed again once in a while.
pub struct FinishedResults {
    topic: String,
    folder: Arc<Folder>,
    /// The newer one first.
    trees: Mutex<[Arc<Tree>; 2]>,
    /// In bytes.
    disk: u64,
    /// Where partitions of the topic begin.
    begins: Mutex<HashMap<i32, Offset>>,
}

impl Stores {
    /// The finished results of a topic, in at most about so many bytes of the disk.
    ///
    /// # Errors
    /// A sentence: they cannot be read.
    pub fn finished(&self, topic: &str, disk: u64) -> Result<Arc<FinishedResults>, String> {
        let open = |half| self.folder.tree(&format!("finished-{topic}-{half}"));
        let mut trees = [open(0)?, open(1)?];
        if age(&trees[1])? > age(&trees[0])? {
            trees.swap(0, 1);
        }
        Ok(Arc::new(FinishedResults {
            topic: topic.to_owned(),
            folder: self.folder.clone(),
            trees: Mutex::new(trees),
            disk,
            begins: Mutex::default(),
        }))
    }
}

impl TopicCopy for FinishedResults {
    fn position(&self, partition: i32) -> Result<Option<Offset>, String> {
        let mut position = 0;
        for tree in self.trees() {
            let kept = tree.get(&position_of(partition)).map_err(|error| self.failed(&error))?;
            position =
                position.max(kept.as_deref().and_then(read_position).map_or(0, |(position, _)| position));
        }
        Ok(Some(Offset(position)))
    }

    fn apply(&self, partition: i32, changes: Vec<(Offset, Change)>, position: Offset) -> Result<(), String> {
        // Only this changes them, and whoever looks something up need not wait for the disk.
        let trees = self.trees();
        let mut fresh = Vec::with_capacity(changes.len() + 1);
        for (_, (key, value)) in changes {
            // Those that are computed at the same time by several.
            if self.find(&key)?.is_none() {
                fresh.push((key[..].into(), value.map(|value| value[..].into())));
            }
        }
        fresh.push((position_of(partition), Some(write_position(position, now()))));
        let [newer, older] = &trees;
        newer.change(fresh.into_iter());
        self.folder.write_if_due(newer)?;
        if newer.size() > self.disk / 2 {
            let age = age(newer).map_err(|error| self.failed(&error))? + 1;
            older.clear().map_err(|error| self.failed(&error))?;
            older.change([(AGE.into(), Some(age.to_be_bytes().into()))].into_iter());
            lock(&self.trees).swap(0, 1);
        }
        Ok(())
    }

    fn clear(&self, _: i32) -> Result<(), String> {
        self.trees().iter().try_for_each(|tree| tree.clear()).map_err(|error| self.failed(&error))
    }

    fn change(&self, record: &Followed<'_>) -> Option<Change> {
        let (of, value) = (record.header(FINISHED)?, record.value?);
        if record.header(PIECE).is_some() {
            return None;
        }
        let is_manifest = record.header(MANIFEST).is_some();
        // What a manifest names is there as long as this is: its first piece, or, where that is an object, the manifest.
        let needs = match is_manifest.then(|| Manifest::read(value)) {
            None => record.offset,
            Some(Ok(Manifest { place: Place::Topic(pieces), .. })) => Offset(*pieces.offsets.first()?),
            Some(Ok(Manifest { place: Place::Store { .. }, .. })) => record.offset,
            Some(Err(_)) => return None,
        };
        let mut kept = BytesMut::with_capacity(13 + value.len());
        kept.put_i32(record.partition);
        kept.put_i64(needs.0);
        kept.put_u8(if is_manifest { MANIFEST_OF } else { WHOLE });
        kept.put_slice(value);
        Some(([&[RESULT], of].concat().into(), Some(kept.freeze())))
    }

    fn begins(&self, partition: i32, offset: Offset) {
        lock(&self.begins).insert(partition, offset);
    }
}

impl FinishedResults {
    fn failed(&self, error: &str) -> String {
        format!("the finished results of {} cannot be read or written: {error}", self.topic)
    }

    fn trees(&self) -> [Arc<Tree>; 2] {
        lock(&self.trees).clone()
    }

    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        for tree in self.trees() {
            let kept = tree.get(key).map_err(|error| self.failed(&error))?;
            if let Some(kept) = kept.and_then(|kept| self.still_there(kept)) {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// What was kept, unless the topic no longer has what it names.
    fn still_there(&self, mut kept: Bytes) -> Option<Bytes> {
        if kept.len() < 13 {
            return None;
        }
        let (partition, needs) = (kept.get_i32(), Offset(kept.get_i64()));
        let is_there = || lock(&self.begins).get(&partition).is_some_and(|begin| *begin <= needs);
        (kept[0] == WHOLE || is_there()).then_some(kept)
    }
}

impl Table for FinishedResults {
    fn get(&self, key: &[u8], _: Option<i32>) -> Result<Option<Bytes>, OperatorError> {
        let key = [&[RESULT], key].concat();
        self.find(&key).map_err(|message| OperatorError::Fatal { message })
    }
}

fn age(tree: &Tree) -> Result<u64, String> {
    let kept = tree.get(AGE)?;
    Ok(kept.and_then(|kept| kept[..].try_into().ok()).map_or(0, u64::from_be_bytes))
}

fn position_of(partition: i32) -> UserKey {
    [&[POSITIONS][..], &partition.to_be_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::engine::StateStores;

    fn open(folder: &Path) -> Stores {
        Stores::open(folder, "c", 8 << 20, Duration::from_secs(24 * 3_600)).unwrap()
    }

    /// A record of the results.
    fn result<'a>(offset: i64, value: &'a [u8], headers: &[(&'a str, &'a [u8])]) -> Followed<'a> {
        Followed {
            partition: 1,
            offset: Offset(offset),
            key: None,
            value: Some(value),
            headers: headers.to_vec(),
        }
    }

    fn keep(results: &FinishedResults, record: &Followed<'_>) {
        let change = results.change(record).map(|change| (record.offset, change));
        results.apply(record.partition, change.into_iter().collect(), record.offset.next()).unwrap();
    }

    #[test]
    fn finished_results_are_found_by_what_they_are_the_results_of() {
        let folder = tempfile::tempdir().unwrap();
        let stores = open(folder.path());
        let results = stores.finished("results", 1 << 30).unwrap();
        results.begins(1, Offset(0));
        keep(&results, &result(4, b"5;120", &[(FINISHED, b"5")]));
        keep(&results, &result(5, b"6;720", &[]));
        keep(&results, &result(6, b"7;50", &[(FINISHED, b"7"), (PIECE, b"id/0")]));
        keep(&results, &result(7, b"5;one more", &[(FINISHED, b"5")]));
        let all =
            |results: &FinishedResults| ["5", "6", "7"].map(|n| results.get(n.as_bytes(), None).unwrap());
        assert_eq!(all(&results), [Some("\x005;120".into()), None, None], "6 was known, and 7 is a part");
        stores.save().unwrap();
        drop((results, stores));
        let stores = open(folder.path());
        let results = stores.finished("results", 1 << 30).unwrap();
        assert_eq!(all(&results), [Some("\x005;120".into()), None, None]);
        assert_eq!(results.position(1).unwrap(), Some(Offset(8)));
    }

    #[test]
    fn a_finished_result_that_is_elsewhere_is_known_for_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let results = open(folder.path()).finished("results", 1 << 30).unwrap();
        let hash = "0".repeat(64);
        let pieces = format!(
            r#"{{"id":"r-0-1-a","format":"text","bytes":25,"piece_bytes":10,"sha256":"{hash}","partition":1,"pieces":3,"offsets":[4,5,9]}}"#
        );
        let object = format!(r#"{{"format":"text","bytes":25,"sha256":"{hash}","object":"{hash}"}}"#);
        let manifest = |n: &'static [u8]| [(FINISHED, n), (MANIFEST, &b"1"[..])];
        keep(&results, &result(10, pieces.as_bytes(), &manifest(b"70")));
        keep(&results, &result(11, object.as_bytes(), &manifest(b"71")));
        keep(&results, &result(12, b"no manifest", &manifest(b"72")));
        let known = |begin: Option<i64>| {
            begin.into_iter().for_each(|begin| results.begins(1, Offset(begin)));
            ["70", "71", "72"].map(|n| results.get(n.as_bytes(), None).unwrap().is_some())
        };
        assert_eq!(known(None), [false; 3], "nobody has said yet where the topic begins");
        assert_eq!(known(Some(4)), [true, true, false]);
        assert_eq!(&results.get(b"70", None).unwrap().unwrap()[1..], pieces.as_bytes());
        assert_eq!(known(Some(5)), [false, true, false], "its first piece is gone");
        assert_eq!(known(Some(12)), [false; 3]);
        let again = pieces.replace("[4,5,9]", "[14,15,16]");
        keep(&results, &result(17, again.as_bytes(), &manifest(b"70")));
        assert_eq!(
            &results.get(b"70", None).unwrap().unwrap()[1..],
            again.as_bytes(),
            "it was computed once more"
        );
    }

    #[test]
    fn finished_results_take_no_more_of_the_disk_than_they_may() {
        const DISK: u64 = 8 << 20;
        let folder = tempfile::tempdir().unwrap();
        let mut last = 0;
        for round in 0..3 {
            let stores = open(folder.path());
            let results = stores.finished("results", DISK).unwrap();
            for n in round * 300..(round + 1) * 300_u32 {
                let mut value = n.to_be_bytes().to_vec();
                // Files are compressed.
                value.extend((0..100_000).map(|_| fastrand::u8(..)));
                keep(&results, &result(n.into(), &value, &[(FINISHED, n.to_string().as_bytes())]));
                // What is in memory when a tree is full comes on top: four megabytes each, where the disk is slow.
                assert!(stores.size() <= DISK + (8 << 20), "{n}: {}", stores.size());
                last = n;
            }
            let known: Vec<u32> = (0..=last)
                .filter(|n| results.get(n.to_string().as_bytes(), None).unwrap().is_some())
                .collect();
            let first = known[0];
            assert_eq!(known, (first..=last).collect::<Vec<_>>(), "the latest ones are there");
            assert!((30..=170).contains(&known.len()), "{}", known.len());
            for n in known {
                assert_eq!(
                    results.get(n.to_string().as_bytes(), None).unwrap().unwrap()[1..5],
                    n.to_be_bytes()
                );
            }
            stores.save().unwrap();
        }
    }
}
