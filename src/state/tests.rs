use std::{collections::BTreeMap, ops::ControlFlow};

use bytes::Bytes;

use super::*;
use crate::{
    engine::Change,
    operator::{OperatorError, Table},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn open(folder: &Path) -> Stores {
    Stores::open(folder, "c", 16 << 20, DAY).unwrap()
}

fn change(key: &'static str, value: &'static str) -> Change {
    (key.into(), (!value.is_empty()).then(|| value.into()))
}

fn apply(store: &dyn StateStore, changes: &[Change], position: i64) {
    store.apply(&mut changes.iter().cloned(), Offset(position)).unwrap();
}

fn entries(store: &dyn StateStore) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut entries = Vec::new();
    let mut show = |key: &[u8], value: &[u8]| {
        entries.push(text(key) + "=" + &text(value));
        ControlFlow::Continue(())
    };
    store.visit(b"", b"z", &mut show).unwrap();
    entries
}

#[test]
fn what_was_applied_is_there_again_with_its_position_and_is_that_of_its_partition() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let (one, other) = (stores.open(1).unwrap(), stores.open(2).unwrap());
    apply(&*one, &[change("b", "1"), change("a", "1"), change("c", "1")], 5);
    apply(&*one, &[change("a", "2"), change("c", "")], 9);
    apply(&*other, &[change("a", "other")], 3);
    let identity = stores.identity();
    stores.save().unwrap();
    drop((one, other, stores));
    let stores = open(folder.path());
    let one = stores.open(1).unwrap();
    assert_eq!((entries(&*one), one.position()), (vec!["a=2".into(), "b=1".into()], Offset(9)));
    assert_eq!((one.get(b"a").unwrap(), one.get(b"c").unwrap()), (Some("2".into()), None));
    assert_eq!(stores.identity(), identity, "whoever has the directory has its number");
    assert!(stores.open(3).unwrap().get(b"a").unwrap().is_none());
}

#[test]
fn a_process_that_has_a_directory_has_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()), open(folder.path()));
    assert_eq!(one.path(), folder.path().join("c/0"));
    assert_eq!(other.path(), folder.path().join("c/1"));
    assert_ne!(one.identity(), other.identity());
    drop(one);
    assert_eq!(open(folder.path()).path(), folder.path().join("c/0"));
}

#[test]
fn a_store_that_was_opened_before_changes_nothing_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let before = stores.open(1).unwrap();
    apply(&*before, &[change("a", "1")], 5);
    let now = stores.open(1).unwrap();
    apply(&*now, &[change("a", "2")], 7);
    apply(&*before, &[change("a", "late")], 6);
    assert_eq!((entries(&*now), now.position()), (vec!["a=2".into()], Offset(7)));
    // A position that the broker has not said moves nothing back.
    apply(&*now, &[change("b", "1")], 0);
    assert_eq!(now.position(), Offset(7));
}

#[test]
fn what_is_older_than_the_tombstones_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::open(folder.path(), "c", 16 << 20, Duration::from_millis(1)).unwrap();
    apply(&*stores.open(1).unwrap(), &[change("a", "1")], 5);
    std::thread::sleep(Duration::from_millis(5));
    let store = stores.open(1).unwrap();
    assert_eq!((entries(&*store), store.position()), (vec![], Offset(0)));
}

/// What a process has kept of a partition, up to offset 5 at that time; nothing was written since that other time.
fn keep(directory: &Path, number: i32, at: SystemTime, written: SystemTime) {
    let path = directory.join(format!("partition-{number}"));
    let cache = Arc::new(Cache::with_capacity_bytes(1 << 20));
    let tree = Tree::open(&path, cache, Arc::new(DescriptorTable::new(FILES))).unwrap();
    let at = millis(at.duration_since(UNIX_EPOCH).unwrap());
    let position = (partition::POSITION.into(), Some(write_position(Offset(5), at)));
    tree.change([(b"a"[..].into(), Some(b"1"[..].into())), position].into_iter());
    tree.write_all().unwrap();
    drop(tree);
    File::open(path).unwrap().set_modified(written).unwrap();
}

