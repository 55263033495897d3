use futures::FutureExt;

use super::harness::{Harness, Options};
use crate::{engine::*, record::TopicPartition};

#[tokio::test(start_paused = true)]
async fn a_partition_is_handed_over_once_what_is_in_flight_is_finished_and_committed() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let engine = Harness::start(Options { acknowledge: false, guarantee, ..Options::default() });
        engine.assign(0, 0, 0, "");
        engine.values(0, 0, &["a", "b"]);
        engine.settle().await;
        let mut handed_over = engine.revoke(0);
        engine.wait(1_000).await;
        assert!((&mut handed_over).now_or_never().is_none(), "{guarantee:?}: in flight");
        engine.acknowledge(2).await;
        engine.settle().await;
        assert!((&mut handed_over).now_or_never().is_some());
        assert_eq!(engine.committed(), [2], "{guarantee:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_by_the_deadline_is_abandoned_and_the_rest_committed() {
    let engine = Harness::start(Options { eager: false, order: Order::None, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.values(0, 1, &["slow"]);
    engine.settle().await;
    engine.compute(0).await;
    let mut handed_over = engine.revoke(0);
    engine.wait(5_000).await;
    assert!((&mut handed_over).now_or_never().is_none());
    engine.wait(5_000).await;
    assert!((&mut handed_over).now_or_never().is_some());
    assert_eq!(engine.committed(), [1]);
    // It comes to its end too late, and leads to nothing.
    engine.compute(0).await;
    assert_eq!(engine.results(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn other_partitions_go_on_while_one_is_handed_over() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    let _handed_over = engine.revoke(0);
    engine.values(1, 0, &["b"]);
    engine.settle().await;
    assert_eq!(engine.results(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn records_of_a_partition_that_is_gone_lead_to_nothing() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.revoke(0).await.unwrap_err();
    engine.values(0, 0, &["late"]);
    engine.wait(500).await;
    assert!(engine.results().is_empty() && engine.committed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_lost_partitions_nothing_is_committed() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    assert_eq!(engine.progress.partitions(), 1);
    engine.lose(&[0]);
    engine.wait(500).await;
    assert!(engine.committed().is_empty());
    assert_eq!(engine.progress.partitions(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_for_lost_partitions_is_taken_back() {
    let engine = Harness::start(Options {
        acknowledge: false,
        guarantee: Guarantee::ExactlyOnce,
        ..Options::default()
    });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.lose(&[0]);
    engine.wait(500).await;
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.rewinds, world.commits.len()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_commit_under_way_is_taken_back_before_a_lost_partition_can_be_joined_again() {
    let engine = Harness::start(Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() });
    engine.world.lock().unwrap().hold_commits = true;
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    assert_eq!(engine.committed(), [1]);
    let noticed = engine.lose(&[0]);
    engine.settle().await;
    assert!(noticed.await.is_err(), "the group is joined again once the engine has let go");
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.rewinds), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn offsets_under_way_are_not_sent_by_the_member_that_the_worker_becomes_after_a_loss() {
    let engine = Harness::start(Options::default());
    engine.world.lock().unwrap().hold_commits = true;
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    assert_eq!(engine.committed(), [1]);
    let noticed = engine.lose(&[0]);
    engine.wait(500).await;
    assert_eq!(noticed.now_or_never(), None, "the commit is not over");
    assert_eq!(engine.progress.partitions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_does_not_go_through_delays_a_hand_over_but_not_for_ever() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    let refused = std::iter::repeat_n(Err(CommitError::Passing("the broker is away".to_owned())), 1_000);
    engine.world.lock().unwrap().commit_answers.extend(refused);
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    let mut handed_over = engine.revoke(0);
    engine.acknowledge(1).await;
    engine.wait(9_000).await;
    assert!((&mut handed_over).now_or_never().is_none());
    engine.wait(2_000).await;
    assert!((&mut handed_over).now_or_never().is_some());
    assert!(engine.committed().len() < 200, "with pauses between");
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_leaves_the_group_after_a_last_commit() {
    let mut engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.stop();
    engine.settle().await;
    assert!(engine.world.lock().unwrap().closed);
    engine.revoke(0).await.unwrap_err();
    engine.end();
    assert_eq!(engine.engine.await.unwrap(), Ok(()));
    assert_eq!(engine.world.lock().unwrap().commits[0][0].offset.0, 1);
}

#[tokio::test(start_paused = true)]
async fn draining_ends_once_all_that_was_there_at_the_start_is_committed() {
    let mut engine = Harness::start(Options { drain: true, acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 2, "");
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    engine.acknowledge(1).await;
    engine.wait(500).await;
    assert!(!engine.world.lock().unwrap().closed, "offset 1 was there too");
    // It was a transaction's marker.
    engine.report(SourceEvent::End(TopicPartition::new("in", 0), crate::record::Offset(2)));
    engine.wait(500).await;
    assert!(engine.world.lock().unwrap().closed);
    engine.end();
    assert_eq!(engine.engine.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn having_lost_everything_is_not_having_drained_it() {
    let engine = Harness::start(Options { drain: true, ..Options::default() });
    engine.assign(0, 0, 2, "");
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    engine.lose(&[0]);
    engine.wait(500).await;
    assert!(!engine.world.lock().unwrap().closed);
    engine.assign(0, 1, 2, "");
    engine.values(0, 1, &["b"]);
    engine.wait(500).await;
    assert!(engine.world.lock().unwrap().closed);
}

#[tokio::test(start_paused = true)]
async fn partitions_that_come_while_a_transaction_is_aborted_do_not_abort_the_next() {
    let engine = Harness::start(Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() });
    engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Abort("moved".to_owned())));
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.assign(1, 0, 0, "");
    engine.rewound(&[(0, 0), (1, 0)]);
    engine.values(0, 0, &["a"]);
    engine.wait(500).await;
    assert_eq!(engine.world.lock().unwrap().aborts, 1);
    assert_eq!(engine.committed(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_sink_when_its_partition_is_handed_over_too_late_is_not_sent() {
    for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce] {
        let engine = Harness::start(Options { guarantee, ..Options::default() });
        engine.world.lock().unwrap().room = 0;
        engine.assign(0, 0, 1, "");
        engine.assign(1, 0, 1, "");
        engine.values(0, 0, &["gone"]);
        engine.wait(100).await;
        let (handover, mut handed_over) = Handover::new();
        engine.report(SourceEvent::Revoked(vec![TopicPartition::new("in", 0)], handover));
        engine.wait(11_000).await;
        assert!((&mut handed_over).now_or_never().is_some(), "{guarantee:?}");
        engine.world.lock().unwrap().room = 1_000;
        engine.values(1, 0, &["ours"]);
        engine.wait(1_000).await;
        assert_eq!(engine.results(), ["ours"], "{guarantee:?}: the other is the next owner's to do");
    }
}
