use std::{fmt, time::Duration};

use metrics::{Counter, Histogram, counter, histogram};

use super::names::*;

/// What the operator `factorial` has computed; handles are kept.
pub struct FactorialMetrics {
    checkpoint: Computed,
    scratch: Computed,
    hits: Counter,
}

struct Computed {
    duration: Histogram,
    digits: Histogram,
}

impl FactorialMetrics {
    /// Registers every series of the pipeline at 0.
    pub fn new(pipeline: &str) -> Self {
        let values = |name: &'static str, method: &'static str| histogram!(name, "pipeline" => pipeline.to_owned(), "method" => method);
        let computed = |method| Computed {
            duration: values(FACTORIAL_DURATION, method),
            digits: values(FACTORIAL_DIGITS, method),
        };
        FactorialMetrics {
            checkpoint: computed("checkpoint"),
            scratch: computed("scratch"),
            hits: counter!(FACTORIAL_HITS, "pipeline" => pipeline.to_owned(), "method" => "checkpoint"),
        }
    }

    /// A factorial of so many digits was computed, from a checkpoint or from scratch; `hit`: the checkpoint was
    /// there already.
    pub fn computed(&self, from_checkpoint: bool, hit: bool, digits: u64, took: Duration) {
        let computed = if from_checkpoint { &self.checkpoint } else { &self.scratch };
        computed.duration.record(took.as_secs_f64());
        computed.digits.record(digits as f64);
        self.hits.increment(u64::from(hit));
    }
}

impl fmt::Debug for FactorialMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorialMetrics")
    }
}
