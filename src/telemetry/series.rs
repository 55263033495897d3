//! Series that disappear with their partition or broker; rendered on each scrape.

use std::{borrow::Cow, fmt::Write as _};

use super::names::{METRICS, Metric};

/// One value of a metric that is computed on each scrape. The exporter keeps every series forever and counts
/// in whole numbers, so series that disappear with their partition or broker, and seconds, are not among its
/// own.
pub struct Sample<'a> {
    pub name: &'static str,
    /// Labels besides `pipeline`.
    pub labels: Vec<(&'static str, Cow<'a, str>)>,
    pub value: f64,
}

impl<'a> Sample<'a> {
    pub fn new(
        name: &'static str,
        labels: impl IntoIterator<Item = (&'static str, Cow<'a, str>)>,
        value: f64,
    ) -> Self {
        Sample { name, labels: labels.into_iter().collect(), value }
    }
}

/// Appends the samples of all pipelines, by metric, in Prometheus' text format.
pub fn render(text: &mut String, pipelines: &[(&str, Vec<Sample<'_>>)]) {
    for metric in METRICS {
        let of_metric = |sample: &&Sample<'_>| sample.name == metric.name;
        let mut headed = false;
        for (pipeline, samples) in pipelines {
            for sample in samples.iter().filter(of_metric) {
                if !std::mem::replace(&mut headed, true) {
                    head(text, metric);
                }
                // Writing to memory does not fail.
                let _ = write!(text, "{}{{pipeline=\"{}\"", sample.name, escaped(pipeline));
                for (label, value) in &sample.labels {
                    let _ = write!(text, ",{label}=\"{}\"", escaped(value));
                }
                let _ = writeln!(text, "}} {}", sample.value);
            }
        }
    }
}

/// The `# HELP` and `# TYPE` lines of a metric.
pub fn head(text: &mut String, metric: &Metric) {
    let Metric { name, meaning, kind, .. } = metric;
    let _ = write!(text, "# HELP {name} {meaning}\n# TYPE {name} {}\n", kind.name());
}

/// Escapes a label's value.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names::LAG_RECORDS;

    #[test]
    fn samples_are_grouped_under_one_head_and_their_labels_escaped() {
        let sample = |topic: &'static str| Sample::new(LAG_RECORDS, [("topic", topic.into())], 1.5);
        let mut text = String::new();
        render(&mut text, &[("a", vec![sample("t")]), ("b", vec![sample("\"\\")])]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE pipeline_consumer_lag_records gauge",
                r#"pipeline_consumer_lag_records{pipeline="a",topic="t"} 1.5"#,
                r#"pipeline_consumer_lag_records{pipeline="b",topic="\"\\"} 1.5"#,
            ]
        );
    }
}
