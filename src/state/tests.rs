use super::*;
use crate::operator::{OperatorError, Table};

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
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let entry =
        |entry: Result<(Bytes, Bytes), String>| entry.map(|(key, value)| text(&key) + "=" + &text(&value));
    store.range(b"", b"z").map(|next| entry(next).unwrap()).collect()
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
    let stores = open(folder.path());
    apply(&*stores.open(1).unwrap(), &[change("a", "1")], 5);
    drop(stores);
    std::thread::sleep(Duration::from_millis(5));
    let stores = Stores::open(folder.path(), "c", 16 << 20, Duration::from_millis(1)).unwrap();
    let store = stores.open(1).unwrap();
    assert_eq!((entries(&*store), store.position()), (vec![], Offset(0)));
}

#[test]
fn a_table_is_looked_into_once_it_is_read_and_has_a_position_for_each_partition() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path());
    let table = stores.table("customers").unwrap();
    // A key may begin with anything.
    table.apply(0, [change("a", "1"), change("\0", "zero")].into_iter(), Offset(4)).unwrap();
    table.apply(7, [change("b", "1"), change("a", "")].into_iter(), Offset(9)).unwrap();
    assert!(matches!(table.get(b"b"), Err(OperatorError::Away { .. })));
    drop((table, stores));
    let stores = open(folder.path());
    let table = stores.table("customers").unwrap();
    let positions = [0, 1, 7].map(|partition| table.position(partition).unwrap().0);
    assert_eq!(positions, [4, 0, 9]);
    table.is_read();
    let found = ["a", "b", "\0"].map(|key| table.get(key.as_bytes()).unwrap());
    assert_eq!(found, [None, Some("1".into()), Some("zero".into())]);
    table.clear().unwrap();
    assert_eq!((table.get(b"b").unwrap(), table.position(7).unwrap()), (None, Offset(0)));
}
