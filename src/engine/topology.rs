//! The operators in their order, run on one record after another.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    operator::{Cancel, Cost, Operator, OperatorError, Output, SharedState},
    record::{Offset, Record, TopicPartition},
};

/// The operators of a pipeline, in order.
#[derive(Clone)]
pub struct Topology {
    operators: Vec<Arc<dyn Operator>>,
    /// For each, how many before it remember something.
    scopes: Vec<u8>,
}

impl Topology {
    /// Records go through the operators in this order.
    pub fn new(operators: impl IntoIterator<Item = Arc<dyn Operator>>) -> Self {
        let operators: Vec<Arc<dyn Operator>> = operators.into_iter().collect();
        let scopes = operators.iter().scan(0, |before, operator| {
            let scope = *before;
            *before += u8::from(operator.remembers());
            Some(scope)
        });
        Topology { scopes: scopes.collect(), operators }
    }

    /// What a record is expected to cost: the time of all operators, and the bytes of the last one.
    pub fn cost(&self, record: &Record) -> Cost {
        let mut cost = Cost::default();
        for operator in &self.operators {
            // An operator that panics here panics again when it computes the record, which then becomes a
            // dead letter.
            let step = catch_unwind(AssertUnwindSafe(|| operator.cost(record)));
            let step = step.unwrap_or(Cost { nanos: 100, bytes: record.size() as u64 });
            cost = Cost { nanos: cost.nanos.saturating_add(step.nanos), bytes: step.bytes };
        }
        cost
    }

    /// The operators, in order.
    pub fn operators(&self) -> &[Arc<dyn Operator>] {
        &self.operators
    }

    /// How many chunks of one partition may wait for what operators ask; 0 where none asks.
    pub fn concurrency(&self) -> usize {
        self.operators
            .iter()
            .filter_map(|operator| Some(operator.asynchronous()?.concurrency()))
            .max()
            .unwrap_or(0)
    }

    /// Whether one of them remembers earlier records.
    pub fn remembers(&self) -> bool {
        self.operators.iter().any(|operator| operator.remembers())
    }

    /// The bytes that operators hold beside records.
    pub fn holds(&self) -> u64 {
        self.operators.iter().map(|operator| operator.holds()).sum()
    }

    /// How many operators there are.
    pub fn len(&self) -> usize {
        self.operators.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operators.is_empty()
    }

    /// Takes one record through all operators and appends the results. `after` receives the place of each
    /// operator once it has finished, and how many records it was given.
    ///
    /// # Errors
    /// The first error of an operator; then nothing is appended.
    pub fn apply(
        &self,
        record: Record,
        results: &mut Vec<Record>,
        Scratch { given, made }: &mut Scratch,
        mut after: impl FnMut(usize, usize),
    ) -> Result<(), OperatorError> {
        // An earlier record that failed may have left something.
        given.drain();
        made.drain();
        let Some((first, rest)) = self.operators.split_first() else {
            results.push(record);
            return Ok(());
        };
        made.set_scope(0);
        let applied = first.apply(record, made);
        after(0, 1);
        applied?;
        for (place, (operator, scope)) in rest.iter().zip(self.scopes.iter().skip(1)).enumerate() {
            std::mem::swap(given, made);
            made.set_scope(*scope);
            let mut count = 0;
            let applied = given.drain().try_for_each(|record| {
                count += 1;
                operator.apply(record, made)
            });
            after(place + 1, count);
            applied?;
        }
        results.extend(made.drain());
        Ok(())
    }
}

/// The buffers between operators, kept from one record to the next.
#[derive(Default)]
pub struct Scratch {
    given: Output,
    made: Output,
}

impl Scratch {
    /// Buffers for records whose results are wanted until `cancel` is cancelled.
    pub fn until(cancel: &Cancel) -> Self {
        Scratch { given: Output::until(cancel), made: Output::until(cancel) }
    }

    /// Buffers for operators that remember earlier records there.
    pub fn set_state(&mut self, state: SharedState) {
        self.given.set_state(state.clone());
        self.made.set_state(state);
    }

    /// The next record was read there.
    pub fn set_place(&mut self, partition: &TopicPartition, offset: Offset) {
        self.given.set_place(partition, offset);
        self.made.set_place(partition, offset);
    }
}
