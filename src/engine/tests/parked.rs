//! Order by key with retry topics: what comes behind a record that waits does not overtake it.

use std::{sync::Arc, time::Duration};

use super::{
    harness::*,
    later::{Asks, Busy, Computes, headers, sent},
};
use crate::{
    engine::*,
    operator::Operator,
    record::{Batch, BatchBuilder, Headers, Offset, Record, ResultTopic, TopicPartition},
};

/// An engine that has partition 2 of the source and of two retry topics, in which records wait for one minute and for ten.
struct Keyed {
    engine: Harness,
    /// How many records of each retry topic were read.
    read: [usize; 2],
}

fn partition(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 2)
}

/// Records of the first retry topic as an earlier owner has left them.
fn left(records: &[(i64, &str, &str, i64)]) -> Batch {
    let mut batch = BatchBuilder::new(partition("later-1"));
    for (offset, key, value, first) in records {
        let mut headers = Headers::default();
        for (name, value) in [
            ("pipeline.retry.topic", "in".to_owned()),
            ("pipeline.retry.partition", "2".to_owned()),
            ("pipeline.retry.offset", first.to_string()),
            ("pipeline.retry.at", (NOW + 30_000).to_string()),
        ] {
            headers.push(name, Some(value.into()));
        }
        batch.push(Offset(*offset), Some(7), Some(key.as_bytes()), Some(value.as_bytes()), headers);
    }
    batch.build()
}

impl Keyed {
    async fn start(failures: usize, asks: bool) -> Keyed {
        let keyed = Keyed::begin(failures, asks, "");
        keyed.nothing_is_left().await;
        keyed
    }

    /// Starts it; what waits in the retry topics is asked for, and not answered. The first one has that metadata.
    fn begin(failures: usize, asks: bool, metadata: &str) -> Keyed {
        let busy = Busy { failures: Arc::new(failures.into()), ..Busy::default() };
        let operator =
            if asks { Arc::new(Asks(busy)) as Arc<dyn Operator> } else { Arc::new(Computes(busy)) as _ };
        let topic = |number: u16, minutes: u64| RetryTopic {
            topic: format!("later-{number}"),
            after: Duration::from_secs(minutes * 60),
            to: ResultTopic(number + 1),
        };
        let engine = Harness::start(Options {
            guarantee: Guarantee::ExactlyOnce,
            order: Order::Key,
            operators: vec![operator],
            retry_topics: vec![topic(1, 1), topic(2, 10)],
            ..Options::default()
        });
        let keyed = Keyed { engine, read: [0; 2] };
        keyed.engine.report(SourceEvent::Assigned(keyed.assignments(metadata)));
        keyed
    }

    fn assignments(&self, metadata: &str) -> Vec<Assignment> {
        let assignment = |topic: &str| Assignment {
            partition: partition(topic),
            start: Offset(0),
            metadata: if topic == "later-1" { metadata.to_owned() } else { String::new() },
            end: Offset(0),
        };
        ["in", "later-1", "later-2"].map(assignment).to_vec()
    }

    async fn nothing_is_left(&self) {
        self.engine.settle().await;
        let histories = std::mem::take(&mut self.engine.world.lock().unwrap().histories);
        let asked: Vec<_> = histories.iter().map(|(of, part, _)| (of.to_string(), *part)).collect();
        let from_start = |topic: &str| (partition(topic).to_string(), Past::From(Offset(0)));
        assert_eq!(asked, [from_start("later-1"), from_start("later-2")]);
        drop(histories);
        self.engine.settle().await;
    }

    /// Reads what was sent to that retry topic and is not read yet.
    fn read(&mut self, number: u16) {
        let records = sent(&self.engine, number);
        let first = std::mem::replace(&mut self.read[usize::from(number) - 1], records.len());
        let mut batch = BatchBuilder::new(partition(&format!("later-{number}")));
        for (offset, record) in records.iter().enumerate().skip(first) {
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            batch.push(Offset(offset as i64), Some(99), key, value, record.headers.clone());
        }
        self.engine.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
    }

    fn sent(&self, number: u16) -> Vec<String> {
        let text = |record: &Record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
        sent(&self.engine, number).iter().map(text).collect()
    }
}

