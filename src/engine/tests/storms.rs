//! Rebalances while a transaction is being taken back, and work that is no longer needed.

use futures::FutureExt;

use super::harness::{Harness, Options};
use crate::{
    engine::*,
    record::{Offset, TopicPartition},
};

fn exactly_once() -> Options {
    Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() }
}

/// An engine whose first transaction was aborted.
async fn aborted() -> Harness {
    let engine = Harness::start(exactly_once());
    engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Abort("moved".to_owned())));
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine
}

#[tokio::test(start_paused = true)]
async fn what_is_assigned_before_the_source_has_gone_back_is_not_done_twice() {
    let engine = aborted().await;
    // It comes between the abort and the going back, which tells of it again.
    engine.assign(1, 0, 0, "");
    engine.values(1, 0, &["b"]);
    engine.wait(500).await;
    assert_eq!(engine.results(), ["a"]);
    engine.rewound(&[(0, 0), (1, 0)]);
    engine.values(0, 0, &["a"]);
    engine.values(1, 0, &["b"]);
    engine.wait(500).await;
    assert_eq!(engine.results(), ["a", "a", "b"]);
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.rewinds), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn partitions_that_come_and_are_lost_while_going_back_abort_nothing_more() {
    let engine = aborted().await;
    for _ in 0..3 {
        engine.assign(1, 0, 0, "");
        engine.values(1, 0, &["b"]);
        engine.settle().await;
        assert!(engine.lose(&[0, 1]).await.is_err(), "nothing is held back");
        engine.settle().await;
    }
    engine.rewound(&[]);
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.rewinds), (1, 1));
    assert_eq!(world.commits.last().unwrap()[0].offset, Offset(1));
}

#[tokio::test(start_paused = true)]
async fn partitions_are_handed_over_at_once_while_their_transaction_is_taken_back() {
    let engine = Harness::start(exactly_once());
    {
        let mut world = engine.world.lock().unwrap();
        world.commit_answers.push_back(Err(CommitError::Abort("moved".to_owned())));
        world.hold_aborts = true;
    }
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    let handed_over = engine.revoke(0);
    engine.settle().await;
    assert!(handed_over.now_or_never().is_some());
    let record = engine.progress.rebalances().pop().unwrap();
    assert_eq!(record.partitions, [TopicPartition::new("in", 0)], "the record names them");
    engine.wait(20_000).await;
    assert_eq!(engine.world.lock().unwrap().aborts, 1, "nothing is aborted twice");
}

#[tokio::test(start_paused = true)]
async fn one_partition_is_handed_over_while_the_others_keep_on_sending() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.values(1, 0, &["b"]);
    engine.settle().await;
    let mut handed_over = engine.revoke(0);
    engine.settle().await;
    // Whenever a transaction ends, the next one begins at once with records that wait.
    for offset in 1..20 {
        engine.values(1, offset, &["more"]);
        let sent = engine.world.lock().unwrap().unacknowledged();
        engine.acknowledge(sent).await;
        if (&mut handed_over).now_or_never().is_some() {
            let commits = engine.world.lock().unwrap().commits.clone();
            assert!(commits.iter().flatten().any(|c| c.partition.partition == 0 && c.offset == Offset(1)));
            return;
        }
        engine.wait(10).await;
    }
    panic!("it is not handed over");
}

