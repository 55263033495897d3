//! What operators remember: it is that of the records that are committed, whatever fails.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;

use super::harness::*;
use crate::{
    engine::*,
    operator::{Operator, OperatorError, Output},
    record::{BatchBuilder, Destination, Headers, Offset, Record, ResultTopic, TopicPartition},
    telemetry::Stage,
};

/// Numbers the records of each key; one with the value `spoiled` fails after that.
struct Numbers;

impl Operator for Numbers {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let key = record.key.clone().unwrap();
        let state = out.state().cloned().unwrap();
        let place = Bytes::from([&vec![b'z'; out.scope().into()], &key[..]].concat());
        let before = state.with(|state| state.get(&place))?;
        let number = 1 + before.map_or(0, |n| String::from_utf8_lossy(&n).parse::<u32>().unwrap());
        state.with(|state| state.put(place, Some(number.to_string().into())));
        if record.value.as_deref() == Some(b"spoiled") {
            return Err(OperatorError::BadInput { class: "bad", message: "as the test wants it".to_owned() });
        }
        let value = format!("{}{number}", String::from_utf8_lossy(&key));
        out.push(Record { value: Some(value.into()), ..record });
        Ok(())
    }

    fn remembers(&self) -> bool {
        true
    }
}

/// A store in memory.
#[derive(Default)]
struct Kept {
    entries: Mutex<BTreeMap<Bytes, Bytes>>,
    position: Mutex<i64>,
}

impl StateStore for Kept {
    fn position(&self) -> Offset {
        Offset(*self.position.lock().unwrap())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn visit(&self, from: &[u8], to: &[u8], show: Show<'_>) -> Result<(), String> {
        let entries = self.entries.lock().unwrap();
        let _ = entries
            .iter()
            .filter(|(key, _)| from <= &key[..] && &key[..] < to)
            .try_for_each(|(key, value)| show(key, value));
        Ok(())
    }

    fn apply(&self, changes: &mut dyn Iterator<Item = Change>, position: Offset) -> Result<(), String> {
        let mut entries = self.entries.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        *self.position.lock().unwrap() = position.0;
        Ok(())
    }
}

/// The same store for all partitions; there is only one.
#[derive(Clone, Default)]
struct One(Arc<Kept>);

impl StateStores for One {
    fn open(&self, _: i32) -> Result<Arc<dyn StateStore>, String> {
        Ok(self.0.clone())
    }

    fn size(&self) -> u64 {
        7
    }
}

impl One {
    fn entries(&self) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let entries = self.0.entries.lock().unwrap();
        entries.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
    }
}

const CHANGELOG: ResultTopic = ResultTopic(3);

fn options(stores: &One) -> Options {
    let state =
        StatePlan { stores: Arc::new(stores.clone()), changelog: "changelog".to_owned(), to: CHANGELOG };
    Options {
        guarantee: Guarantee::ExactlyOnce,
        operators: vec![Arc::new(Numbers)],
        state: Some(state),
        ..Options::default()
    }
}

/// An engine that has partition 0, and has read what the changelog has from there on.
async fn start(stores: &One, options: Options, changelog: &[(i64, &str, &str)]) -> Harness {
    let engine = Harness::start(options);
    engine.assign(0, 0, 0, "");
    read(&engine, stores, changelog).await;
    engine
}

async fn read(engine: &Harness, stores: &One, changelog: &[(i64, &str, &str)]) {
    engine.settle().await;
    let mut histories = std::mem::take(&mut engine.world.lock().unwrap().histories);
    let (of, part, sender) = histories.pop().unwrap();
    assert!(histories.is_empty());
    assert_eq!((of, part), (TopicPartition::new("changelog", 0), Past::From(stores.0.position())));
    if !changelog.is_empty() {
        let mut batch = BatchBuilder::new(TopicPartition::new("changelog", 0));
        for (offset, key, value) in changelog {
            let value = (!value.is_empty()).then_some(value.as_bytes());
            batch.push(Offset(*offset), Some(7), Some(key.as_bytes()), value, Headers::default());
        }
        sender.send(batch.build()).unwrap();
    }
    drop(sender);
    engine.settle().await;
}

