//! Metrics of the operator `factorial`.

use std::{
    fmt,
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram, counter, histogram};

use super::{Begun, Teller, begin_long, names::*};
use crate::record::{Offset, TopicPartition};

/// What is expected to take longer on one core may be asked how far it is; a busy one takes several times as long.
const LONG: Duration = Duration::from_millis(200);

/// Handles to the metrics of the operator `factorial`.
pub struct FactorialMetrics {
    pipeline: String,
    checkpoint: MethodMetrics,
    scratch: MethodMetrics,
    n: Histogram,
    hits: Counter,
    finished: Counter,
}

/// How a factorial was computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// From the checkpoint below it.
    Checkpoint {
        /// Whether the checkpoint was already cached.
        hit: bool,
    },
    /// From scratch, or from a cached result.
    Scratch,
}

struct MethodMetrics {
    /// By size: one for each of [`DIGITS_BUCKETS`], and one for everything above.
    durations: Vec<Histogram>,
    digits: Histogram,
}

impl FactorialMetrics {
    /// Registers every series of the pipeline, at 0.
    pub fn new(pipeline: &str) -> Self {
        let p = pipeline.to_owned();
        let sizes: Vec<String> =
            DIGITS_BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]).collect();
        let duration = |method: &'static str, size: &String| histogram!(FACTORIAL_DURATION, "pipeline" => p.clone(), "method" => method, "size" => size.clone());
        let computed = |method: &'static str| MethodMetrics {
            durations: sizes.iter().map(|size| duration(method, size)).collect(),
            digits: histogram!(FACTORIAL_DIGITS, "pipeline" => p.clone(), "method" => method),
        };
        // They are there before anything is long.
        drop(Teller::new(pipeline, ""));
        FactorialMetrics {
            pipeline: p.clone(),
            checkpoint: computed("checkpoint"),
            scratch: computed("scratch"),
            n: histogram!(FACTORIAL_N, "pipeline" => p.clone()),
            hits: counter!(FACTORIAL_HITS, "pipeline" => p.clone(), "method" => "checkpoint"),
            finished: counter!(FACTORIAL_FINISHED, "pipeline" => p),
        }
    }

    /// Computes n!, a number of `digits` digits, and records how long it took.
    pub fn time<T>(&self, n: u32, digits: u64, method: Method, compute: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = compute();
        self.record(n, digits, method, began.elapsed());
        result
    }

    /// One was not computed, as its result was known.
    pub fn was_finished(&self) {
        self.finished.increment(1);
    }

    /// Tells how far a computation is until the guard is dropped, where it is expected to take long; its record was read there.
    pub fn follow(
        &self,
        place: Option<(&TopicPartition, Offset)>,
        expected: Duration,
        reached: impl Fn() -> (f64, Duration) + Send + 'static,
    ) -> Option<Begun> {
        let place = place.filter(|_| expected >= LONG)?;
        Some(begin_long(&self.pipeline, place, expected, reached))
    }

    fn record(&self, n: u32, digits: u64, method: Method, took: Duration) {
        let computed = match method {
            Method::Checkpoint { .. } => &self.checkpoint,
            Method::Scratch => &self.scratch,
        };
        let size = DIGITS_BUCKETS.partition_point(|bound| *bound < digits as f64);
        computed.durations[size].record(took.as_secs_f64());
        computed.digits.record(digits as f64);
        self.n.record(n);
        self.hits.increment(u64::from(method == Method::Checkpoint { hit: true }));
    }
}

impl fmt::Debug for FactorialMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorialMetrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::PipelineRecorder;

    #[test]
    fn a_factorial_is_counted_by_its_method_its_size_and_its_n() {
        let recorder = PipelineRecorder::new();
        let metrics = metrics::with_local_recorder(&recorder, || FactorialMetrics::new("p"));
        assert_eq!(metrics.time(1_000, 2_568, Method::Checkpoint { hit: true }, || "n!"), "n!");
        metrics.record(1_001, 2_571, Method::Checkpoint { hit: false }, Duration::from_micros(3));
        metrics.record(20_000_000, 137_334_714, Method::Scratch, Duration::from_secs(4));
        let text = recorder.recorded().render(&[]);
        for line in [
            r#"pipeline_factorial_compute_duration_seconds_count{pipeline="p",method="checkpoint",size="10000"} 2"#,
            r#"pipeline_factorial_compute_duration_seconds_bucket{pipeline="p",method="scratch",size="+Inf",le="2.5"} 0"#,
            r#"pipeline_factorial_compute_duration_seconds_bucket{pipeline="p",method="scratch",size="+Inf",le="5"} 1"#,
            r#"pipeline_factorial_n_bucket{pipeline="p",le="500"} 0"#,
            r#"pipeline_factorial_n_bucket{pipeline="p",le="1000"} 1"#,
            r#"pipeline_factorial_n_count{pipeline="p"} 3"#,
            r#"pipeline_factorial_result_digits_sum{pipeline="p",method="checkpoint"} 5139"#,
            r#"pipeline_factorial_checkpoint_hits_total{pipeline="p",method="checkpoint"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
