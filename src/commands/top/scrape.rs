//! Turns metrics text into the values that are shown of a pipeline.

use std::{collections::BTreeMap, time::Instant};

use crate::telemetry::{
    ASSIGNED_PARTITIONS, DEAD_LETTERS, IN_FLIGHT_BYTES, IN_FLIGHT_RECORDS, LAG_RECORDS, LAG_SECONDS,
    LONG_DONE, LONG_LEFT, LONG_RECORDS, MEMORY_BUDGET, PAUSED, RECORDS_CONSUMED, RECORDS_EXPIRED,
    RECORDS_PRODUCED, STAGE_SECONDS, STAGES, Stage,
};

/// One sample of a metric.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All samples of one scrape of a process.
pub struct Samples {
    at: Instant,
    samples: Vec<Sample>,
}

impl Samples {
    /// Parses Prometheus' text format; skips what it does not understand.
    pub fn parse(text: &str) -> Samples {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Samples { at: Instant::now(), samples: lines.filter_map(sample).collect() }
    }

    fn of<'a>(&'a self, name: &'a str, pipeline: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name && sample.labels.get("pipeline").is_some_and(|found| found == pipeline)
        })
    }

    fn sum(&self, name: &str, pipeline: &str) -> f64 {
        let sum: f64 = self.of(name, pipeline).map(|sample| sample.value).sum();
        // An empty sum is -0.
        sum + 0.0
    }

    fn stage(&self, stage: Stage, pipeline: &str) -> f64 {
        let of_stage =
            |sample: &&Sample| sample.labels.get("stage").is_some_and(|found| found == stage.name());
        self.of(STAGE_SECONDS, pipeline).filter(of_stage).map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut found = BTreeMap::new();
    let mut rest = labels;
    while let Some((label, after)) = rest.trim_start_matches(',').split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(characters.next().map(|(_, c)| if c == 'n' { '\n' } else { c })?),
                (_, c) => value.push(c),
            }
        };
        found.insert(label.to_owned(), value);
        rest = &after[end + 1..];
    }
    Some(Sample { name: name.to_owned(), labels: found, value: value.parse().ok()? })
}

/// A pipeline in one process.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub pipeline: String,
    pub process: String,
    pub partitions: f64,
    /// Records a second.
    pub consumed: f64,
    pub produced: f64,
    pub dead_letters: f64,
    pub expired: f64,
    pub lag: f64,
    pub lag_seconds: f64,
    pub in_flight: f64,
    pub bytes: f64,
    pub budget: f64,
    /// Shares of the time since the last scrape, in the order of [`Stage::ALL`].
    pub stages: [f64; STAGES],
}

/// An owned partition.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionRow {
    pub partition: String,
    pub process: String,
    pub lag: f64,
    pub lag_seconds: f64,
}

/// The result of two scrapes.
pub struct Reading {
    /// The later scrape.
    pub now: Vec<(String, Result<Samples, String>)>,
    pub rows: Vec<Row>,
    pub partitions: Vec<PartitionRow>,
    /// What takes long or is paused, in words.
    pub long: Vec<String>,
    /// Processes that did not answer, or run no pipeline.
    pub silent: Vec<String>,
}

impl Reading {
    pub fn new(
        before: &[(String, Result<Samples, String>)],
        now: Vec<(String, Result<Samples, String>)>,
    ) -> Reading {
        let (mut rows, mut partitions) = (Vec::new(), Vec::new());
        let (mut long, mut silent) = (Vec::new(), Vec::new());
        for (process, samples) in &now {
            let samples = match samples {
                Ok(samples) => samples,
                Err(reason) => {
                    silent.push(reason.clone());
                    continue;
                }
            };
            let old = before.iter().find(|(name, _)| name == process).and_then(|(_, old)| old.as_ref().ok());
            // A worker has a budget; a caller has none.
            let pipelines = samples.samples.iter().filter(|sample| sample.name == MEMORY_BUDGET);
            let without = rows.len();
            for pipeline in pipelines.filter_map(|sample| sample.labels.get("pipeline")) {
                rows.push(row(pipeline, process, samples, old.unwrap_or(samples)));
                partitions.extend(partition_rows(pipeline, process, samples));
                long.extend(paused(pipeline, process, samples));
                long.extend(long_work(pipeline, process, samples));
            }
            if rows.len() == without {
                silent.push(format!("no pipeline runs at {process}: it is no worker"));
            }
        }
        partitions.sort_by(|a: &PartitionRow, b| {
            b.lag.total_cmp(&a.lag).then_with(|| a.partition.cmp(&b.partition))
        });
        Reading { now, rows, partitions, long, silent }
    }
}

