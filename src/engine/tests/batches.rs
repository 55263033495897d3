//! Operators that take many records at once.

use std::sync::{Arc, Mutex};

use super::harness::*;
use crate::{
    operator::{BatchOperator, Call, Cancel, Cost, Operator, OperatorError, Output},
    record::{Record, classes},
};

/// The values that an operator was given at once, and their numbers among those of one record.
type Given = Vec<(String, usize)>;

/// Marks values, and remembers which records it was given at once.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<Vec<Given>>>);

impl BatchOperator for Marks {
    fn apply_batch(&self, calls: Vec<Call>, _: &Cancel) -> Vec<Result<Vec<Record>, OperatorError>> {
        let value = |call: &Call| String::from_utf8(call.record.value.as_deref().unwrap().to_vec()).unwrap();
        let mut given = self.0.lock().unwrap();
        let before = given.concat();
        given.push(calls.iter().map(|call| (value(call), call.part)).collect());
        drop(given);
        let answers = calls.into_iter().map(|call| match value(&call).as_str() {
            "break" => panic!("as the test wants it"),
            "poor" => {
                Err(OperatorError::BadInput { class: classes::NOT_JSON, message: "it is bad".to_owned() })
            }
            "later" if !before.contains(&("later".to_owned(), 0)) => {
                Err(OperatorError::Passing { failure: "not-yet", message: "not yet".to_owned() })
            }
            "much later" if !before.contains(&("much later".to_owned(), 0)) => {
                Err(OperatorError::Passing { failure: "overloaded", message: "not yet".to_owned() })
            }
            "none" => Ok(Vec::new()),
            value => Ok(vec![Record { value: Some(format!("{value}!").into()), ..call.record }]),
        });
        answers.collect()
    }
}

impl Operator for Marks {
    fn cost(&self, record: &Record) -> Cost {
        Cost { nanos: 1_000, bytes: record.size() as u64 }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        self.apply_one(record, out)
    }

    fn batched(&self) -> Option<&dyn BatchOperator> {
        Some(self)
    }

    fn holds(&self) -> u64 {
        1_000_000
    }
}

/// Makes two records of each, but of those with long values.
struct Twice;

impl Operator for Twice {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        out.push(record.clone());
        if record.value.as_deref().is_some_and(|value| value.len() == 1) {
            out.push(record);
        }
        Ok(())
    }
}

fn start(operators: Vec<Arc<dyn Operator>>) -> Harness {
    let harness = Harness::start(Options { operators, ..Options::default() });
    harness.assign(0, 0, 5, "");
    harness
}

#[tokio::test(start_paused = true)]
async fn records_are_given_together_and_each_has_its_own_answer() {
    let marks = Marks::default();
    let harness = start(vec![Arc::new(marks.clone())]);
    harness.values(0, 0, &["a", "poor", "none", "later", "b"]);
    harness.wait(1_000).await;
    assert_eq!(harness.results(), ["a!", "later!", "b!"], "in their order, with one tried again");
    assert_eq!(harness.dead_letters(), ["poor"]);
    assert_eq!(harness.committed(), [5]);
    let given = marks.0.lock().unwrap();
    let names = |at: usize| given[at].iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>();
    assert_eq!((names(0), names(1)), (vec!["a", "poor", "none", "later", "b"], vec!["later"]));
}

#[tokio::test(start_paused = true)]
async fn each_record_of_a_chunk_waits_for_its_own_time() {
    let marks = Marks::default();
    let harness = start(vec![Arc::new(marks.clone())]);
    harness.values(0, 0, &["much later", "later", "a"]);
    harness.wait(9_000).await;
    let given = || marks.0.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(given(), [3, 1], "the one that may be tried soon was");
    harness.wait(12_000).await;
    assert_eq!(
        (given(), harness.results()),
        (vec![3, 1, 1], vec!["much later!".into(), "later!".into(), "a!".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_made_before_is_given_with_its_number_and_collected_after() {
    let (first, second) = (Marks::default(), Marks::default());
    let harness = start(vec![Arc::new(Twice), Arc::new(first.clone()), Arc::new(second.clone())]);
    harness.values(0, 0, &["a", "poor", "b"]);
    harness.wait(1_000).await;
    assert_eq!(harness.results(), ["a!!", "a!!", "b!!", "b!!"]);
    assert_eq!(harness.dead_letters(), ["poor"]);
    let parts = |marks: &Marks| {
        marks.0.lock().unwrap().concat().into_iter().map(|(_, part)| part).collect::<Vec<_>>()
    };
    assert_eq!((parts(&first), parts(&second)), (vec![0, 1, 0, 0, 1], vec![0, 1, 0, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_dead_letter_of_the_record_that_is_to_blame() {
    let harness = start(vec![Arc::new(Marks::default())]);
    harness.values(0, 0, &["a", "break", "b"]);
    harness.wait(1_000).await;
    assert_eq!(
        (harness.results(), harness.dead_letters()),
        (vec!["a!".into(), "b!".into()], vec!["break".into()])
    );
    assert_eq!(harness.committed(), [3]);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_holds_counts_in_the_budget() {
    let harness = start(vec![Arc::new(Marks::default())]);
    harness.wait(5_000).await;
    assert_eq!(harness.budget.used(), 1 << 19, "half of it at most, so that records have room");
}