#[test]
fn what_is_kept_of_a_partition_is_removed_at_the_start_once_it_is_older_than_the_tombstones() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("c/0");
    let (now, old) = (SystemTime::now(), SystemTime::now() - 2 * DAY);
    keep(&directory, 1, old, old);
    keep(&directory, 12, old, old);
    keep(&directory, 2, now, old);
    keep(&directory, 3, old, now);
    // A crash came between.
    fs::create_dir_all(directory.join("removed-partition-12/tables")).unwrap();
    fs::create_dir_all(directory.join("removed-partition-7/tables")).unwrap();
    let mut names = vec!["identity", "lock", "partition-2", "partition-3"];
    let stores = open(folder.path());
    assert_eq!(found(&directory), names);
    let kept = |number| {
        let store = stores.open(number).unwrap();
        (entries(&*store), store.position())
    };
    assert_eq!(kept(2), (vec!["a=1".into()], Offset(5)));
    assert_eq!(kept(1), (vec![], Offset(0)));
    // It is read anew all the same.
    assert_eq!(kept(3), (vec![], Offset(0)));
    names.insert(2, "partition-1");
    assert_eq!(found(&directory), names);
}

#[test]
fn what_is_no_partition_of_ours_stays() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("c/0");
    let old = SystemTime::now() - 2 * DAY;
    // Others have these names, or it is elsewhere.
    for (number, name) in [(1, "partition-01"), (2, "partition-2.bak"), (3, "table-partition-3")] {
        keep(&directory, number, old, old);
        fs::rename(directory.join(format!("partition-{number}")), directory.join(name)).unwrap();
    }
    keep(folder.path(), 4, old, old);
    std::os::unix::fs::symlink(folder.path().join("partition-4"), directory.join("partition-4")).unwrap();
    fs::create_dir_all(directory.join("partition-5")).unwrap();
    fs::write(directory.join("partition-5/notes"), "mine").unwrap();
    File::open(directory.join("partition-5")).unwrap().set_modified(old).unwrap();
    fs::write(directory.join("partition-6"), "mine").unwrap();
    fs::create_dir_all(directory.join("removed-orders")).unwrap();
    let mut before = found(&directory);
    drop(open(folder.path()));
    before.extend(["identity".to_owned(), "lock".to_owned()]);
    before.sort();
    assert_eq!(found(&directory), before);
    assert_eq!(found(&directory.join("partition-5")), ["notes"], "it is not made a partition either");
    assert!(found(&folder.path().join("partition-4")).contains(&"current".to_owned()));
}

#[test]
fn what_another_process_keeps_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let one = open(folder.path());
    let old = SystemTime::now() - 2 * DAY;
    keep(&folder.path().join("c/0"), 1, old, old);
    assert_eq!(open(folder.path()).path(), folder.path().join("c/1"));
    assert_eq!(found(one.path()), ["identity", "lock", "partition-1"]);
    drop(one);
    assert_eq!(found(open(folder.path()).path()), ["identity", "lock"]);
}

/// The names of what is in a folder, in order.
fn found(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_table_is_looked_into_once_it_is_read_and_has_a_position_for_each_partition() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let table = stores.table("customers").unwrap();
    // A key may begin with anything.
    let at = |change| (Offset(0), change);
    table.apply(0, vec![at(change("a", "1")), at(change("\0", "zero"))], Offset(4)).unwrap();
    table.apply(7, vec![at(change("b", "1")), at(change("a", ""))], Offset(9)).unwrap();
    assert!(matches!(table.get(b"b", None), Err(OperatorError::Away { .. })));
    stores.save().unwrap();
    drop((table, stores));
    let stores = open(folder.path());
    let table = stores.table("customers").unwrap();
    let positions = [0, 1, 7].map(|partition| table.position(partition).unwrap().unwrap().0);
    assert_eq!(positions, [4, 0, 9]);
    table.is_read();
    let found = ["a", "b", "\0"].map(|key| table.get(key.as_bytes(), None).unwrap());
    assert_eq!(found, [None, Some("1".into()), Some("zero".into())]);
    table.clear(0).unwrap();
    assert_eq!((table.get(b"b", None).unwrap(), table.position(7).unwrap()), (None, Some(Offset(0))));
}

#[test]
fn after_a_crash_a_store_is_as_it_was_written_last_with_the_position_of_that() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let one = stores.open(1).unwrap();
    apply(&*one, &[change("a", "1"), change("b", "1")], 5);
    stores.save().unwrap();
    apply(&*one, &[change("a", "2"), change("b", ""), change("c", "1")], 9);
    assert_eq!((entries(&*one), one.position()), (vec!["a=2".into(), "c=1".into()], Offset(9)));
    drop((one, stores));
    let one = open(folder.path()).open(1).unwrap();
    assert_eq!((entries(&*one), one.position()), (vec!["a=1".into(), "b=1".into()], Offset(5)));
}

