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

    /// How many operators there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one record through all operators; appends what comes out. `after` is told each operator's place
    /// once it is through, and how many records it was given.
    ///
    /// # Errors
    /// The first error of an operator; then nothing is appended.
    pub fn apply(
        &self,
        record: Record,
        results: &mut Vec<Record>,
        mut after: impl FnMut(usize, usize),
    ) -> Result<(), OperatorError> {
        let mut output = Output::default();
        let Some((first, rest)) = self.0.split_first() else {
            results.push(record);
            return Ok(());
        };
        let applied = first.apply(record, &mut output);
        after(0, 1);
        applied?;
        for (place, operator) in rest.iter().enumerate() {
            let (mut next, mut given) = (Output::default(), 0);
            let applied = output.drain().try_for_each(|record| {
                given += 1;
                operator.apply(record, &mut next)
            });
            after(place + 1, given);
            applied?;
            output = next;
        }
        results.extend(output.drain());
        Ok(())
    }
}
