use super::harness::{Harness, Options};
use crate::{engine::*, record::Offset};

fn exactly_once() -> Options {
    Options { guarantee: Guarantee::ExactlyOnce, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_before_it_is_acknowledged() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.assign(0, 5, 5, "");
    engine.values(0, 5, &["a", "slow", "b"]);
    engine.wait(500).await;
    assert_eq!(engine.results(), ["a", "slow", "b"]);
    assert!(engine.committed().is_empty());
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [6]);
    engine.acknowledge(2).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [6, 8]);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_above_a_gap_is_kept_in_the_commit_and_not_done_again() {
    let engine =
        Harness::start(Options { eager: false, order: crate::engine::Order::None, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow", "a", "b"]);
    engine.settle().await;
    engine.compute(1).await;
    engine.wait(200).await;
    let commit = engine.world.lock().unwrap().commits[0][0].clone();
    assert_eq!(commit.offset, Offset(0));

    let next = Harness::start(Options::default());
    next.assign(0, commit.offset.0, 3, &commit.metadata);
    next.values(0, 0, &["slow", "a", "b", "c"]);
    next.wait(200).await;
    assert_eq!(next.results(), ["slow", "c"]);
    assert_eq!(next.committed(), [4]);
}

#[tokio::test(start_paused = true)]
async fn records_that_make_nothing_or_two_results_are_committed_all_the_same() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["drop", "slow1", "twice", "slow2"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["slow1", "twice", "twice", "slow2"]);
    assert_eq!(engine.committed(), [1]);
    engine.acknowledge(2).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [1, 2]);
    engine.acknowledge(2).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [1, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn bad_input_becomes_a_dead_letter_that_says_where_it_came_from() {
    let engine = Harness::start(Options::default());
    engine.assign(3, 40, 40, "");
    engine.records(3, 40, &[("k", "bad"), ("k", "good")]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["good"]);
    let letter = engine.world.lock().unwrap().sent[0].1.clone();
    let header = |name: &str| letter.headers.get(&format!("pipeline.error.{name}")).map(<[u8]>::to_vec);
    assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (Some(&b"k"[..]), Some(&b"bad"[..])));
    assert_eq!(header("class").unwrap(), b"bad");
    assert_eq!(header("message").unwrap(), b"it is bad");
    assert_eq!(header("topic").unwrap(), b"in");
    assert_eq!(header("partition").unwrap(), b"3");
    assert_eq!(header("offset").unwrap(), b"40");
    assert_eq!(header("timestamp").unwrap(), b"7");
    assert_eq!(header("attempts").unwrap(), b"1");
    assert_eq!(engine.committed(), [42]);
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_again_and_the_order_kept() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["flaky", "a"]);
    engine.settle().await;
    assert!(engine.results().is_empty());
    engine.wait(100).await;
    assert_eq!(engine.results(), ["flaky", "a"]);
    assert!(engine.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_waited_for_beyond_all_attempts_and_is_no_dead_letter() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["away", "a"]);
    engine.settle().await;
    assert!(engine.results().is_empty());
    for _ in 0..20 {
        engine.wait(1_000).await;
    }
    assert_eq!(engine.results(), ["away", "a"]);
    assert!(engine.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fatal_failure_stops_the_pipeline_and_says_where() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow", "fatal"]);
    let stop = engine.engine.await.unwrap().unwrap_err();
    assert!(stop.to_string().starts_with("at in[0] offset 1: "), "{stop}");
}

#[tokio::test(start_paused = true)]
async fn a_record_on_which_an_operator_panics_is_a_dead_letter_and_the_others_go_on() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "panic", "costly panic", "b"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "b"]);
    assert_eq!(engine.dead_letters(), ["panic", "costly panic"]);
    let letter = engine.world.lock().unwrap().sent[1].1.clone();
    assert_eq!(letter.headers.get("pipeline.error.class"), Some(&b"operator-panicked"[..]));
    let message = letter.headers.get("pipeline.error.message").unwrap();
    assert_eq!(message, b"an operator panicked: as the test wants it");
    assert_eq!(engine.committed(), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_full_sink_is_waited_for_and_nothing_overtakes() {
    let engine = Harness::start(Options { acknowledge: false, ..Options::default() });
    engine.world.lock().unwrap().room = 2;
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b", "c", "d", "e"]);
    engine.settle().await;
    assert_eq!(engine.results(), ["a", "b"]);
    engine.acknowledge(2).await;
    assert_eq!(engine.results(), ["a", "b", "c", "d"]);
    engine.acknowledge(2).await;
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [5]);
    assert_eq!(engine.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_in_passing_is_tried_again() {
    let engine = Harness::start(Options::default());
    engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Passing("moving".to_owned())));
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.wait(1_000).await;
    assert_eq!(engine.committed(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_ends_once_all_is_acknowledged_and_not_before() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a", "b"]);
    engine.wait(1_000).await;
    engine.acknowledge(1).await;
    engine.wait(1_000).await;
    assert!(engine.committed().is_empty());
    engine.acknowledge(1).await;
    // No interval passes: whoever waits for the result would wait for it.
    assert_eq!(engine.committed(), [2]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_a_transaction_ends_but_computing_goes_on() {
    let engine = Harness::start(Options { acknowledge: false, ..exactly_once() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["slow1", "slow2"]);
    engine.settle().await;
    engine.acknowledge(1).await;
    // The interval is over: the transaction settles, with one record still unacknowledged.
    engine.wait(150).await;
    engine.values(0, 2, &["next"]);
    engine.wait(150).await;
    assert_eq!(engine.results(), ["slow1", "slow2"]);
    engine.acknowledge(1).await;
    assert_eq!(engine.committed(), [2]);
    assert_eq!(engine.results(), ["slow1", "slow2", "next"]);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_transaction_is_done_again_from_the_committed_offsets() {
    let engine = Harness::start(exactly_once());
    engine.world.lock().unwrap().commit_answers.push_back(Err(CommitError::Abort("fenced".to_owned())));
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["a"]);
    engine.settle().await;
    // What was read before the source has gone back belongs to nobody.
    engine.values(0, 1, &["b"]);
    engine.settle().await;
    {
        let world = engine.world.lock().unwrap();
        assert_eq!((world.aborts, world.rewinds), (1, 1));
    }
    engine.rewound(&[(0, 0)]);
    engine.values(0, 0, &["a", "b"]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "a", "b"]);
    assert_eq!(engine.committed(), [1, 2]);
}
