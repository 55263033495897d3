//! Operators that wait for something outside this process.

use std::sync::LazyLock;

use async_trait::async_trait;
use futures::executor::block_on;
use tokio::runtime::{Builder, Runtime};

use super::{Cost, Operator, OperatorError, Output};
use crate::record::{Offset, Record, TopicPartition};

/// One record that is given to an [`AsyncOperator`].
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The record, as the operator before has made it.
    pub record: Record,
    /// Where the record was read that it comes from; `None` where there is no topic, as in `pipeline test`.
    pub place: Option<(TopicPartition, Offset)>,
    /// Its number among those that were made of that record, from 0.
    pub part: usize,
}

impl Call {
    /// A record that is given alone, where `out` knows it was read.
    pub(super) fn alone(record: Record, out: &Output) -> Self {
        let place = out.place().map(|(partition, offset)| (partition.clone(), offset));
        Call { record, place, part: 0 }
    }

    /// A name for this call that is the same each time it is tried, so that a service can tell a repetition:
    /// `orders-3-1042`, and `orders-3-1042-1` for a second record that was made of one. `None` where there is no topic.
    pub fn id(&self) -> Option<String> {
        let (partition, offset) = self.place.as_ref()?;
        let id = format!("{}-{}-{}", partition.topic, partition.partition, offset.0);
        Some(if self.part == 0 { id } else { format!("{id}-{}", self.part) })
    }
}

/// An [`Operator`] that asks a service, a process or a database, and waits for what it answers.
///
/// The engine keeps many calls under way at once: as many chunks of records for each partition as
/// [`concurrency`](AsyncOperator::concurrency) says. Results leave in the order that the pipeline's file promises, and the
/// guarantee holds as for any operator. Towards what is asked it is at-least-once: after a failure a record is given again,
/// with the same [`Call::id`].
///
/// ```
/// use pipeline::{operator::{AsyncOperator, Call, OperatorError}, record::Record};
///
/// /// Waits a little, and passes everything on.
/// struct Patience;
///
/// #[async_trait::async_trait]
/// impl AsyncOperator for Patience {
///     fn concurrency(&self) -> usize {
///         100
///     }
///
///     async fn call(&self, calls: Vec<Call>) -> Vec<Result<Vec<Record>, OperatorError>> {
///         tokio::time::sleep(std::time::Duration::from_millis(5)).await;
///         calls.into_iter().map(|call| Ok(vec![call.record])).collect()
///     }
/// }
/// ```
#[async_trait]
pub trait AsyncOperator: Send + Sync + 'static {
    /// How many chunks of one partition may wait at once, 1 or more.
    fn concurrency(&self) -> usize;

    /// What becomes of some records of one partition: one answer for each, in their order. An error is handled as that of
    /// [`Operator::apply`], for that record alone. The future is dropped when nobody wants the answers any more.
    async fn call(&self, calls: Vec<Call>) -> Vec<Result<Vec<Record>, OperatorError>>;

    /// What a record costs: it decides how many records go into one call. The default is one, so that none waits for another.
    fn expected(&self, record: &Record) -> Cost {
        Cost { nanos: u64::MAX, bytes: record.size() as u64 }
    }

    /// Registers metrics of its own, as [`Operator::observe`] does.
    fn register(&self, _pipeline: &str) {}
}

/// In the engine its calls are waited for without a thread. Elsewhere, as in `pipeline test`, `apply` waits.
impl<T: AsyncOperator> Operator for T {
    fn cost(&self, record: &Record) -> Cost {
        self.expected(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let _context = runtime()?.enter();
        let answers = block_on(self.call(vec![Call::alone(record, out)]));
        for answer in answers {
            answer?.into_iter().for_each(|record| out.push(record));
        }
        Ok(())
    }

    fn observe(&self, pipeline: &str) {
        self.register(pipeline);
    }

    fn asynchronous(&self) -> Option<&dyn AsyncOperator> {
        Some(self)
    }
}

/// Where input and output happen while `apply` waits.
fn runtime() -> Result<&'static Runtime, OperatorError> {
    static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.map_err(|error| format!("cannot start a thread for what operators wait for: {error}"))
    });
    RUNTIME.as_ref().map_err(|message| OperatorError::Fatal { message: message.clone() })
}
