//! The load generator, against real workers, made-up ones, and servers whose times are known.

mod http;
mod kafka;
mod servers;

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::pipeline;

/// A script in a folder of its own, which its reports go to as well.
struct Script {
    folder: TempDir,
}

impl Script {
    fn new(text: &str) -> Script {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("s.toml"), format!("name = \"s\"\n{text}")).unwrap();
        Script { folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("s.toml").to_str().unwrap().to_owned()
    }

    fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    fn settings(&self) -> Vec<String> {
        vec![format!("report.folder={}", self.reports().display()), "metrics.listen=127.0.0.1:0".to_owned()]
    }

    /// Exit code, summary, and what else was said.
    fn run(&self, servers: &str, more: &[String]) -> (i32, String, String) {
        let settings = [self.settings(), more.to_vec()].concat();
        pipeline(servers, &["load", &self.path()], &settings)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.reports().join("s.json")).unwrap()).unwrap()
    }
}

/// `[right, errors, wrong, lost, double, late]`
fn counts(json: &Value) -> [u64; 6] {
    ["right", "errors", "wrong", "lost", "double", "late"].map(|name| json["totals"][name].as_u64().unwrap())
}
