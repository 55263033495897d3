//! What the broker refuses, and what was in a batch with it.

use std::time::Duration;

use super::harness::{Harness, Options, refusal};
use crate::engine::{DeliveryError, Guarantee, Order, Refusal, Stop};

/// At-least-once, where each record can be sent again by itself.
fn unordered() -> Options {
    Options { order: Order::None, ..Options::default() }
}

fn exactly_once() -> Options {
    Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() }
}

fn too_large(size: u64) -> DeliveryError {
    Refusal { too_large: Some(size), reason: "too large".to_owned() }.into()
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_alone_is_a_dead_letter_with_the_broker_s_reason() {
    let engine = Harness::start(unordered());
    engine.world.lock().unwrap().refuses.0 = Some("bad one");
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "bad one", "b"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "b"]);
    assert_eq!(engine.dead_letters(), ["bad one"]);
    let letter = engine.world.lock().unwrap().sent.last().unwrap().1.clone();
    assert_eq!(letter.headers.get("pipeline.error.class"), Some(&b"result-refused"[..]));
    assert_eq!(letter.headers.get("pipeline.error.message"), Some(&b"the broker refuses the record"[..]));
    assert_eq!(engine.committed().last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_is_sent_again_one_by_one() {
    let engine = Harness::start(Options { acknowledge: false, ..unordered() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b", "c"]);
    engine.settle().await;
    engine.fail(3, &too_large(1)).await;
    engine.values(0, 3, &["d"]);
    engine.settle().await;
    // Each alone: the next goes when the one before is acknowledged.
    assert_eq!(engine.results()[3..], ["a"]);
    engine.acknowledge(1).await;
    assert_eq!(engine.results()[3..], ["a", "b"]);
    engine.fail(1, &too_large(1)).await;
    assert_eq!(engine.results()[3..], ["a", "b", "c"]);
    engine.acknowledge(1).await;
    engine.acknowledge(1).await;
    assert_eq!(engine.dead_letters(), ["b"]);
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.results()[3..], ["a", "b", "c", "d"]);
    assert_eq!(engine.committed().last(), Some(&4));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_lowers_no_limit_for_its_small_records() {
    let engine = Harness::start(Options { acknowledge: false, ..unordered() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.settle().await;
    engine.fail(2, &too_large(1)).await;
    engine.acknowledge(1).await;
    engine.acknowledge(1).await;
    engine.values(0, 2, &["c"]);
    engine.settle().await;
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert!(engine.dead_letters().is_empty(), "{:?}", engine.dead_letters());
    assert_eq!(engine.committed().last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn the_neighbours_of_a_refused_record_are_sent_again_and_are_no_dead_letters() {
    let engine = Harness::start(Options { acknowledge: false, ..unordered() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.settle().await;
    engine.fail(2, &DeliveryError::Again("its batch was refused".to_owned())).await;
    assert_eq!(engine.results(), ["a", "b", "a", "b"], "together");
    engine.acknowledge(2).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [2]);
    assert_eq!(engine.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn exactly_once_a_refused_record_is_a_dead_letter_the_third_time_and_its_neighbours_are_results() {
    let engine = Harness::start(exactly_once());
    engine.world.lock().unwrap().refuses.0 = Some("bad one");
    engine.assign(0, 0, 0, "");
    for _ in 0..3 {
        engine.values(0, 0, &["a", "bad one", "b"]);
        engine.settle().await;
        engine.rewound(&[(0, 0)]);
    }
    assert_eq!(
        engine.results(),
        ["a", "b", "a", "a", "b"],
        "the second time it is alone, and fails before b"
    );
    assert_eq!(engine.dead_letters(), ["bad one"]);
    let world = engine.world.lock().unwrap();
    assert_eq!((world.aborts, world.rewinds, world.commits.len()), (2, 2, 1));
    assert_eq!(world.commits[0][0].offset.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_is_sent_again_without_what_it_may_be_refused_for() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let engine = Harness::start(Options { guarantee, ..unordered() });
        engine.world.lock().unwrap().refuses.1 = Some("bad");
        engine.assign(0, 0, 0, "");
        for _ in 0..3 {
            engine.values(0, 0, &["bad"]);
            engine.settle().await;
            if guarantee == Guarantee::ExactlyOnce {
                engine.rewound(&[(0, 0)]);
            } else {
                break;
            }
        }
        engine.wait(200).await;
        let letter = engine.world.lock().unwrap().sent.last().unwrap().1.clone();
        assert_eq!((letter.timestamp, letter.value.as_deref()), (None, Some(&b"bad"[..])), "{guarantee:?}");
        assert_eq!(letter.headers.get("pipeline.error.timestamp"), Some(&b"7"[..]));
        assert_eq!(engine.committed(), [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn transactions_that_fail_in_a_row_are_tried_again_with_growing_pauses() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    let mut rewinds = Vec::new();
    for _ in 0..6 {
        engine.values(0, 0, &["a"]);
        engine.settle().await;
        engine.fail(1, &DeliveryError::Abort("the broker is in trouble".to_owned())).await;
        engine.wait(50).await;
        rewinds.push(engine.world.lock().unwrap().rewinds);
        engine.wait(5_000).await;
        engine.rewound(&[(0, 0)]);
    }
    assert_eq!(rewinds, [1, 1, 2, 3, 4, 5], "the first one at once, the others later");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.fail(1, &refusal()).await;
    assert_eq!(engine.world.lock().unwrap().rewinds, 7, "what is refused is not sent again as it was");
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_of_a_partition_that_is_gone_leaves_nothing_behind() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    engine.lose(&[0]);
    engine.settle().await;
    engine.fail(1, &refusal()).await;
    assert_eq!(engine.budget.used(), 0, "the room of its chunk is given back");
}

#[tokio::test(start_paused = true)]
async fn at_least_once_the_order_is_kept_where_a_batch_is_refused() {
    for order in [Order::Partition, Order::Key] {
        let engine = Harness::start(Options { order, acknowledge: false, ..Options::default() });
        engine.world.lock().unwrap().hold_commits = true;
        engine.assign(0, 0, 0, "");
        engine.values(0, 0, &["slow", "b", "c"]);
        engine.settle().await;
        engine.acknowledge(1).await;
        engine.wait(150).await;
        assert_eq!(engine.committed(), [1], "a commit that is under way");
        engine.fail(1, &too_large(1)).await;
        engine.wait(100).await;
        {
            let world = engine.world.lock().unwrap();
            assert_eq!((world.discards, world.aborts), (1, 0), "what is queued behind it is not sent");
            assert_eq!(world.rewinds, 0, "the commit may still move the offsets");
        }
        engine.world.lock().unwrap().release_commits();
        engine.settle().await;
        assert_eq!(engine.world.lock().unwrap().rewinds, 1);
        let before = engine.results().len();
        engine.world.lock().unwrap().forget_unacknowledged();
        engine.rewound(&[(0, 1)]);
        engine.values(0, 1, &["b", "c", "d"]);
        engine.settle().await;
        assert_eq!(engine.results()[before..], ["b"], "alone");
        engine.acknowledge(1).await;
        engine.acknowledge(2).await;
        engine.wait(200).await;
        assert_eq!(engine.results()[before..], ["b", "c", "d"], "{order:?}");
        assert_eq!(engine.committed().last(), Some(&4));
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_takes_less_than_was_known_asks_for_clients_that_know() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let engine = Harness::start(Options {
            guarantee,
            acknowledge: false,
            limits_hold: Duration::ZERO,
            ..Options::default()
        });
        engine.assign(0, 0, 0, "");
        engine.values(0, 0, &["a"]);
        engine.settle().await;
        engine.fail(1, &too_large(1)).await;
        let stopped = engine.engine.await.unwrap();
        assert!(matches!(stopped, Err(Stop::TopicLimits(_))), "{guarantee:?}: {stopped:?}");
    }
}
