//! Reports of a run, for people and for programs: a summary, JSON, the histogram, and a page with plots. Each
//! file is one form.

mod hgrm;
mod html;
mod json;
pub(crate) mod plot;
mod summary;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Knee, Outcome, Results, Script, TargetSettings, Threshold, knee};

pub use summary::summary;

/// The style sheet of a page: dark where the browser is.
pub(crate) const STYLE: &str = include_str!("page.css");

/// A run and its outcome.
pub struct Report<'a> {
    /// What was run.
    pub script: &'a Script,
    /// Where the requests went, in words.
    pub target: String,
    /// What was measured.
    pub results: &'a Results,
    /// Whether each threshold was met, including those that hold for every run.
    pub outcomes: Vec<Outcome>,
}

/// Kinds of answers that no run may have, unless the script says how many are acceptable.
const ALWAYS: [&str; 3] = ["wrong", "double", "lost"];

impl<'a> Report<'a> {
    /// Checks the results against the thresholds. No answer may be wrong, double or lost, unless a threshold
    /// says how many may be.
    pub fn new(script: &'a Script, target: String, results: &'a Results) -> Self {
        let always = ALWAYS
            .iter()
            .filter(|kind| !script.thresholds.iter().any(|threshold| threshold.is_about(kind)))
            .filter_map(|kind| format!("{kind} = 0").parse::<Threshold>().ok());
        let outcomes = script
            .thresholds
            .iter()
            .cloned()
            .chain(always)
            .map(|threshold| threshold.check(&results.totals))
            .collect();
        Report { script, target, results, outcomes }
    }

    /// Whether all thresholds are met.
    pub fn met(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.met)
    }

    /// How many are not.
    pub fn missed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.met).count()
    }

    /// The knee of each phase whose rate goes up; `None` where there is none.
    fn knees(&self) -> impl Iterator<Item = (&'a str, Option<Knee>)> {
        let rising = |windows: &[super::Window]| {
            windows.len() > 2 && windows.is_sorted_by(|a, b| a.segment.to < b.segment.to)
        };
        let phases = self.results.phases.iter().filter(move |phase| rising(&phase.windows));
        phases.map(|phase| (phase.name.as_str(), knee(&phase.windows)))
    }

    /// Writes `NAME.json`, `NAME.hgrm` and `NAME.html` into a folder that it creates where it is not there.
    ///
    /// # Errors
    /// The file that could not be written, and why.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
        fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
        let files = [
            ("html", html::page(self)),
            ("json", json::json(self)),
            ("hgrm", hgrm::hgrm(&self.results.totals.latency)),
        ];
        let mut written = Vec::new();
        for (ending, text) in files {
            let path = folder.join(format!("{}.{ending}", self.script.name));
            fs::write(&path, text).map_err(|error| (path.clone(), error))?;
            written.push(path);
        }
        Ok(written)
    }
}

/// Where requests were sent, in words; `servers` are the brokers.
pub fn target(script: &Script, servers: &str) -> String {
    match &script.target {
        TargetSettings::Kafka(topics) => {
            format!("{} -> {} at {servers}", topics.requests, topics.results)
        }
        TargetSettings::Http { url, .. } => url.clone(),
    }
}
