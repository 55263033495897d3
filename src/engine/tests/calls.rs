//! Operators that wait: the test is what they ask.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::oneshot;

use super::harness::*;
use crate::{
    engine::*,
    operator::{AsyncOperator, Call, Operator, OperatorError},
    record::{Record, classes},
    telemetry::Stage,
};

type Answer = Vec<Result<Vec<Record>, OperatorError>>;

/// A question that waits for the test's answer.
struct Question {
    calls: Vec<Call>,
    answer: oneshot::Sender<Answer>,
}

impl Question {
    fn value(&self) -> String {
        String::from_utf8(self.calls[0].record.value.clone().unwrap().to_vec()).unwrap()
    }

    /// Everything is passed on, with a mark.
    fn answer(self) {
        let answers = self.calls.into_iter().map(|call| {
            let value = call.record.value.as_deref().unwrap_or_default();
            Ok(vec![Record { value: Some([value, b"!"].concat().into()), ..call.record }])
        });
        let answers = answers.collect();
        let _ = self.answer.send(answers);
    }

    fn fail(self, error: OperatorError) {
        let answers = self.calls.iter().map(|_| Err(error.clone())).collect();
        let _ = self.answer.send(answers);
    }
}

/// The questions that are open, in the order in which they were asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Question>>>);

#[async_trait]
impl AsyncOperator for Asked {
    fn concurrency(&self) -> usize {
        20
    }

    async fn call(&self, calls: Vec<Call>) -> Answer {
        assert!(calls[0].record.value.as_deref() != Some(b"call panic"), "as the test wants it");
        let (answer, answered) = oneshot::channel();
        self.0.lock().unwrap().push(Question { calls, answer });
        answered.await.unwrap_or_default()
    }
}

impl Asked {
    fn start(options: Options) -> (Asked, Harness) {
        let asked = Asked::default();
        let operators = vec![Arc::new(asked.clone()) as Arc<dyn Operator>];
        let harness = Harness::start(Options { operators, ..options });
        (asked, harness)
    }

    fn values(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(Question::value).collect()
    }

    fn take(&self, value: &str) -> Question {
        let mut questions = self.0.lock().unwrap();
        let place = questions.iter().position(|question| question.value() == value);
        questions.remove(place.unwrap_or_else(|| panic!("nobody asks for {value}")))
    }
}

fn passing() -> OperatorError {
    OperatorError::Passing { failure: "busy", message: "it is busy".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn many_calls_are_under_way_and_results_leave_in_order() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 3, "");
    harness.values(0, 0, &["a", "b", "c"]);
    harness.settle().await;
    assert_eq!(asked.values(), ["a", "b", "c"], "none waits for another");
    asked.take("c").answer();
    asked.take("b").answer();
    harness.wait(200).await;
    assert_eq!((harness.results(), harness.committed()), (vec![], vec![]));
    asked.take("a").answer();
    harness.wait(200).await;
    assert_eq!(harness.results(), ["a!", "b!", "c!"]);
    assert_eq!(harness.committed(), [3]);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_partition_whose_records_are_all_with_a_service_goes_there() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 2, "");
    harness.values(0, 0, &["a", "b"]);
    harness.wait(1_500).await;
    let spent = |stage| harness.progress.stage(stage).as_millis();
    // The calls begin once the loop has looked; from its next turn on they are seen.
    let (calls, computed) = (spent(Stage::Call), spent(Stage::Compute));
    harness.wait(3_000).await;
    asked.take("b").answer();
    harness.wait(2_000).await;
    assert_eq!((spent(Stage::Call) - calls, spent(Stage::Compute) - computed), (5_000, 0));
    asked.take("a").answer();
    harness.wait(1_500).await;
    assert!(spent(Stage::Call) - calls <= 5_500 && spent(Stage::Compute) == computed);
}

