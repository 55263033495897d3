//! Records that come again, and what lies before a lane's start.

use std::{sync::Arc, time::Duration};

use super::harness::{Harness, Options};
use crate::{
    engine::{Budget, Deduplication, Guarantee, Past, SourceEvent},
    format::Formats,
    operator::RecordId,
    record::{Batch, BatchBuilder, Headers, Offset, TopicPartition},
};

/// An engine that takes records for the same that have the same key within ten seconds, and keeps ids in so many bytes.
fn start(memory: u64) -> Harness {
    let id = RecordId::new("key", &Formats::default(), &[]).unwrap();
    let deduplication = Some(Arc::new(Deduplication::new(id, Duration::from_secs(10), memory)));
    let engine =
        Harness::start(Options { deduplication, guarantee: Guarantee::ExactlyOnce, ..Options::default() });
    engine.assign(0, 10, 10, "");
    engine
}

/// Records with keys and timestamps in seconds, from that offset on; the offset is the value.
fn batch(first: i64, records: &[(&str, i64)]) -> Batch {
    let mut batch = BatchBuilder::new(TopicPartition::new("in", 0));
    for (offset, (key, seconds)) in (first..).zip(records) {
        let key = (!key.is_empty()).then_some(key.as_bytes());
        let (timestamp, value) = (Some(1_000_000 + seconds * 1_000), offset.to_string());
        batch.push(Offset(offset), timestamp, key, Some(value.as_bytes()), Headers::default());
    }
    batch.build()
}

impl Harness {
    fn batch(&self, first: i64, records: &[(&str, i64)]) {
        self.report(SourceEvent::Batch(batch(first, records), Budget::new(0).take(0)));
    }

    /// Answers the question for what lies before the start, which has to have been asked with these seconds and that offset.
    async fn history(&self, since: i64, before: i64, batches: &[Batch]) {
        self.settle().await;
        let (of, asked, sender) = self.world.lock().unwrap().histories.pop().expect("nothing was asked");
        let (since, before) = (1_000_000 + since * 1_000, Offset(before));
        assert_eq!((&*of.topic, asked), ("in", Past::Since { since, before }));
        batches.iter().for_each(|batch| sender.send(batch.clone()).unwrap());
        self.settle().await;
        assert!(self.world.lock().unwrap().histories.is_empty(), "it is asked once");
        drop(sender);
        self.wait(200).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_come_before_is_left_out_whether_before_the_start_or_after_and_is_committed() {
    let engine = start(1 << 20);
    engine.batch(10, &[("a", 20), ("b", 21), ("a", 22)]);
    engine.batch(13, &[("b", 23), ("c", 24), ("", 24), ("", 25)]);
    engine.wait(1_000).await;
    assert_eq!(engine.results(), [""; 0], "nothing is computed before it is known what has come");
    assert_eq!(engine.committed(), [0; 0]);
    // Ten seconds, and five minutes for what comes late.
    engine.history(20 - 310, 10, &[batch(7, &[("c", 14)]), batch(8, &[("a", 9), ("b", 12)])]).await;
    assert_eq!(
        engine.results(),
        ["10", "15", "16"],
        "`a` was too long ago, and what has no key is no duplicate"
    );
    assert_eq!(engine.progress.records_dropped(), 4);
    engine.batch(17, &[("c", 26), ("d", 27)]);
    engine.wait(200).await;
    assert_eq!(engine.results()[3..], ["18"]);
    assert_eq!(engine.committed().last(), Some(&19));
}

#[tokio::test(start_paused = true)]
async fn each_that_comes_counts_and_one_that_is_late_is_compared_with_those_of_its_time() {
    let engine = start(1 << 20);
    engine.batch(10, &[("a", 0), ("a", 9), ("a", 18), ("a", 29), ("b", 40), ("b", 20), ("a", 15)]);
    engine.history(-310, 10, &[]).await;
    assert_eq!(
        engine.results(),
        ["10", "13", "14"],
        "each within ten seconds of the one before it, or older"
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_done_again_is_no_duplicate_of_itself() {
    let engine = start(1 << 20);
    engine.batch(10, &[("a", 0), ("b", 1), ("a", 2)]);
    engine.history(-310, 10, &[]).await;
    assert_eq!(engine.results(), ["10", "11"]);
    engine.rewound(&[(0, 11)]);
    engine.batch(11, &[("b", 1), ("a", 2)]);
    engine.history(1 - 310, 11, &[batch(10, &[("a", 0)])]).await;
    assert_eq!(engine.results(), ["10", "11", "11"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_goes_while_its_history_is_read_goes_at_once_and_nothing_of_it_is_done() {
    let engine = start(1 << 20);
    engine.batch(10, &[("a", 0)]);
    engine.settle().await;
    let handed_over = engine.revoke(0);
    engine.settle().await;
    assert!(handed_over.await.is_err(), "at once");
    let (_, _, history) = engine.world.lock().unwrap().histories.pop().unwrap();
    let _ = history.send(batch(9, &[("b", 0)]));
    engine.wait(200).await;
    assert!(history.is_closed(), "nobody reads it any more");
    assert_eq!((engine.results().len(), engine.committed().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn where_ids_have_no_room_the_oldest_are_forgotten() {
    // As many as two ids of one letter take.
    let engine = start(2 * 129);
    engine.batch(10, &[("a", 0), ("b", 0), ("b", 0), ("c", 0), ("a", 0), ("c", 0)]);
    engine.history(-310, 10, &[]).await;
    assert_eq!(engine.results(), ["10", "11", "13", "14"]);
}
