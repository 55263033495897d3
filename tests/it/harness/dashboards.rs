//! The committed dashboards, and what their panels show.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Prometheus, series};

/// Seconds between two points of a panel, and the shortest time that a rate is taken over.
const STEP: u64 = 1;
const RATE_INTERVAL: &str = "4s";

/// A provisioned dashboard, as it is committed.
pub struct Dashboard {
    pub name: String,
    json: Value,
}

impl Dashboard {
    /// All of `grafana/dashboards`.
    pub fn all() -> Vec<Dashboard> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = |path: &PathBuf| Dashboard {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            json: serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
        };
        files.iter().map(read).collect()
    }

    /// The queries of all panels and annotations, variables not filled in.
    pub fn queries(&self) -> Vec<&str> {
        let panels = list(&self.json["panels"]).iter().flat_map(|panel| list(&panel["targets"]));
        let annotations = list(&self.json["annotations"]["list"]).iter();
        panels.chain(annotations).filter_map(|query| query["expr"].as_str()).collect()
    }

    /// Runs every query of every panel, with all of each variable, from `start` to `end`. Returns what is wrong:
    /// panels without a single number. With `pictures`, the data is written there, to be drawn.
    pub fn run(&self, prometheus: &Prometheus, start: u64, end: u64, pictures: Option<&Path>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut variables = BTreeMap::from([("datasource".to_owned(), "prometheus".to_owned())]);
        for variable in list(&self.json["templating"]["list"]) {
            let name = variable["name"].as_str().unwrap();
            let Some(query) = variable["query"].as_str().and_then(|q| q.strip_prefix("label_values(")) else {
                continue;
            };
            let (metric, label) = query.strip_suffix(')').unwrap().rsplit_once(',').unwrap();
            let values = prometheus.label_values(label.trim(), &filled(metric, &variables));
            if values.is_empty() {
                problems.push(format!("{}: variable {name} has no values", self.name));
            }
            variables.insert(name.to_owned(), variable["allValue"].as_str().unwrap().to_owned());
        }
        let mut drawn = list(&self.json["panels"]).to_vec();
        for panel in &mut drawn {
            let mut results = Vec::new();
            for target in list(&panel["targets"]) {
                let query = filled(target["expr"].as_str().unwrap(), &variables);
                let result = match target["instant"].as_bool() {
                    Some(true) => prometheus.instant(&query),
                    _ => prometheus.range(&query, start, end, STEP),
                };
                let numbers =
                    series(&result).iter().flat_map(|s| &s.values).filter(|(_, v)| v.is_finite()).count();
                if numbers == 0 {
                    problems.push(format!("{}: {}: no data: {query}", self.name, panel["title"]));
                }
                results.push(json!({ "target": target, "expr": query, "step": STEP, "result": result }));
            }
            panel["results"] = results.into();
        }
        if let Some(folder) = pictures {
            let data = json!({ "dashboard": self.json, "panels": drawn, "start": start, "end": end, "vars": variables });
            fs::write(folder.join(format!("{}.json", self.name)), data.to_string()).unwrap();
        }
        problems
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Puts the variables' values in, as Grafana does.
fn filled(query: &str, variables: &BTreeMap<String, String>) -> String {
    let mut query = query.replace("$__rate_interval", RATE_INTERVAL);
    for (name, value) in variables {
        query = query.replace(&format!("${name}"), value);
    }
    assert!(!query.contains('$'), "an unknown variable in {query}");
    query
}
