//! Results that are larger than their topic takes, in an object store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use sha2::{Digest, Sha256};

use super::harness::{Harness, Options};
use crate::{
    engine::{Guarantee, Large, ObjectSink, Order},
    pieces::{Manifest, Place, hex},
    record::{MANIFEST, Record},
};

/// A store that is away for a while.
#[derive(Clone, Default)]
struct TestStore(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// How many more attempts fail.
    failures: usize,
    attempts: usize,
    objects: BTreeMap<String, Bytes>,
}

impl TestStore {
    fn away_for(failures: usize) -> Self {
        TestStore(Arc::new(Mutex::new(Kept { failures, ..Kept::default() })))
    }

    fn attempts(&self) -> usize {
        self.0.lock().unwrap().attempts
    }
}

impl ObjectSink for TestStore {
    fn put(&self, name: &str, bytes: Bytes) -> BoxFuture<'static, Result<(), String>> {
        let (kept, name) = (self.0.clone(), name.to_owned());
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let mut kept = kept.lock().unwrap();
            kept.attempts += 1;
            if kept.failures > 0 {
                kept.failures -= 1;
                return Err("nobody answers".to_owned());
            }
            kept.objects.insert(name, bytes);
            Ok(())
        }
        .boxed()
    }
}

fn start(store: &TestStore, options: Options) -> Harness {
    let large = Large::Store(Arc::new(store.clone()), vec!["text"]);
    let engine = Harness::start(Options { largest: 4_000, large, ..options });
    engine.assign(0, 0, 0, "");
    engine
}

fn large(letter: &str) -> String {
    letter.repeat(10_000)
}

/// The value that a result has, whether it is in the store or not.
fn value(store: &TestStore, record: &Record) -> Option<Bytes> {
    if record.headers.get(MANIFEST).is_none() {
        return record.value.clone();
    }
    let manifest = Manifest::read(record.value.as_deref().unwrap()).unwrap();
    let Place::Store { object } = &manifest.place else { panic!("{manifest:?}") };
    let bytes = store.0.lock().unwrap().objects.get(object).cloned()?;
    assert_eq!((hex(&Sha256::digest(&bytes)), bytes.len() as u64), (manifest.sha256, manifest.bytes));
    Some(bytes)
}

fn values(store: &TestStore, engine: &Harness) -> Vec<String> {
    let world = engine.world.lock().unwrap();
    let values =
        world.sent.iter().map(|(_, record)| value(store, record).expect("its object is there before"));
    values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_large_result_is_in_the_store_before_the_record_that_names_it_goes_out() {
    for order in [Order::Partition, Order::Key, Order::None] {
        let store = TestStore::away_for(3);
        let engine = start(&store, Options { order, ..Options::default() });
        engine.values(0, 0, &["before", &large("x"), "after"]);
        engine.settle().await;
        assert_eq!(values(&store, &engine), [] as [&str; 0], "{order:?}: all of it is one chunk");
        engine.wait(60).await;
        assert!((1..=3).contains(&store.attempts()), "{order:?}");
        assert_eq!(engine.committed(), [] as [i64; 0]);
        engine.wait(5_000).await;
        assert_eq!(values(&store, &engine), ["before", &large("x"), "after"], "{order:?}");
        assert_eq!((store.attempts(), engine.committed().last()), (4, Some(&3)), "{order:?}");
        assert_eq!(engine.dead_letters(), [] as [String; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn others_go_on_while_the_store_is_away_and_their_order_holds() {
    let store = TestStore::away_for(5);
    let engine = start(&store, Options::default());
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &[&format!("slow{}", large("x"))]);
    engine.values(0, 1, &["slow behind it"]);
    engine.values(1, 0, &["slow beside it"]);
    engine.wait(100).await;
    assert_eq!(values(&store, &engine), ["slow beside it"]);
    engine.wait(10_000).await;
    assert_eq!(values(&store, &engine), ["slow beside it", &format!("slow{}", large("x")), "slow behind it"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_goes_while_the_store_is_away_is_the_next_owners() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let store = TestStore::away_for(usize::MAX);
        let engine = start(&store, Options { guarantee, ..Options::default() });
        engine.assign(1, 0, 0, "");
        engine.values(0, 0, &[&large("x")]);
        engine.wait(1_000).await;
        let attempts = store.attempts();
        assert!(attempts > 2, "{guarantee:?}");
        drop(engine.lose(&[0]).await);
        engine.wait(60_000).await;
        assert!(store.attempts() <= attempts + 1, "{guarantee:?}: nobody wants it any more");
        engine.values(1, 0, &["other"]);
        engine.wait(1_000).await;
        assert_eq!(values(&store, &engine), ["other"], "{guarantee:?}");
    }
}
