//! A pipeline without a broker: records go in, results and dead letters come out.
//!
//! For tests of operators and pipelines, as Kafka Streams' `TopologyTestDriver` is; `pipeline test` runs a
//! file's own cases with it. Topics' size limits, order and commits are the engine's.
//!
//! Knows: config, engine, format, operator, record. Must not know: rdkafka, tokio, clap.

mod case;
mod json;
mod rows;

pub use case::{Difference, run_case};

use crate::{
    config::Pipeline,
    engine::{Retries, Scratch, Topology},
    operator::{OperatorError, SharedState},
    record::{Offset, Record, TopicPartition, classes},
};

/// A record that could not be computed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The record as it was read.
    pub record: Record,
    /// The class, such as `not-a-number`.
    pub class: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// Runs a pipeline's operators on records, one at a time.
///
/// ```
/// use pipeline::{config, record::Record, testing::TestDriver};
///
/// let (pipeline, _warnings) = config::load("factorial.toml", &[])?;
/// let mut driver = TestDriver::new(&pipeline);
///
/// let request = Record { key: Some("k".into()), value: Some("5".into()), ..Record::default() };
/// let results = driver.pipe(request.clone())?;
/// assert_eq!(results, [Record { value: Some("5;120".into()), ..request }]);
///
/// let results = driver.pipe(Record { value: Some("five".into()), ..Record::default() })?;
/// assert!(results.is_empty());
/// assert_eq!(driver.dead_letters()[0].class, "not-a-number");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestDriver {
    topology: Topology,
    retries: Retries,
    dead_letters: Vec<DeadLetter>,
    /// What its operators remember, where they do.
    state: Option<SharedState>,
}

impl TestDriver {
    /// Creates a driver for that pipeline's operators.
    pub fn new(pipeline: &Pipeline) -> Self {
        TestDriver {
            topology: pipeline.topology(),
            state: pipeline.changelog().map(|_| SharedState::in_memory()),
            retries: pipeline.retries.clone(),
            dead_letters: Vec::new(),
        }
    }

    /// Takes a record through the operators and returns its results. Bad input goes to the [dead
    /// letters](TestDriver::dead_letters), and so does a record that still fails after the pipeline's number
    /// of attempts, which are made without pauses.
    ///
    /// # Errors
    /// A fatal error of an operator, on which the pipeline would stop; or that what it has to ask does not answer.
    pub fn pipe(&mut self, record: Record) -> Result<Vec<Record>, OperatorError> {
        self.apply(record, &mut Scratch::default())
    }

    /// The same of a record that was read from that topic.
    ///
    /// # Errors
    /// As [`pipe`](TestDriver::pipe).
    pub fn pipe_from(&mut self, topic: &str, record: Record) -> Result<Vec<Record>, OperatorError> {
        let mut scratch = Scratch::default();
        scratch.set_place(&TopicPartition::new(topic, 0), Offset(0));
        self.apply(record, &mut scratch)
    }

    fn apply(&mut self, record: Record, scratch: &mut Scratch) -> Result<Vec<Record>, OperatorError> {
        if let Some(state) = &self.state {
            scratch.set_state(state.clone());
        }
        // After each wait in a retry topic a record has all of its attempts again.
        let rounds = 1 + self.retries.topics.len() as u32;
        let mut attempt = 1;
        loop {
            let mut results = Vec::new();
            match self.topology.apply(record.clone(), &mut results, scratch, |_, _| ()) {
                Ok(()) => return Ok(results),
                Err(OperatorError::Passing { failure, .. })
                    if attempt < rounds.saturating_mul(self.retries.of(failure).attempts) =>
                {
                    attempt += 1;
                }
                Err(OperatorError::Passing { message, .. }) => {
                    self.dead_letters.push(DeadLetter { record, class: classes::RETRIES_EXHAUSTED, message });
                    return Ok(Vec::new());
                }
                Err(OperatorError::BadInput { class, message }) => {
                    self.dead_letters.push(DeadLetter { record, class, message });
                    return Ok(Vec::new());
                }
                Err(error @ (OperatorError::Away { .. } | OperatorError::Fatal { .. })) => return Err(error),
            }
        }
    }

    /// Every dead letter so far, in order.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::{
        config::{Step, load},
        operator::{Operator, Output},
    };

    /// Fails in passing until it was tried often enough; fails fatally on an empty value.
    struct Moody {
        works_at: u32,
        tried: AtomicU32,
    }

    impl Operator for Moody {
        fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
            if record.value.is_none() {
                return Err(OperatorError::Fatal { message: "broken".into() });
            }
            if self.tried.fetch_add(1, Ordering::Relaxed) + 1 < self.works_at {
                return Err(OperatorError::Passing { failure: "not-yet", message: "not yet".into() });
            }
            out.push(record);
            Ok(())
        }
    }

    fn driver(works_at: u32) -> TestDriver {
        let (mut pipeline, _) = load("identity.toml", &["retry.attempts=3".parse().unwrap()]).unwrap();
        let operator = Arc::new(Moody { works_at, tried: AtomicU32::new(0) });
        pipeline.steps.push(Step { name: "moody".into(), kind: "moody", settings: Vec::new(), operator });
        TestDriver::new(&pipeline)
    }

    fn record() -> Record {
        Record { key: Some("k".into()), value: Some("v".into()), ..Record::default() }
    }

    #[test]
    fn what_fails_in_passing_is_tried_as_often_as_the_pipeline_says() {
        let mut patient = driver(3);
        assert_eq!(patient.pipe(record()), Ok(vec![record()]));
        assert_eq!(patient.dead_letters(), []);

        let mut exhausted = driver(4);
        assert_eq!(exhausted.pipe(record()), Ok(vec![]));
        let letter = DeadLetter { record: record(), class: "retries-exhausted", message: "not yet".into() };
        assert_eq!(exhausted.dead_letters(), [letter]);
    }

    #[test]
    fn a_fatal_error_is_given_back() {
        let fatal = driver(1).pipe(Record::default());
        assert_eq!(fatal, Err(OperatorError::Fatal { message: "broken".into() }));
    }
}