/// What was written to the changelog.
fn written(engine: &Harness) -> Vec<String> {
    let world = engine.world.lock().unwrap();
    let of = world.sent.iter().filter(|(to, _)| *to == Destination::Result(CHANGELOG));
    let text = |bytes: &Option<Bytes>| String::from_utf8(bytes.clone().unwrap_or_default().to_vec()).unwrap();
    of.map(|(_, record)| format!("{}={}", text(&record.key), text(&record.value))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_chunk_sees_what_those_before_it_have_changed_and_the_store_has_it_once_it_is_committed() {
    let stores = One::default();
    let engine = start(&stores, options(&stores), &[]).await;
    engine.world.lock().unwrap().hold_commits = true;
    engine.records(0, 0, &[("a", "x"), ("a", "x"), ("b", "x")]);
    engine.settle().await;
    engine.records(0, 3, &[("a", "x")]);
    engine.wait(1_000).await;
    assert_eq!(engine.results(), ["a1", "a2", "b1"]);
    assert_eq!(written(&engine), ["a=2", "b=1"], "once for each chunk");
    assert_eq!(stores.entries(), [""; 0], "it is not committed");
    engine.world.lock().unwrap().release_commits();
    engine.wait(1_000).await;
    assert_eq!(
        (engine.results()[3..].to_vec(), written(&engine)[2..].to_vec()),
        (vec!["a3".into()], vec!["a=3".into()])
    );
    assert_eq!(stores.entries(), ["a=3", "b=1"]);
    assert_eq!(
        stores.0.position(),
        Offset(8),
        "behind the last of seven records, of which the first is at 1"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_chunk_has_changed_comes_into_the_store_after_that_of_the_chunks_before_it() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let stores = One::default();
        let options = Options { guarantee, acknowledge: false, ..options(&stores) };
        let engine = start(&stores, options, &[]).await;
        engine.records(0, 0, &[("a", "x"), ("b", "x")]);
        engine.settle().await;
        engine.records(0, 2, &[("a", "x")]);
        engine.settle().await;
        assert_eq!(written(&engine), ["a=1", "b=1", "a=2"]);
        // The results of the first chunk are in another partition, whose leader takes longer.
        engine.acknowledge_newest(2).await;
        engine.wait(1_000).await;
        assert_eq!((stores.entries(), stores.0.position()), (vec![], Offset(0)), "{guarantee:?}");
        engine.acknowledge(4).await;
        engine.wait(1_000).await;
        assert_eq!(stores.entries(), ["a=2", "b=1"], "{guarantee:?}");
        engine.records(0, 3, &[("a", "x")]);
        engine.settle().await;
        engine.acknowledge(2).await;
        engine.wait(1_000).await;
        assert_eq!(
            (engine.results().pop().unwrap(), stores.entries()),
            ("a3".into(), vec!["a=3".into(), "b=1".into()])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_8_000_records_of_a_partition_are_computed_and_not_acknowledged() {
    let stores = One::default();
    let options = Options { acknowledge: false, budget: 64 << 20, ..options(&stores) };
    let engine = start(&stores, options, &[]).await;
    engine.world.lock().unwrap().room = usize::MAX;
    let records = vec![("a", "x"); 1_000];
    for batch in 0..12 {
        engine.records(0, batch * 1_000, &records);
    }
    engine.wait(1_000).await;
    assert_eq!((engine.machine.applied(), engine.results().pop().unwrap()), (8_000, "a8000".into()));
    // The results of the first batch, and what it has changed.
    engine.acknowledge(1_001).await;
    engine.wait(1_000).await;
    assert_eq!(engine.machine.applied(), 9_000);
    for _ in 0..11 {
        engine.acknowledge(1_001).await;
    }
    engine.wait(1_000).await;
    assert_eq!((engine.machine.applied(), stores.entries()), (12_000, vec!["a=12000".into()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_was_never_remembered() {
    let stores = One::default();
    let engine = start(&stores, options(&stores), &[]).await;
    engine.records(0, 0, &[("a", "x")]);
    engine.wait(1_000).await;
    assert_eq!((stores.entries(), stores.0.position()), (vec!["a=1".into()], Offset(3)));
    engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Abort("it failed".into())));
    engine.records(0, 1, &[("a", "x"), ("b", "x")]);
    engine.wait(1_000).await;
    assert_eq!(engine.world.lock().unwrap().rewinds, 1);
    engine.rewound(&[(0, 1)]);
    read(&engine, &stores, &[]).await;
    engine.world.lock().unwrap().sent.clear();
    engine.records(0, 1, &[("a", "x"), ("b", "x")]);
    engine.wait(1_000).await;
    assert_eq!(engine.results(), ["a2", "b1"], "as the first time");
    assert_eq!(stores.entries(), ["a=2", "b=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_changes_nothing() {
    let stores = One::default();
    let engine = start(&stores, options(&stores), &[]).await;
    engine.records(0, 0, &[("a", "x"), ("a", "spoiled"), ("b", "spoiled"), ("a", "x"), ("b", "x")]);
    engine.wait(1_000).await;
    assert_eq!(
        (engine.results(), engine.dead_letters().len()),
        (vec!["a1".into(), "a2".into(), "b1".into()], 2)
    );
    assert_eq!(stores.entries(), ["a=2", "b=1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_computed_before_the_changelog_is_read_from_where_the_store_is() {
    let stores = One::default();
    stores
        .0
        .apply(&mut [("a".into(), Some("5".into())), ("c".into(), Some("1".into()))].into_iter(), Offset(4))
        .unwrap();
    let engine = Harness::start(options(&stores));
    engine.assign(0, 0, 0, "");
    engine.records(0, 0, &[("a", "x"), ("b", "x"), ("c", "x")]);
    engine.wait(1_000).await;
    assert_eq!(engine.results(), [""; 0]);
    let waited = engine.progress.stage(Stage::Restore).as_millis();
    assert!((1_000..1_100).contains(&waited), "{waited}");
    let told = engine.progress.remembered().to_string();
    assert!(told.contains("partition 0: is being read from the changelog, 0 records so far"), "{told}");
    read(&engine, &stores, &[(4, "a", "7"), (6, "b", "2"), (9, "c", "")]).await;
    engine.wait(1_000).await;
    assert_eq!(engine.results(), ["a8", "b3", "c1"]);
    assert_eq!(stores.entries(), ["a=8", "b=3", "c=1"]);
    let told = engine.progress.remembered().to_string();
    let lines = "  what operators remember: 7 B on disk\n    partition 0: 3 records of the changelog were read in 1.0 s\n";
    assert_eq!(told, lines);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_of_a_record_stays_where_the_broker_refuses_its_result() {
    let stores = One::default();
    let engine = start(&stores, Options { acknowledge: false, ..options(&stores) }, &[]).await;
    engine.world.lock().unwrap().refuses = (Some("a1"), None);
    engine.world.lock().unwrap().acknowledge = true;
    engine.records(0, 0, &[("a", "x"), ("a", "x")]);
    for _ in 0..4 {
        engine.wait(1_000).await;
        if engine.dead_letters().is_empty() {
            engine.rewound(&[(0, 0)]);
            read(&engine, &stores, &[]).await;
            engine.records(0, 0, &[("a", "x"), ("a", "x")]);
        }
    }
    engine.wait(1_000).await;
    assert_eq!(engine.dead_letters(), ["x"]);
    assert_eq!(stores.entries(), ["a=2"]);
    assert_eq!(written(&engine).last().unwrap(), "a=2");
}

#[tokio::test(start_paused = true)]
async fn each_operator_has_its_own() {
    let stores = One::default();
    let operators: Vec<Arc<dyn Operator>> = vec![Arc::new(Numbers), Arc::new(Numbers)];
    let engine = start(&stores, Options { operators, ..options(&stores) }, &[]).await;
    engine.records(0, 0, &[("a", "x"), ("a", "x")]);
    engine.wait(1_000).await;
    assert_eq!(
        (engine.results(), stores.entries()),
        (vec!["a1".into(), "a2".into()], vec!["a=2".into(), "za=2".into()])
    );
}
