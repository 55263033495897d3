//! Retry topics: the test hands what was sent there back, as a source does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;

use super::harness::*;
use crate::{
    engine::*,
    operator::{AsyncOperator, Call, Operator, OperatorError, Output},
    record::{BatchBuilder, Destination, Headers, Offset, Record, ResultTopic, TopicPartition},
};

const MINUTE: u64 = 60_000;

/// Fails so often at `busy`, three times at `again`, and keeps what it was given and from where.
#[derive(Clone, Default)]
pub(super) struct Busy {
    pub(super) failures: Arc<AtomicUsize>,
    pub(super) agains: Arc<AtomicUsize>,
    pub(super) given: Arc<Mutex<Vec<(Record, String)>>>,
}

impl Busy {
    fn answer(&self, record: Record, place: String) -> Result<Vec<Record>, OperatorError> {
        self.given.lock().unwrap().push((record.clone(), place));
        let fails = || self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let again = || self.agains.fetch_add(1, SeqCst) < 3;
        let value = record.value.as_deref();
        if (value == Some(b"busy") && fails()) || (value == Some(b"again") && again()) {
            return Err(OperatorError::Passing { failure: "busy", message: "it is busy".to_owned() });
        }
        Ok(vec![record])
    }
}

/// It computes.
pub(super) struct Computes(pub(super) Busy);

impl Operator for Computes {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let place = out.place().map(|(partition, offset)| format!("{partition} {offset}")).unwrap();
        self.0.answer(record, place)?.into_iter().for_each(|record| out.push(record));
        Ok(())
    }
}

/// It asks.
pub(super) struct Asks(pub(super) Busy);

#[async_trait]
impl AsyncOperator for Asks {
    fn concurrency(&self) -> usize {
        10
    }

    async fn call(&self, calls: Vec<Call>) -> Vec<Result<Vec<Record>, OperatorError>> {
        let answer = |Call { record, place, .. }| {
            let place = place.map(|(partition, offset)| format!("{partition} {offset}")).unwrap();
            self.0.answer(record, place)
        };
        calls.into_iter().map(answer).collect()
    }
}

fn start(failures: usize, asks: bool, guarantee: Guarantee) -> (Busy, Harness) {
    let busy = Busy { failures: Arc::new(failures.into()), ..Busy::default() };
    let operator = if asks {
        Arc::new(Asks(busy.clone())) as Arc<dyn Operator>
    } else {
        Arc::new(Computes(busy.clone())) as _
    };
    let topic = |number: u16, minutes: u64| RetryTopic {
        topic: format!("later-{number}"),
        after: Duration::from_millis(minutes * MINUTE),
        to: ResultTopic(number + 1),
    };
    let harness = Harness::start(Options {
        guarantee,
        order: Order::None,
        operators: vec![operator],
        retry_topics: vec![topic(1, 1), topic(2, 10)],
        ..Options::default()
    });
    (busy, harness)
}

/// What was sent to a retry topic.
pub(super) fn sent(harness: &Harness, number: u16) -> Vec<Record> {
    let world = harness.world.lock().unwrap();
    let to = Destination::Result(ResultTopic(number + 1));
    world.sent.iter().filter(|(sent, _)| *sent == to).map(|(_, record)| record.clone()).collect()
}

fn partition(number: u16) -> TopicPartition {
    TopicPartition::new(format!("later-{number}"), 3)
}

fn assign(harness: &Harness, number: u16) {
    harness.report(SourceEvent::Assigned(vec![Assignment {
        partition: partition(number),
        start: Offset(0),
        metadata: String::new(),
        end: Offset(0),
    }]));
}

/// A record of a retry topic is read.
fn read(harness: &Harness, number: u16, offset: i64, record: &Record) {
    let mut batch = BatchBuilder::new(partition(number));
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    batch.push(Offset(offset), Some(99), key, value, record.headers.clone());
    harness.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
}

pub(super) fn headers(record: &Record) -> Vec<(String, String)> {
    let text = |value: &Option<bytes::Bytes>| String::from_utf8(value.clone().unwrap().to_vec()).unwrap();
    record.headers.iter().map(|header| (header.name.clone(), text(&header.value))).collect()
}

