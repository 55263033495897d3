use sha2::{Digest, Sha256};

use super::*;
use crate::pieces::{self, Manifest, hex};
use crate::record::Record;

fn folder() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("file://{}/results", folder.path().display())).unwrap();
    (folder, store)
}

fn value(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into()
}

fn stored(value: &Bytes) -> (String, Manifest) {
    let stored =
        pieces::store(&Record { value: Some(value.clone()), ..Record::default() }, "text", 4_000).unwrap();
    (stored.object, Manifest::read(stored.manifest.value.as_deref().unwrap()).unwrap())
}

#[tokio::test]
async fn what_is_written_is_read_whole_and_in_ranges_whatever_its_size() {
    let (_folder, store) = folder();
    for size in [1, 1 << 20, (1 << 20) + 1, PART, 3 * PART + 5] {
        let value = value(size);
        let (object, manifest) = stored(&value);
        // Twice, as after a crash.
        for _ in 0..2 {
            store.put(&object, value.clone()).await.unwrap();
        }
        let (store, value) = (store.clone(), value.clone());
        let read = move || {
            let all: Result<Vec<Bytes>, _> = store.read(&object, manifest.clone(), manifest.all()).collect();
            assert_eq!(hex(&Sha256::digest(all.unwrap().concat())), manifest.sha256);
            let last = manifest.all().end - 1;
            let read: Result<Vec<Bytes>, _> = store.read(&object, manifest, last..last + 1).collect();
            assert_eq!(read.unwrap().concat(), value[last << 20..]);
        };
        tokio::task::spawn_blocking(read).await.unwrap();
    }
}

#[test]
fn an_object_that_is_not_there_is_said_so_at_once() {
    let (_folder, store) = folder();
    let (object, manifest) = stored(&value(5_000_000));
    let mut reader = store.read(&object, manifest.clone(), manifest.all());
    let said = reader.next().unwrap().unwrap_err().to_string();
    assert!(said.contains("is not in file:///") && said.ends_with(&object), "{said}");
    assert!(reader.next().is_none());
}

#[test]
fn an_address_that_is_none_is_refused_with_what_it_should_be() {
    for url in ["", "results", "http://localhost/x", "gs://bucket"] {
        let said = Store::open(url).unwrap_err();
        assert!(said.contains("neither `file:///` nor `s3://`"), "{said}");
    }
}