#[tokio::test(start_paused = true)]
async fn with_order_by_key_only_records_of_the_same_key_wait() {
    let (asked, harness) = Asked::start(Options { order: Order::Key, ..Options::default() });
    harness.assign(0, 0, 3, "");
    harness.records(0, 0, &[("k", "a"), ("k", "b"), ("l", "c")]);
    harness.settle().await;
    assert_eq!(asked.values(), ["a", "c"]);
    asked.take("c").answer();
    harness.wait(200).await;
    assert_eq!(harness.results(), ["c!"]);
    asked.take("a").fail(passing());
    harness.settle().await;
    assert_eq!(asked.values(), Vec::<String>::new(), "b waits while a is tried again");
    harness.wait(100).await;
    asked.take("a").answer();
    harness.settle().await;
    asked.take("b").answer();
    harness.wait(200).await;
    assert_eq!(harness.results(), ["c!", "a!", "b!"]);
    assert_eq!(harness.committed().last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn how_often_and_when_a_record_is_tried_again_depends_on_what_has_failed() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 1, "");
    harness.values(0, 0, &["a"]);
    let overloaded = || OperatorError::Passing { failure: "overloaded", message: "too much".to_owned() };
    harness.settle().await;
    asked.take("a").fail(overloaded());
    harness.wait(9_000).await;
    assert_eq!(asked.values(), Vec::<String>::new(), "at least half of 20 s");
    harness.wait(11_500).await;
    asked.take("a").fail(overloaded());
    harness.wait(200).await;
    assert_eq!(
        (harness.dead_letters(), harness.committed()),
        (vec!["a".to_owned()], vec![1]),
        "two attempts"
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_is_tried_again_alone_and_is_a_dead_letter_in_the_end() {
    let (asked, harness) = Asked::start(Options { order: Order::None, ..Options::default() });
    harness.assign(0, 0, 2, "");
    harness.values(0, 0, &["a", "b"]);
    harness.settle().await;
    asked.take("b").answer();
    for _ in 0..3 {
        harness.wait(500).await;
        asked.take("a").fail(passing());
    }
    harness.wait(500).await;
    assert_eq!((harness.results(), harness.dead_letters()), (vec!["b!".to_owned()], vec!["a".to_owned()]));
    let letter = harness.world.lock().unwrap().sent.last().unwrap().1.clone();
    let header = |name| String::from_utf8(letter.headers.get(name).unwrap().to_vec()).unwrap();
    assert_eq!(header("pipeline.error.class"), classes::RETRIES_EXHAUSTED);
    assert_eq!(header("pipeline.error.message"), "it is busy (gave up after 3 attempts)");
    assert_eq!(harness.committed().last(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn what_is_away_is_asked_until_it_answers() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 1, "");
    harness.values(0, 0, &["a"]);
    for _ in 0..30 {
        harness.wait(2_000).await;
        asked.take("a").fail(OperatorError::Away { message: "nobody answers".to_owned() });
    }
    harness.wait(2_000).await;
    asked.take("a").answer();
    harness.wait(200).await;
    assert_eq!((harness.results(), harness.committed()), (vec!["a!".to_owned()], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_operators_before_and_of_the_call_are_dead_letters_in_their_place() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 5, "");
    harness.values(0, 0, &["bad", "drop", "a", "call panic", "twice"]);
    harness.settle().await;
    let bad = OperatorError::BadInput { class: "refused", message: "it says no".to_owned() };
    asked.take("a").fail(bad);
    let twice = asked.take("twice");
    let ids: Vec<_> = twice.calls.iter().map(|call| call.id().unwrap()).collect();
    assert_eq!(ids, ["in-0-4", "in-0-4-1"], "each part has a name of its own");
    twice.answer();
    harness.wait(200).await;
    assert_eq!(harness.dead_letters(), ["bad", "a", "call panic"]);
    assert_eq!((harness.results(), harness.committed()), (vec!["twice!".to_owned(); 2], vec![5]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_holds_neither_a_hand_over_nor_its_neighbours() {
    let (asked, harness) = Asked::start(Options { order: Order::None, ..Options::default() });
    harness.assign(0, 0, 1, "");
    harness.assign(1, 0, 1, "");
    harness.values(0, 0, &["hangs"]);
    harness.values(1, 0, &["b"]);
    harness.settle().await;
    let mut handed_over = harness.revoke(0);
    asked.take("b").answer();
    harness.wait(200).await;
    assert_eq!(harness.results(), ["b!"]);
    assert!((&mut handed_over).now_or_never().is_none(), "it may still answer");
    harness.wait(11_000).await;
    assert!((&mut handed_over).now_or_never().is_some(), "shutdown.timeout has passed");
    assert!(asked.take("hangs").answer.is_closed(), "the call is dropped");
    assert!(!harness.committed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_calls_under_way_and_begins_no_more() {
    let (asked, mut harness) = Asked::start(Options::default());
    harness.assign(0, 0, 2, "");
    harness.values(0, 0, &["a", "b"]);
    harness.settle().await;
    let handed_over = harness.revoke(0);
    harness.stop();
    harness.settle().await;
    asked.take("b").answer();
    asked.take("a").answer();
    harness.settle().await;
    handed_over.await.unwrap_err();
    harness.end();
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), harness.engine).await.unwrap().unwrap(), Ok(()));
    assert_eq!(harness.world.lock().unwrap().sent.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn too_few_answers_stop_the_pipeline_with_a_sentence() {
    let (asked, harness) = Asked::start(Options::default());
    harness.assign(0, 0, 1, "");
    harness.values(0, 0, &["a"]);
    harness.settle().await;
    let _ = asked.take("a").answer.send(Vec::new());
    let ended = harness.engine.await.unwrap();
    assert_eq!(ended, Err(Stop::Fatal("an operator gave 0 answers to 1 records".to_owned())));
}