/// A request with a header, and one behind it.
fn request(harness: &Harness) {
    let mut batch = BatchBuilder::new(TopicPartition::new("in", 2));
    let own: Headers = [("own", "h")].into_iter().collect();
    batch.push(Offset(40), Some(7), Some(b"k"), Some(b"busy"), own);
    batch.push(Offset(41), Some(8), None, Some(b"good"), Headers::default());
    harness.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_waits_in_a_topic_of_its_own_and_comes_back_as_it_was() {
    for (asks, guarantee) in [
        (false, Guarantee::AtLeastOnce),
        (true, Guarantee::AtLeastOnce),
        (false, Guarantee::ExactlyOnce),
        (true, Guarantee::ExactlyOnce),
    ] {
        let (busy, harness) = start(3, asks, guarantee);
        harness.assign(2, 40, 42, "");
        assign(&harness, 1);
        let began = NOW;
        request(&harness);
        harness.wait(1_000).await;
        assert_eq!(harness.results(), ["good"], "nothing waits for it");
        assert_eq!(harness.committed().last(), Some(&42), "the source is done with it");
        let [waits] = &sent(&harness, 1)[..] else { panic!("{asks}") };
        assert_eq!((waits.key.as_deref(), waits.value.as_deref()), (Some(&b"k"[..]), Some(&b"busy"[..])));
        assert_eq!(waits.timestamp, None, "the record's own may be older than the topic retains records");
        let told = headers(waits);
        let at: u64 = told.iter().find(|(name, _)| name == "pipeline.retry.at").unwrap().1.parse().unwrap();
        assert!((began + MINUTE..began + MINUTE + 200).contains(&at), "{at}");
        for (name, value) in [
            ("own", "h"),
            ("pipeline.retry.topic", "in"),
            ("pipeline.retry.partition", "2"),
            ("pipeline.retry.offset", "40"),
            ("pipeline.retry.timestamp", "7"),
            ("pipeline.retry.attempts", "3"),
        ] {
            assert!(told.contains(&(name.to_owned(), value.to_owned())), "{name}: {told:?}");
        }
        let tried = busy.given.lock().unwrap().len();
        read(&harness, 1, 0, waits);
        harness.wait(58_000).await;
        assert_eq!(busy.given.lock().unwrap().len(), tried, "its time has not come");
        harness.wait(2_000).await;
        assert_eq!(harness.results(), ["good", "busy"]);
        let (record, place) = busy.given.lock().unwrap().last().cloned().unwrap();
        assert_eq!(place, "in[2] 40", "where it was read first");
        assert_eq!((headers(&record), record.timestamp), (vec![("own".to_owned(), "h".to_owned())], Some(7)));
        assert_eq!(harness.committed().last(), Some(&1));
        assert_eq!(harness.dead_letters(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_last_wait_it_is_a_dead_letter_that_says_where_it_came_from() {
    for asks in [false, true] {
        let (_, harness) = start(usize::MAX, asks, Guarantee::AtLeastOnce);
        harness.assign(2, 40, 42, "");
        assign(&harness, 1);
        assign(&harness, 2);
        request(&harness);
        harness.wait(1_000).await;
        read(&harness, 1, 0, &sent(&harness, 1)[0]);
        harness.wait(61_000).await;
        let second = &sent(&harness, 2)[0];
        read(&harness, 2, 0, second);
        harness.wait(9 * MINUTE).await;
        assert_eq!(harness.dead_letters(), Vec::<String>::new());
        harness.wait(MINUTE).await;
        assert_eq!(harness.dead_letters(), ["busy"]);
        let world = harness.world.lock().unwrap();
        let (_, letter) = world.sent.iter().find(|(to, _)| *to == Destination::DeadLetter).unwrap();
        let message = "it is busy (gave up after 3 attempts, and 2 waits before them)";
        let expected = [
            ("own", "h"),
            ("pipeline.error.class", "retries-exhausted"),
            ("pipeline.error.message", message),
            ("pipeline.error.topic", "in"),
            ("pipeline.error.partition", "2"),
            ("pipeline.error.offset", "40"),
            ("pipeline.error.timestamp", "7"),
            ("pipeline.error.attempts", "9"),
        ];
        assert_eq!(headers(letter), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_writes_there_waits_no_longer_than_its_topic_says() {
    let (busy, harness) = start(0, false, Guarantee::AtLeastOnce);
    assign(&harness, 1);
    let record = |value: &'static str, at: Option<&'static str>| Record {
        value: Some(value.into()),
        headers: at.map(|at| ("pipeline.retry.at", at)).into_iter().collect(),
        ..Record::default()
    };
    read(&harness, 1, 0, &record("plain", None));
    harness.wait(1_000).await;
    assert_eq!(harness.results(), ["plain"], "it has no time");
    read(&harness, 1, 1, &record("far", Some("99999999999999999")));
    read(&harness, 1, 2, &record("wrong", Some("tomorrow")));
    harness.wait(58_000).await;
    assert_eq!(harness.results(), ["plain", "wrong"], "one that has no time waits for no other");
    harness.wait(2_000).await;
    assert_eq!(harness.results(), ["plain", "wrong", "far"]);
    assert_eq!(busy.given.lock().unwrap()[0].1, "later-1[3] 0");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_goes_takes_its_waiting_records_with_it_at_once() {
    let (_, harness) = start(3, false, Guarantee::ExactlyOnce);
    harness.assign(2, 40, 42, "");
    assign(&harness, 1);
    request(&harness);
    harness.wait(1_000).await;
    read(&harness, 1, 0, &sent(&harness, 1)[0]);
    harness.wait(1_000).await;
    let (handover, mut handed_over) = Handover::new();
    harness.report(SourceEvent::Revoked(vec![partition(1)], handover));
    harness.wait(1_000).await;
    assert!((&mut handed_over).now_or_never().is_some(), "it does not wait for the record's time");
    assert_eq!(harness.results(), ["good"]);
    assert!(!harness.committed().contains(&1), "whoever has the partition next tries it again");
}