fn row(pipeline: &str, process: &str, now: &Samples, old: &Samples) -> Row {
    let elapsed = (now.at - old.at).as_secs_f64();
    let rate = |name| {
        let grown = now.sum(name, pipeline) - old.sum(name, pipeline);
        // A restarted process begins at 0.
        if elapsed > 0.0 { grown.max(0.0) / elapsed } else { 0.0 }
    };
    let spent = Stage::ALL.map(|stage| (now.stage(stage, pipeline) - old.stage(stage, pipeline)).max(0.0));
    let all: f64 = spent.iter().sum();
    Row {
        pipeline: pipeline.to_owned(),
        process: process.to_owned(),
        partitions: now.sum(ASSIGNED_PARTITIONS, pipeline),
        consumed: rate(RECORDS_CONSUMED),
        produced: rate(RECORDS_PRODUCED),
        dead_letters: rate(DEAD_LETTERS),
        expired: rate(RECORDS_EXPIRED),
        lag: now.sum(LAG_RECORDS, pipeline),
        lag_seconds: now.of(LAG_SECONDS, pipeline).map(|sample| sample.value).fold(0.0, f64::max),
        in_flight: now.sum(IN_FLIGHT_RECORDS, pipeline),
        bytes: now.sum(IN_FLIGHT_BYTES, pipeline),
        budget: now.sum(MEMORY_BUDGET, pipeline),
        stages: spent.map(|spent| if all > 0.0 { spent / all } else { 0.0 }),
    }
}

/// That somebody has paused it.
fn paused(pipeline: &str, process: &str, now: &Samples) -> Option<String> {
    let paused = now.sum(PAUSED, pipeline) > 0.0;
    paused.then(|| format!("{pipeline} at {process} is paused: `pipeline resume` with its file has it go on"))
}

/// How far the record is that will be the last of those that take long.
fn long_work(pipeline: &str, process: &str, now: &Samples) -> Option<String> {
    let (records, done) = (now.sum(LONG_RECORDS, pipeline), now.sum(LONG_DONE, pipeline));
    let others = if records > 1.0 { format!(" (and {} less)", records - 1.0) } else { String::new() };
    (records > 0.0).then(|| {
        format!(
            "{pipeline} at {process} computes a long record: {:.0} % done, about {:.0} s left{others}",
            100.0 * done,
            now.sum(LONG_LEFT, pipeline).ceil(),
        )
    })
}

fn partition_rows(pipeline: &str, process: &str, samples: &Samples) -> Vec<PartitionRow> {
    let place = |sample: &Sample| {
        let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
        format!("{}[{}]", label("topic"), label("partition"))
    };
    let seconds: BTreeMap<String, f64> =
        samples.of(LAG_SECONDS, pipeline).map(|sample| (place(sample), sample.value)).collect();
    samples
        .of(LAG_RECORDS, pipeline)
        .map(|sample| PartitionRow {
            partition: place(sample),
            process: process.to_owned(),
            lag: sample.value,
            lag_seconds: seconds.get(&place(sample)).copied().unwrap_or(0.0),
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::*;

    const METRICS: &str = r#"# TYPE pipeline_consumer_lag_records gauge
pipeline_memory_budget_bytes{pipeline="p"} 1000
pipeline_assigned_partitions{pipeline="p",topic="in"} 2
pipeline_records_consumed_total{pipeline="p",topic="in"} CONSUMED
pipeline_records_produced_total{pipeline="p",topic="out"} 0
pipeline_records_expired_total{pipeline="p"} STAGE
pipeline_consumer_lag_records{pipeline="p",topic="in",partition="0"} 5
pipeline_consumer_lag_records{pipeline="p",topic="in",partition="1"} 7
pipeline_consumer_lag_seconds{pipeline="p",topic="in",partition="1"} 2.5
pipeline_stage_seconds_total{pipeline="p",stage="poll"} 10
pipeline_stage_seconds_total{pipeline="p",stage="compute"} STAGE
pipeline_requests_in_flight{pipeline="gateway"} 3
pipeline_paused{pipeline="p"} 1
pipeline_long_records{pipeline="p"} 2
pipeline_long_record_done_ratio{pipeline="p"} 0.43
pipeline_long_record_left_seconds{pipeline="p"} 2.1
"#;

    fn look(consumed: &str, stage: &str, at: Instant) -> Vec<(String, Result<Samples, String>)> {
        let text = METRICS.replace("CONSUMED", consumed).replace("STAGE", stage);
        vec![
            ("a:1".to_owned(), Ok(Samples { at, ..Samples::parse(&text) })),
            ("b:2".to_owned(), Err("gone".to_owned())),
        ]
    }

    pub fn reading() -> Reading {
        let start = Instant::now();
        Reading::new(&look("100", "20", start), look("300", "24", start + Duration::from_secs(2)))
    }

    #[test]
    fn rates_and_shares_are_of_the_time_between_two_looks() {
        let reading = reading();
        let [row] = &reading.rows[..] else { panic!("one pipeline runs") };
        assert_eq!((row.consumed, row.partitions, row.lag, row.lag_seconds), (100.0, 2.0, 12.0, 2.5));
        assert_eq!(row.expired, 2.0);
        assert_eq!(row.stages, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let partitions: Vec<&str> = reading.partitions.iter().map(|row| &row.partition[..]).collect();
        assert_eq!((partitions, &reading.silent[..]), (vec!["in[1]", "in[0]"], &["gone".to_owned()][..]));
    }

    #[test]
    fn labels_are_read_with_their_escapes() {
        let sample = sample(r#"m{a="x,y=\"z\"\\",b="2"} 1.5e3"#).unwrap();
        assert_eq!(
            (sample.labels["a"].as_str(), sample.labels["b"].as_str(), sample.value),
            (r#"x,y="z"\"#, "2", 1_500.0)
        );
    }
}
