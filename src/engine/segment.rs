//! A pipeline's operators, cut behind each that waits for what is outside, or computes many records at once.

use std::sync::Arc;

use super::Topology;
use crate::operator::{AsyncOperator, BatchOperator, Operator};

/// Some operators that compute record by record, and the one behind them that takes many at once, or waits.
pub struct Segment {
    /// The place of the first one among all operators.
    pub first: usize,
    pub operators: Topology,
    /// `None` at the end of the pipeline.
    pub call: Option<Arc<dyn Operator>>,
}

impl Segment {
    /// A pipeline's operators, cut behind each that waits or takes many records; none where no operator does.
    pub fn cut(topology: &Topology) -> Vec<Segment> {
        let (mut segments, mut open, mut first) = (Vec::new(), Vec::new(), 0);
        for (place, operator) in topology.operators().iter().enumerate() {
            if operator.asynchronous().is_some() || operator.batched().is_some() {
                let operators = Topology::new(std::mem::take(&mut open));
                segments.push(Segment { first, operators, call: Some(operator.clone()) });
                first = place + 1;
            } else {
                open.push(operator.clone());
            }
        }
        if !segments.is_empty() {
            segments.push(Segment { first, operators: Topology::new(open), call: None });
        }
        segments
    }

    pub fn batched(&self) -> Option<&dyn BatchOperator> {
        self.call.as_ref().and_then(|operator| operator.batched())
    }

    pub fn asynchronous(&self) -> Option<&dyn AsyncOperator> {
        self.call.as_ref().and_then(|operator| operator.asynchronous())
    }

    /// The place of the operator that is called.
    pub fn place_of_call(&self) -> usize {
        self.first + self.operators.len()
    }
}