fn header(record: &Record, name: &str) -> String {
    headers(record).into_iter().find(|(found, _)| found == name).unwrap().1
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_a_record_that_waits_waits_behind_it() {
    for asks in [false, true] {
        let mut keyed = Keyed::start(3, asks).await;
        keyed.engine.records(2, 0, &[("k", "busy"), ("k", "k1"), ("l", "l1"), ("", "none")]);
        keyed.engine.wait(1_000).await;
        keyed.engine.records(2, 4, &[("k", "k2"), ("l", "l2")]);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.engine.results(), ["l1", "none", "l2"], "{asks}: other keys go on");
        assert_eq!(keyed.sent(1), ["busy", "k1", "k2"]);
        let waiting = sent(&keyed.engine, 1);
        let at: Vec<String> = waiting.iter().map(|record| header(record, "pipeline.retry.at")).collect();
        assert!(at[0] == at[1] && at[0] == at[2], "no longer than the first: {at:?}");
        assert_eq!(header(&waiting[0], "pipeline.retry.attempts"), "3");
        assert_eq!(header(&waiting[1], "pipeline.retry.attempts"), "0", "it was not tried");
        keyed.read(1);
        keyed.engine.wait(57_000).await;
        assert_eq!(keyed.engine.results().len(), 3, "its time has not come");
        keyed.engine.wait(2_000).await;
        assert_eq!(keyed.engine.results()[3..], ["busy", "k1", "k2"]);
        keyed.engine.records(2, 6, &[("k", "k3")]);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.engine.results()[6..], ["k3"], "its key is free again");
        assert_eq!(keyed.sent(1).len(), 3);
        assert_eq!(keyed.engine.dead_letters(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_has_waited_behind_another_has_its_own_attempts_and_its_own_wait() {
    for asks in [false, true] {
        let mut keyed = Keyed::start(3, asks).await;
        keyed.engine.records(2, 0, &[("k", "busy"), ("k", "k1"), ("k", "again"), ("k", "k2")]);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.sent(1), ["busy", "k1", "again", "k2"]);
        keyed.read(1);
        keyed.engine.wait(60_000).await;
        // The first is done, and the second has failed for the first time.
        assert_eq!(keyed.engine.results(), ["busy", "k1"], "{asks}");
        assert_eq!((&keyed.sent(1)[4..], keyed.sent(2).len()), (&["again".into(), "k2".into()][..], 0));
        let waits: Vec<String> =
            sent(&keyed.engine, 1).iter().map(|record| header(record, "pipeline.retry.waits")).collect();
        assert_eq!(waits, ["1", "0", "0", "0", "1", "0"]);
        keyed.engine.records(2, 4, &[("k", "k3")]);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.sent(1)[6..], ["k3"]);
        keyed.read(1);
        keyed.engine.wait(60_000).await;
        assert_eq!(keyed.engine.results()[2..], ["again", "k2", "k3"], "{asks}");
        assert_eq!(keyed.engine.dead_letters(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_on_has_those_of_its_key_behind_it_wait_on_too() {
    let mut keyed = Keyed::start(6, false).await;
    keyed.engine.records(2, 0, &[("k", "busy"), ("k", "k1")]);
    keyed.engine.wait(1_000).await;
    keyed.read(1);
    keyed.engine.wait(60_000).await;
    assert_eq!(keyed.sent(2), ["busy", "k1"], "it has failed once more, and what is behind it is not tried");
    keyed.engine.records(2, 2, &[("k", "k2"), ("l", "l1")]);
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.sent(2)[2..], ["k2"], "nothing of its key is in the first topic any more");
    keyed.read(2);
    keyed.engine.wait(11 * 60_000).await;
    assert_eq!(keyed.engine.results(), ["l1", "busy", "k1", "k2"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_before_the_one_it_waits_behind_stays_behind_it() {
    for asks in [false, true] {
        let mut keyed = Keyed::start(6, asks).await;
        keyed.engine.records(2, 0, &[("l", "busy")]);
        keyed.engine.wait(100).await;
        keyed.read(1);
        keyed.engine.records(2, 1, &[("k", "busy"), ("k", "again")]);
        keyed.engine.wait(1_000).await;
        keyed.read(1);
        keyed.engine.wait(57_000).await;
        // During a commit nothing is sent. Then the lanes take turns, and that of the retry topic has two chunks.
        keyed.engine.world.lock().unwrap().hold_commits = true;
        keyed.engine.records(2, 3, &[("x", "x1")]);
        keyed.engine.wait(4_000).await;
        keyed.engine.records(2, 4, &[("k", "k1")]);
        keyed.engine.wait(1_000).await;
        assert_eq!((keyed.engine.results(), keyed.sent(1).len()), (vec!["x1".into()], 3), "{asks}");
        keyed.engine.world.lock().unwrap().release_commits();
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.sent(1)[3..], ["k1", "again"], "the older one came after it: {asks}");
        keyed.read(1);
        keyed.engine.wait(60_000).await;
        assert_eq!(keyed.engine.results(), ["x1", "busy", "busy", "again"], "{asks}");
        assert_eq!(keyed.sent(1)[5..], ["k1"]);
        keyed.engine.records(2, 5, &[("k", "k2")]);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.sent(1)[6..], ["k2"], "what waits on is still known to wait: {asks}");
        keyed.read(1);
        keyed.engine.wait(1_000).await;
        assert_eq!(keyed.engine.results()[4..], ["k1", "k2"], "{asks}");
        assert_eq!(keyed.engine.dead_letters(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_one_that_never_comes_about_goes_on() {
    let mut keyed = Keyed::start(usize::MAX, false).await;
    keyed.engine.records(2, 0, &[("k", "busy"), ("k", "k1")]);
    keyed.engine.wait(1_000).await;
    keyed.read(1);
    keyed.engine.wait(61_000).await;
    keyed.read(2);
    keyed.engine.wait(11 * 60_000).await;
    assert_eq!(
        (keyed.engine.dead_letters(), keyed.engine.results()),
        (vec!["busy".into()], vec!["k1".into()])
    );
    keyed.engine.records(2, 2, &[("k", "k2")]);
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.engine.results(), ["k1", "k2"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_owner_has_left_waiting_is_known_before_anything_is_computed() {
    // It has done the record at offset 1.
    let mut done = OffsetTracker::new(Offset(0), "");
    let first = done.extend(&left(&[(0, "k", "k0", 0), (1, "m", "m0", 1)]));
    done.complete([first + 1].into_iter());
    let keyed = Keyed::begin(0, false, &done.metadata());
    keyed.engine.settle().await;
    let histories = std::mem::take(&mut keyed.engine.world.lock().unwrap().histories);
    keyed.engine.records(2, 5, &[("k", "k1"), ("l", "l1"), ("m", "m1")]);
    let waiting = [(0, "k", "k0", 0), (1, "m", "m0", 1)];
    keyed.engine.report(SourceEvent::Batch(left(&waiting[..1]), Budget::new(0).take(0)));
    keyed.engine.wait(1_000).await;
    let (_, _, first) = &histories[0];
    first.send(left(&waiting)).unwrap();
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.engine.results(), [""; 0], "it is not known yet which keys wait");
    drop(histories);
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.engine.results(), ["l1", "m1"]);
    assert_eq!(keyed.sent(1), ["k1"]);
    keyed.engine.wait(28_000).await;
    assert_eq!(keyed.engine.results()[2..], ["k0"]);
}

#[tokio::test(start_paused = true)]
async fn after_an_abort_it_is_read_again_which_keys_wait() {
    let mut keyed = Keyed::start(3, false).await;
    keyed.engine.records(2, 0, &[("k", "busy")]);
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.sent(1), ["busy"]);
    keyed.engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Abort("it failed".into())));
    keyed.engine.records(2, 1, &[("k", "k1"), ("l", "l1")]);
    keyed.engine.wait(1_000).await;
    assert_eq!(keyed.engine.world.lock().unwrap().rewinds, 1);
    keyed.engine.world.lock().unwrap().sent.clear();
    let mut again = keyed.assignments("");
    again[0].start = Offset(1);
    keyed.engine.report(SourceEvent::Rewound(again));
    keyed.engine.settle().await;
    let histories = std::mem::take(&mut keyed.engine.world.lock().unwrap().histories);
    assert_eq!(histories.len(), 2);
    histories[0].2.send(left(&[(0, "k", "busy", 0)])).unwrap();
    drop(histories);
    keyed.engine.records(2, 1, &[("k", "k1"), ("l", "l1")]);
    keyed.engine.wait(1_000).await;
    assert_eq!((keyed.engine.results(), keyed.sent(1)), (vec!["l1".into()], vec!["k1".into()]));
    keyed.engine.report(SourceEvent::Batch(left(&[(0, "k", "busy", 0)]), Budget::new(0).take(0)));
    keyed.read = [0; 2];
    keyed.engine.wait(30_000).await;
    assert_eq!(keyed.engine.results(), ["l1", "busy"]);
}

#[tokio::test(start_paused = true)]
async fn the_commit_of_a_partition_that_the_group_does_not_share_out_is_repeated_before_it_is_forgotten() {
    let keyed = Keyed::start(0, false).await;
    let before = keyed.engine.world.lock().unwrap().commits.len();
    keyed.engine.wait(3_599_000).await;
    assert_eq!(keyed.engine.world.lock().unwrap().commits.len(), before);
    keyed.engine.wait(2_000).await;
    let commits = keyed.engine.world.lock().unwrap().commits[before..].to_vec();
    let [commit] = &commits[..] else { panic!("{commits:?}") };
    let of: Vec<String> = commit.iter().map(|offset| offset.partition.to_string()).collect();
    assert_eq!(of, [partition("later-1").to_string(), partition("later-2").to_string()]);
    keyed.engine.wait(3_601_000).await;
    assert_eq!(keyed.engine.world.lock().unwrap().commits.len(), before + 2, "again each hour");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_changes_neither_the_order_nor_how_long_they_wait() {
    for jump in [-6_590_000, 6_590_000] {
        let mut keyed = Keyed::start(3, false).await;
        keyed.engine.records(2, 0, &[("k", "busy"), ("k", "k1")]);
        keyed.engine.wait(1_000).await;
        keyed.read(1);
        keyed.engine.wait(1_000).await;
        keyed.engine.machine.jump(jump);
        keyed.engine.records(2, 2, &[("k", "k2")]);
        keyed.engine.wait(1_000).await;
        keyed.read(1);
        keyed.engine.wait(56_000).await;
        assert_eq!(keyed.engine.results(), [""; 0], "{jump}");
        keyed.engine.wait(62_000).await;
        assert_eq!(keyed.engine.results(), ["busy", "k1", "k2"], "{jump}");
    }
}
