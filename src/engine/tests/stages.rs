use std::time::Duration;

use super::harness::{Harness, Options};
use crate::{
    engine::{Guarantee, SourceEvent},
    record::{Offset, TopicPartition},
    telemetry::{STAGES, Stage},
};

/// Milliseconds by stage, in the order of [`Stage::ALL`].
fn millis(engine: &Harness) -> [u128; STAGES] {
    Stage::ALL.map(|stage| engine.progress.stage(stage).as_millis())
}

#[tokio::test(start_paused = true)]
async fn the_time_of_each_partition_goes_to_one_stage_after_the_other_and_adds_up() {
    let engine = Harness::start(Options { eager: false, acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.wait(3_000).await;
    engine.values(0, 0, &["a"]);
    engine.wait(2_000).await;
    engine.compute(0).await;
    engine.wait(1_000).await;
    engine.acknowledge(1).await;
    let _handed_over = engine.revoke(1);
    engine.wait(4_000).await;
    // What the loop waits in is told once something wakes it.
    engine.values(0, 1, &["b"]);
    engine.settle().await;
    let [poll, wait, compute, call, send, commit, rebalance, _] = millis(&engine);
    assert_eq!((wait, compute, call, send, commit, rebalance), (0, 2_000, 0, 1_000, 0, 0));
    // Partition 1 was handed over at once, partition 0 waits for records again.
    assert_eq!(poll, 3_000 + 6_000 + 4_000);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_room_waits_and_who_is_handed_over_is_in_a_rebalance() {
    let engine = Harness::start(Options { eager: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    let room = engine.budget.take(2 << 20);
    engine.values(0, 0, &["a"]);
    engine.wait(5_000).await;
    drop(room);
    engine.settle().await;
    let _handed_over = engine.revoke(0);
    engine.wait(1_000).await;
    engine.compute(0).await;
    engine.wait(1_000).await;
    assert_eq!(millis(&engine), [0, 5_000, 0, 0, 0, 0, 1_000, 0]);
    let record = &engine.progress.rebalances()[1];
    assert_eq!(
        (record.partitions.as_slice(), record.phases[0]),
        (&[TopicPartition::new("in", 0)][..], ("finishing", Duration::from_millis(1_000)))
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_end_of_a_transaction_is_in_a_commit() {
    let guarantee = Guarantee::ExactlyOnce;
    let engine = Harness::start(Options { acknowledge: false, guarantee, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.settle().await;
    engine.acknowledge(1).await;
    // Since there is nothing done yet, it is not due; then it is, and settles.
    engine.wait(1_000).await;
    let [_, _, _, _, send, commit, _, _] = millis(&engine);
    assert_eq!((send, commit), (1_000, 0));
}

#[tokio::test(start_paused = true)]
async fn lag_is_reported_soon_after_a_commit() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.wait(10).await;
    let end = (TopicPartition::new("in", 0), Offset(3));
    engine.report(SourceEvent::HighWatermarks(vec![end]));
    engine.wait(2_000).await;
    assert_eq!(engine.progress.lag(), 3);
    engine.values(0, 0, &["a", "b", "c"]);
    engine.wait(200).await;
    assert_eq!((engine.committed(), engine.progress.lag()), (vec![3], 0));
}
