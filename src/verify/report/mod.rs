//! The report of a run, for people and for programs: a summary, JSON, and a page, a file for each. They only
//! print what was found.

mod html;
mod json;
mod summary;

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

use super::{
    evidence::Evidence,
    judge::{Anomaly, AnomalyKind},
    minutes::{Minute, by_minute},
    run::{Happened, Outcome},
    setup::Settings,
};
use crate::config::{Guarantee, Order};

pub use summary::summary;

/// A run and how it turned out.
pub struct Report<'a> {
    /// The run's settings.
    pub settings: &'a Settings,
    /// The run's outcome.
    pub outcome: &'a Outcome,
    /// Evidence for the anomalies.
    pub evidence: &'a [Evidence],
    /// The command that repeats it.
    pub command: String,
}

/// All faults of one name, summed.
struct ByFault<'a> {
    name: &'a str,
    times: usize,
    /// How often it could not happen.
    failed: usize,
    /// How often results never flowed again, or no request came after it.
    unknown: usize,
    /// How long it took until results flowed again, sorted.
    recovered: Vec<Duration>,
    lost: usize,
    double: usize,
}

impl ByFault<'_> {
    fn median(&self) -> Option<Duration> {
        self.recovered.get(self.recovered.len().saturating_sub(1) / 2).copied()
    }

    fn longest(&self) -> Option<Duration> {
        self.recovered.last().copied()
    }
}

impl<'a> Report<'a> {
    /// Writes `report.html` and `report.json` into the run's folder.
    ///
    /// # Errors
    /// A file that cannot be written, and the system's error.
    pub fn write(&self) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
        let mut written = Vec::new();
        for (name, text) in [("report.html", html::page(self)), ("report.json", json::json(self))] {
            let path = self.settings.folder.join(name);
            fs::write(&path, text).map_err(|error| (path.clone(), error))?;
            written.push(path);
        }
        Ok(written)
    }

    /// The promise, in words.
    fn promise(&self) -> String {
        let guarantee = match self.settings.pipeline.guarantee {
            Guarantee::AtLeastOnce => "at-least-once",
            Guarantee::ExactlyOnce => "exactly-once",
        };
        let order = match self.settings.pipeline.order {
            Order::Partition => "order by partition",
            Order::Key => "order by key",
            Order::None => "no order",
        };
        format!("{guarantee}, {order}")
    }

    /// The set-up, in words.
    fn circumstances(&self) -> String {
        let settings = self.settings;
        let brokers = match settings.nodes {
            Some(nodes) if nodes.count() == 1 => "1 broker".to_owned(),
            Some(nodes) => format!("{} brokers", nodes.count()),
            None => "given brokers".to_owned(),
        };
        format!(
            "{} workers, {brokers}, {} requests/s, seed {}",
            settings.workers, settings.rate, settings.seed
        )
    }

    fn lasted(&self) -> Duration {
        millis(self.outcome.rested - self.outcome.began)
    }

    /// The run minute by minute.
    fn minutes(&self) -> Vec<Minute> {
        by_minute(&self.outcome.history.asked, &self.outcome.samples)
    }

    /// How many anomalies of each kind break the promise, and how many the promise allows.
    fn counts(&self) -> impl Iterator<Item = (AnomalyKind, usize, usize)> {
        let verdict = &self.outcome.verdict;
        let allowed = |kind| verdict.allowed.iter().filter(|anomaly| anomaly.kind == kind).count();
        AnomalyKind::ALL.into_iter().map(move |kind| (kind, verdict.broken(kind), allowed(kind)))
    }

    /// The faults by name, in the order of their first occurrence.
    fn by_fault(&self) -> Vec<ByFault<'a>> {
        let faults = &self.outcome.faults;
        let mut names: Vec<&str> = Vec::new();
        for fault in faults {
            if !names.contains(&fault.name.as_str()) {
                names.push(&fault.name);
            }
        }
        let (lost, double) = (
            self.by_cause(&[AnomalyKind::Lost]),
            self.by_cause(&[AnomalyKind::Duplicate, AnomalyKind::LetterDuplicate]),
        );
        names
            .into_iter()
            .map(|name| {
                let of_name = || faults.iter().filter(|fault| fault.name == name);
                let mut recovered: Vec<Duration> =
                    of_name().filter_map(|fault| Some(millis(fault.recovered?.at - fault.ended))).collect();
                recovered.sort_unstable();
                ByFault {
                    name,
                    times: of_name().count(),
                    failed: of_name().filter(|fault| fault.hit.is_err()).count(),
                    unknown: of_name().count() - recovered.len(),
                    recovered,
                    lost: lost.get(name).copied().unwrap_or_default(),
                    double: double.get(name).copied().unwrap_or_default(),
                }
            })
            .collect()
    }

    /// How many anomalies of these kinds happened from each fault's beginning to the next one's, by the
    /// fault's name.
    fn by_cause(&self, kinds: &[AnomalyKind]) -> BTreeMap<&'a str, usize> {
        let mut causes = BTreeMap::new();
        let verdict = &self.outcome.verdict;
        for anomaly in
            verdict.broken.iter().chain(&verdict.allowed).filter(|anomaly| kinds.contains(&anomaly.kind))
        {
            if let Some(fault) = cause(&self.outcome.faults, anomaly) {
                *causes.entry(fault.name.as_str()).or_default() += 1;
            }
        }
        causes
    }
}

/// The last fault that had begun by then.
fn cause<'a>(faults: &'a [Happened], anomaly: &Anomaly) -> Option<&'a Happened> {
    faults.iter().rev().find(|fault| fault.began <= anomaly.at)
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0) as u64)
}

/// Bytes in MiB.
fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A time in seconds, with tenths.
fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}
