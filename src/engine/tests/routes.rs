//! Results that go to several topics.

use super::harness::{Harness, Options};
use crate::{
    engine::{DeliveryError, Guarantee, Order, Refusal},
    record::{Destination, ResultTopic},
};

#[tokio::test(start_paused = true)]
async fn results_of_one_partition_leave_in_order_whatever_their_topics_and_are_committed_as_one() {
    let engine = Harness::start(Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "second b", "bad", "c", "second d"]);
    engine.wait(200).await;
    let second = Destination::Result(ResultTopic(1));
    let sent: Vec<_> = engine.world.lock().unwrap().sent.iter().map(|(to, _)| *to).collect();
    assert_eq!(sent, [Destination::SINK, second, Destination::DeadLetter, Destination::SINK, second]);
    assert_eq!(engine.results(), ["a", "c"]);
    assert_eq!(engine.second_results(), ["second b", "second d"]);
    assert_eq!(engine.committed(), [5]);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_held_against_the_limit_of_its_own_topic() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    let (large, too_large) = ("x".repeat(300), format!("second {}", "x".repeat(300)));
    engine.values(0, 0, &[&large, &too_large, "second fits"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), [large]);
    assert_eq!(engine.second_results(), ["second fits"]);
    assert_eq!(engine.dead_letters(), [too_large]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_refuses_a_size_lowers_no_other_topic_s_limit() {
    let engine = Harness::start(Options { order: Order::None, acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["second 1"]);
    engine.settle().await;
    let too_large: DeliveryError = Refusal { too_large: Some(8), reason: "too large".to_owned() }.into();
    // Twice: the second time it was alone.
    engine.fail(1, &too_large).await;
    engine.fail(1, &too_large).await;
    assert_eq!(engine.dead_letters(), ["second 1"]);
    engine.acknowledge(1).await;
    engine.wait(200).await;
    engine.values(0, 1, &["just as large", "second 2"]);
    engine.settle().await;
    assert_eq!(engine.results(), ["just as large"]);
    assert_eq!(engine.dead_letters(), ["second 1", "second 2"]);
}
