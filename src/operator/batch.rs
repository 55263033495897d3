//! Operators that compute many records at once.

use super::{Call, Cancel, OperatorError};
use crate::record::Record;

/// An [`Operator`](super::Operator) that is cheaper for many records at once than for one after another: what has to be entered
/// and left, such as a sandbox or a model.
///
/// It is given up to 2,000 records of one partition, as many as [`cost`](super::Operator::cost) says are worth about two
/// milliseconds. Each has an answer of its own, so one that is bad holds no other up.
///
/// ```
/// use pipeline::{
///     operator::{BatchOperator, Call, Cancel, Operator, OperatorError, Output},
///     record::Record,
/// };
///
/// /// Passes records on, many at once.
/// struct Pass;
///
/// impl BatchOperator for Pass {
///     fn apply_batch(&self, calls: Vec<Call>, _: &Cancel) -> Vec<Result<Vec<Record>, OperatorError>> {
///         calls.into_iter().map(|call| Ok(vec![call.record])).collect()
///     }
/// }
///
/// impl Operator for Pass {
///     fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
///         self.apply_one(record, out)
///     }
///
///     fn batched(&self) -> Option<&dyn BatchOperator> {
///         Some(self)
///     }
/// }
/// ```
pub trait BatchOperator: Send + Sync + 'static {
    /// What becomes of some records of one partition: one answer for each, in their order. An error is handled as that of
    /// [`Operator::apply`](super::Operator::apply), for that record alone. Where `cancel` is cancelled nobody wants the answers any
    /// more, and they may be anything.
    fn apply_batch(&self, calls: Vec<Call>, cancel: &Cancel) -> Vec<Result<Vec<Record>, OperatorError>>;

    /// One record, as [`Operator::apply`](super::Operator::apply) has it: for `pipeline test`.
    ///
    /// # Errors
    /// Those of [`apply_batch`](BatchOperator::apply_batch).
    fn apply_one(&self, record: Record, out: &mut super::Output) -> Result<(), OperatorError> {
        let answers = self.apply_batch(vec![Call::alone(record, out)], out.cancel());
        for answer in answers {
            answer?.into_iter().for_each(|record| out.push(record));
        }
        Ok(())
    }
}
