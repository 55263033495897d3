use super::harness::{Harness, Options};
use crate::engine::{FairBy, Order};

fn ordered(order: Order) -> Harness {
    let engine = Harness::start(Options { order, eager: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine
}

#[tokio::test(start_paused = true)]
async fn results_of_one_partition_leave_in_order_whatever_is_computed_first() {
    let engine = ordered(Order::Partition);
    engine.values(0, 0, &["slow1", "slow2", "slow3"]);
    engine.settle().await;
    engine.compute(2).await;
    engine.compute(1).await;
    assert!(engine.results().is_empty());
    engine.compute(0).await;
    assert_eq!(engine.results(), ["slow1", "slow2", "slow3"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_record_holds_back_its_own_key_alone() {
    let engine = ordered(Order::Key);
    engine.records(0, 0, &[("a", "slow"), ("b", "b1"), ("a", "a2"), ("b", "b2"), ("", "free")]);
    engine.settle().await;
    engine.compute(1).await;
    assert_eq!(engine.results(), ["b1", "b2", "free"]);
    engine.compute(0).await;
    assert_eq!(engine.results(), ["b1", "b2", "free", "slow"]);
    engine.compute(0).await;
    assert_eq!(engine.results(), ["b1", "b2", "free", "slow", "a2"]);
    engine.wait(200).await;
    assert_eq!(engine.committed(), [5]);
}

#[tokio::test(start_paused = true)]
async fn without_an_order_nothing_waits() {
    let engine = ordered(Order::None);
    engine.records(0, 0, &[("a", "slow"), ("a", "a2")]);
    engine.settle().await;
    engine.compute(1).await;
    assert_eq!(engine.results(), ["a2"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_on_than_a_commit_can_remember_above_a_gap() {
    let engine = ordered(Order::None);
    engine.values(0, 0, &["slow"]);
    engine.values(0, 16_383, &["inside"]);
    engine.values(0, 16_384, &["outside"]);
    engine.settle().await;
    engine.compute(1).await;
    assert_eq!(engine.results(), ["inside"]);
    assert_eq!(engine.machine.work.lock().unwrap().len(), 1, "only the slow one");
    engine.compute(0).await;
    engine.compute(0).await;
    assert_eq!(engine.results(), ["inside", "slow", "outside"]);
}

#[tokio::test(start_paused = true)]
async fn results_wait_for_room_in_the_budget() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    let held = engine.budget.take((1 << 20) - 300);
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow1", "slow2"]);
    engine.wait(100).await;
    assert_eq!(engine.results(), ["slow1"]);
    drop(held);
    engine.settle().await;
    assert_eq!(engine.results(), ["slow1", "slow2"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_with_much_to_send_does_not_hold_up_another() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    let large: [String; 5] = std::array::from_fn(|index| format!("slow{index}{}", "0".repeat(100_000)));
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    engine.values(0, 0, &large);
    engine.settle().await;
    engine.values(1, 0, &["small"]);
    engine.settle().await;
    // An eighth of the budget is with the producer, one record more at most.
    assert_eq!(engine.results(), large[..2]);
    engine.acknowledge(1).await;
    engine.acknowledge(1).await;
    let position = engine.results().iter().position(|value| value == "small");
    assert!(position.is_some_and(|position| position <= 3), "{position:?}");
}

#[tokio::test(start_paused = true)]
async fn a_requester_with_much_to_compute_does_not_starve_another() {
    for order in [Order::Key, Order::None] {
        let fair_by = Some(FairBy::Key);
        let engine = Harness::start(Options { order, fair_by, eager: false, ..Options::default() });
        engine.assign(0, 0, 0, "");
        let keys: Vec<String> = (0..50).map(|id| format!("slow{id}")).collect();
        let greedy: Vec<(&str, &str)> = keys.iter().map(|value| ("greedy", value.as_str())).collect();
        engine.records(0, 0, &greedy);
        engine.settle().await;
        engine.records(0, 50, &[("modest", "slow modest")]);
        engine.settle().await;
        // What was begun is finished first: four chunks where two cores are.
        for _ in 0..6 {
            if engine.machine.work.lock().unwrap().is_empty() {
                break;
            }
            engine.compute(0).await;
        }
        assert!(engine.results().contains(&"slow modest".to_owned()), "{order:?}: {:?}", engine.results());
        while !engine.machine.work.lock().unwrap().is_empty() {
            engine.compute(0).await;
        }
        engine.wait(200).await;
        assert_eq!(engine.results().len(), 51);
        assert_eq!(engine.committed().last(), Some(&51), "{order:?}");
    }
}
