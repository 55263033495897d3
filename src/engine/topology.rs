use std::sync::Arc;

use crate::{
    operator::{Cost, Operator, OperatorError, Output},
    record::Record,
};

/// The operators of a pipeline, in order.
#[derive(Clone)]
pub struct Topology(Vec<Arc<dyn Operator>>);

impl Topology {
    /// Records go through the operators in this order.
    pub fn new(operators: impl IntoIterator<Item = Arc<dyn Operator>>) -> Self {
        Topology(operators.into_iter().collect())
    }

    /// What a record is expected to take: the time of all operators, the last one's bytes.
    pub fn cost(&self, record: &Record) -> Cost {
        let mut cost = Cost::default();
        for operator in &self.0 {
            let step = operator.cost(record);
            cost = Cost { nanos: cost.nanos.saturating_add(step.nanos), bytes: step.bytes };
        }
        cost
    }

    /// Takes one record through all operators; appends what comes out.
    ///
    /// # Errors
    /// The first error of an operator; then nothing is appended.
    pub fn apply(&self, record: Record, results: &mut Vec<Record>) -> Result<(), OperatorError> {
        let mut output = Output::default();
        let Some((first, rest)) = self.0.split_first() else {
            results.push(record);
            return Ok(());
        };
        first.apply(record, &mut output)?;
        for operator in rest {
            let mut next = Output::default();
            for record in output.drain() {
                operator.apply(record, &mut next)?;
            }
            output = next;
        }
        results.extend(output.drain());
        Ok(())
    }
}