#[tokio::test(start_paused = true)]
async fn what_is_half_sent_when_a_hand_over_is_late_is_not_committed_by_those_who_stay() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.settle().await;
    let mut handed_over = engine.revoke(0);
    engine.acknowledge(1).await;
    // Three quarters of the time are over, and one record of the chunk is still on its way.
    engine.wait(8_000).await;
    engine.values(1, 0, &["c"]);
    engine.wait(100).await;
    assert!((&mut handed_over).now_or_never().is_none(), "its result is in the transaction that is open");
    engine.wait(3_000).await;
    assert!((&mut handed_over).now_or_never().is_some());
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.commits.len()), (1, 0), "it was taken back");
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_handed_over_is_sent_before_what_stays() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.world.lock().unwrap().room = 1;
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(1, 0, &["slow1", "slow2", "slow3"]);
    engine.values(0, 0, &["slow4"]);
    engine.settle().await;
    let _handed_over = engine.revoke(0);
    engine.settle().await;
    engine.acknowledge(1).await;
    engine.acknowledge(1).await;
    assert_eq!(engine.results()[..3], ["slow1", "slow2", "slow4"], "slow2 was begun already");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_an_abort_that_is_under_way() {
    let mut engine = Harness::start(exactly_once());
    {
        let mut world = engine.world.lock().unwrap();
        world.commit_answers.push_back(Err(CommitError::Abort("moved".to_owned())));
        world.hold_aborts = true;
    }
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.stop();
    engine.end();
    engine.wait(1_000).await;
    assert!(!engine.engine.is_finished(), "the transaction would stay open");
    engine.wait(20_000).await;
    assert!(engine.engine.await.unwrap().is_err(), "but not forever");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_any_more_is_not_computed() {
    let engine = Harness::start(Options { eager: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow1", "slow2"]);
    engine.settle().await;
    engine.lose(&[0]);
    engine.settle().await;
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow3"]);
    engine.settle().await;
    for _ in 0..3 {
        engine.compute(0).await;
    }
    engine.wait(100).await;
    assert_eq!(engine.results(), ["slow3"]);
    assert_eq!(engine.machine.applied(), 1, "what was lost is not in front of it");
}

#[tokio::test(start_paused = true)]
async fn of_lost_partitions_nothing_more_is_written() {
    let engine = Harness::start(Options { acknowledge: false, order: Order::None, ..Options::default() });
    engine.world.lock().unwrap().room = 1;
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.values(1, 0, &["c"]);
    engine.settle().await;
    engine.lose(&[0]);
    engine.settle().await;
    assert_eq!(engine.world.lock().unwrap().discards, 1);
    // What was queued for the partition that stays was dropped with the rest.
    engine.fail(1, &DeliveryError::Again("purged".to_owned())).await;
    engine.fail(1, &DeliveryError::Again("purged".to_owned())).await;
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "c", "c"]);
    assert_eq!(engine.committed(), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_owner_has_done_is_committed_without_new_records() {
    let before = Harness::start(Options { eager: false, order: Order::None, ..Options::default() });
    before.assign(0, 0, 0, "");
    before.values(0, 0, &["slow", "a"]);
    before.settle().await;
    before.compute(1).await;
    before.wait(200).await;
    let metadata = before.world.lock().unwrap().commits[0][0].metadata.clone();

    // The head is done, the tail was done before.
    let mut engine = Harness::start(Options { drain: true, ..Options::default() });
    engine.assign(0, 0, 2, &metadata);
    engine.values(0, 0, &["slow"]);
    engine.settle().await;
    engine.values(0, 1, &["a"]);
    engine.wait(500).await;
    assert_eq!(engine.results(), ["slow"]);
    assert_eq!(engine.committed().last(), Some(&2));
    assert!(engine.world.lock().unwrap().closed, "all is done");
    engine.end();
    assert_eq!(engine.engine.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_before_says_nothing_of_records_behind_those_that_were_deleted() {
    let before = Harness::start(Options { eager: false, order: Order::None, ..Options::default() });
    before.assign(0, 0, 0, "");
    before.values(0, 0, &["slow", "a", "b"]);
    before.settle().await;
    before.compute(1).await;
    before.wait(200).await;
    let metadata = before.world.lock().unwrap().commits[0][0].metadata.clone();

    let engine = Harness::start(Options { order: Order::None, ..Options::default() });
    engine.assign(0, 7, 7, &metadata);
    engine.values(0, 7, &["c", "d", "e"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["c", "d", "e"]);

    // One record of those that were done is still there: it is not done again.
    let engine = Harness::start(Options { order: Order::None, ..Options::default() });
    engine.assign(0, 2, 2, &metadata);
    engine.values(0, 2, &["b", "c"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn markers_at_the_end_are_committed() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.wait(200).await;
    engine.report(SourceEvent::End(TopicPartition::new("in", 0), Offset(2)));
    engine.wait(200).await;
    assert_eq!(engine.committed(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn offsets_that_went_back_are_committed_as_they_are() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let engine = Harness::start(Options { guarantee, ..Options::default() });
        engine.assign(0, 100, 100, "");
        engine.values(0, 100, &["a", "b"]);
        engine.wait(200).await;
        // The topic was made again.
        engine.values(0, 0, &["c"]);
        engine.wait(200).await;
        assert_eq!(engine.results(), ["a", "b", "c"]);
        assert_eq!(engine.committed(), [102, 1], "{guarantee:?}");
    }
}