#[test]
fn what_changes_often_is_written_before_too_much_of_it_is_only_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let one = stores.open(1).unwrap();
    for position in 1..=(2 * CHANGES as i64 / 1_000) {
        apply(&*one, &vec![change("a", "1"); 1_000], position);
    }
    drop((one, stores));
    let position = open(folder.path()).open(1).unwrap().position().0;
    assert!(position > CHANGES as i64 / 1_000, "{position}");
}

/// Whatever is changed, written, merged, lost and opened again: it is what a map would be.
#[test]
fn a_tree_is_a_map_that_a_crash_takes_back_to_when_it_was_written_last() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let cache = Arc::new(Cache::with_capacity_bytes(1 << 20));
        Arc::new(Tree::open(folder.path(), cache, Arc::new(DescriptorTable::new(FILES))).unwrap())
    };
    let mut random = fastrand::Rng::with_seed(7);
    let (mut tree, mut map) = (open(), BTreeMap::new());
    let mut written = map.clone();
    for step in 0..3_000 {
        match random.u32(..100) {
            0..80 => {
                let mut changes = BTreeMap::new();
                for _ in 0..random.usize(..50) {
                    // Some are longer than what lies in place, and some say nothing.
                    let key = format!("{}{:03}", "k".repeat(random.usize(..2) * 30), random.u32(..400));
                    let value = random.bool().then(|| format!("{step}").repeat(random.usize(..20)));
                    changes.insert(key, value);
                }
                tree.change(changes.iter().map(|(key, value)| {
                    (key.as_bytes().into(), value.as_ref().map(|value| value.as_bytes().into()))
                }));
                for (key, value) in changes {
                    match value {
                        Some(value) => map.insert(key, value),
                        None => map.remove(&key),
                    };
                }
            }
            80..90 => {
                tree.write_all().unwrap();
                written = map.clone();
            }
            90..95 => tree.merge().unwrap(),
            95..97 => {
                drop(tree);
                (tree, map) = (open(), written.clone());
            }
            97 if step % 10 == 0 => {
                tree.clear().unwrap();
                (map, written) = Default::default();
            }
            _ => {
                let (from, to) = (format!("{:03}", random.u32(..400)), format!("{:03}", random.u32(..400)));
                let limit = random.usize(1..20);
                let mut found = Vec::new();
                let mut show = |key: &[u8], value: &[u8]| {
                    found.push((key.to_vec(), value.to_vec()));
                    if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                tree.visit((from.as_bytes(), to.as_bytes()), &mut show).unwrap();
                let bytes =
                    |(key, value): (&String, &String)| (key.clone().into_bytes(), value.clone().into_bytes());
                let range =
                    if from < to { map.range(from..to).take(limit).map(bytes).collect() } else { vec![] };
                assert_eq!(found, range, "in step {step}");
            }
        }
        let key = format!("{:03}", random.u32(..400));
        let value = map.get(&key).map(|value| Bytes::copy_from_slice(value.as_bytes()));
        assert_eq!(tree.get(key.as_bytes()).unwrap(), value, "{key} in step {step}");
    }
}

#[test]
fn a_standby_keeps_up_to_date_what_no_lane_has_and_a_lane_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let at = |offset, change| (Offset(offset), change);
    let standby: &dyn TopicCopy = &stores;
    assert_eq!(standby.position(1).unwrap(), Some(Offset(0)));
    standby.apply(1, vec![at(0, change("a", "1")), at(1, change("b", "1"))], Offset(3)).unwrap();
    let lane = stores.open(1).unwrap();
    assert_eq!((entries(&*lane), lane.position()), (vec!["a=1".into(), "b=1".into()], Offset(3)));
    assert_eq!(standby.position(1).unwrap(), None, "a lane has it");
    standby.apply(1, vec![at(3, change("a", "late"))], Offset(4)).unwrap();
    apply(&*lane, &[change("a", "2")], 6);
    drop(lane);
    assert_eq!(standby.position(1).unwrap(), Some(Offset(6)));
    // What the lane has had already is read again, and does not count.
    standby.apply(1, vec![at(4, change("a", "old")), at(6, change("c", "1"))], Offset(8)).unwrap();
    let lane = stores.open(1).unwrap();
    let kept = vec!["a=2".to_owned(), "b=1".into(), "c=1".into()];
    assert_eq!((entries(&*lane), lane.position()), (kept, Offset(8)));
}
