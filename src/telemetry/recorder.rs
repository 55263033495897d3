//! The recorder: the exporter's counters and gauges, and histograms of our own that add a chunk's records at
//! once.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{
    names::{Kind, METRICS, buckets},
    progress::Progress,
    series,
};

/// The exporter's counters and gauges, and histograms of our own: the exporter's keep each value until the
/// next scrape, and record a value that occurs a thousand times a thousand times.
pub struct PipelineRecorder {
    exporter: PrometheusRecorder,
    histograms: Arc<Mutex<Histograms>>,
}

/// By metric, then by labels.
type Histograms = BTreeMap<String, BTreeMap<String, Arc<Distribution>>>;

/// Everything recorded in this process.
#[derive(Clone)]
pub struct Recorded {
    exporter: PrometheusHandle,
    histograms: Arc<Mutex<Histograms>>,
}

impl PipelineRecorder {
    /// Creates an empty set of metrics.
    pub fn new() -> Self {
        PipelineRecorder { exporter: PrometheusBuilder::new().build_recorder(), histograms: Arc::default() }
    }

    /// The recorder that fills it.
    pub fn recorded(&self) -> Recorded {
        Recorded { exporter: self.exporter.handle(), histograms: self.histograms.clone() }
    }
}

impl Recorder for PipelineRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.exporter.describe_counter(name, unit, meaning);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.exporter.describe_gauge(name, unit, meaning);
    }

    /// Does nothing: the table of names describes the metrics.
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}=\"{}\"", label.key(), series::escaped(label.value())))
            .collect();
        let mut histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        let of_metric = histograms.entry(key.name().to_owned()).or_default();
        let distribution = of_metric
            .entry(labels.join(","))
            .or_insert_with(|| Arc::new(Distribution::new(buckets(key.name()))));
        Histogram::from_arc(distribution.clone())
    }
}

impl Recorded {
    /// Renders everything, including the series that are made on each scrape, in Prometheus' text format.
    pub fn render(&self, pipelines: &[Arc<Progress>]) -> String {
        let mut text = self.exporter.render();
        let histograms = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
            if let Some(of_metric) = histograms.get(metric.name) {
                series::head(&mut text, metric);
                for (labels, distribution) in of_metric {
                    distribution.render(&mut text, metric.name, labels);
                }
            }
        }
        drop(histograms);
        let samples: Vec<_> = pipelines.iter().map(|p| (p.pipeline(), p.samples())).collect();
        series::render(&mut text, &samples);
        text
    }
}

/// The number of values in each bucket, and their sum.
struct Distribution {
    /// The upper bounds, inclusive.
    bounds: &'static [f64],
    /// The count of each bucket; the last one holds the values above all bounds.
    counts: Box<[AtomicU64]>,
    /// The sum, as the bits of an `f64`.
    sum: AtomicU64,
}

impl Distribution {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Distribution { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    /// `_count` is the sum of the buckets read, so that the two agree whatever is recorded meanwhile.
    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        // Writing to memory does not fail.
        for (count, bound) in self.counts.iter().zip(bounds) {
            total += count.load(Relaxed);
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
        }
        let sum = f64::from_bits(self.sum.load(Relaxed));
        let _ = writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}");
    }
}

impl HistogramFn for Distribution {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(count as u64, Relaxed);
        let more = value * count as f64;
        // Fails only if another thread adds at the same time, and then tries again: it always succeeds in the
        // end.
        let _ = self.sum.fetch_update(Relaxed, Relaxed, |sum| Some((f64::from_bits(sum) + more).to_bits()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::{BATCH_RECORDS, COMMIT_DURATION};

    fn rendered(record: impl FnOnce()) -> Vec<String> {
        let recorder = PipelineRecorder::new();
        metrics::with_local_recorder(&recorder, record);
        let text = recorder.recorded().render(&[]);
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_value_belongs_to_the_first_bucket_that_it_is_not_above() {
        let lines = rendered(|| {
            let histogram = metrics::histogram!(BATCH_RECORDS, "pipeline" => "p");
            histogram.record_many(2.0, 1_000);
            histogram.record(2.1);
            histogram.record(1e9);
        });
        let expected = [("1", 0), ("2", 1_000), ("5", 1_001), ("5000", 1_001), ("+Inf", 1_002)];
        for (bound, count) in expected {
            let line = format!("pipeline_batch_records_bucket{{pipeline=\"p\",le=\"{bound}\"}} {count}");
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
        assert!(
            lines.contains(&"pipeline_batch_records_sum{pipeline=\"p\"} 1000002002.1".to_owned()),
            "{lines:?}"
        );
        assert!(lines.contains(&"pipeline_batch_records_count{pipeline=\"p\"} 1002".to_owned()), "{lines:?}");
    }

    #[test]
    fn labels_are_escaped_and_one_series_has_one_histogram() {
        let lines = rendered(|| {
            for _ in 0..2 {
                metrics::histogram!(COMMIT_DURATION, "pipeline" => "a\"b").record(0.02);
            }
        });
        let line = r#"pipeline_commit_duration_seconds_count{pipeline="a\"b"} 2"#;
        assert!(lines.contains(&line.to_owned()), "{lines:?}");
    }

    #[test]
    fn nothing_is_lost_where_threads_record_at_once() {
        let distribution = Distribution::new(&[1.0]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| distribution.record(0.5)));
            }
        });
        let mut text = String::new();
        distribution.render(&mut text, "x", "a=\"1\"");
        assert!(text.ends_with("x_sum{a=\"1\"} 20000\nx_count{a=\"1\"} 40000\n"), "{text}");
    }
}
