use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::Watch;

/// A `pipeline` process; killed when it is dropped.
pub struct Worker {
    child: Child,
    _watch: Watch,
    log: Arc<Mutex<Vec<String>>>,
}

impl Worker {
    /// `pipeline run factorial.toml` with these settings.
    pub fn start(servers: &str, settings: &[String]) -> Worker {
        Worker::start_with(servers, settings, &[])
    }

    /// The same, with more variables in its environment.
    pub fn start_with(servers: &str, settings: &[String], variables: &[(&str, &str)]) -> Worker {
        let mut arguments = vec!["run".to_owned(), "factorial.toml".to_owned()];
        arguments.extend(settings.iter().map(|setting| format!("--set={setting}")));
        Worker::spawn(servers, &arguments, variables)
    }

    /// `pipeline` with these arguments, and variables in its environment.
    pub fn spawn(servers: &str, arguments: &[String], variables: &[(&str, &str)]) -> Worker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipeline"))
            .args(arguments)
            .envs(variables.iter().copied())
            .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (log.clone(), child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Worker { _watch: Watch::over(&child), child, log }
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until a line of the log has all of these parts.
    pub fn says(&self, parts: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log.lock().unwrap().iter().any(|line| parts.iter().all(|part| line.contains(part))) {
            assert!(Instant::now() < deadline, "never said {parts:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where its metrics are.
    pub fn metrics(&self) -> String {
        self.says(&["metrics at http://"]);
        let log = self.log();
        let rest = log.split("metrics at ").nth(1).unwrap();
        rest.split("/metrics").next().unwrap().to_owned()
    }

    /// All its metrics, as text.
    pub fn scrape(&self) -> String {
        let mut metrics = ureq::get(format!("{}/metrics", self.metrics())).call().unwrap();
        metrics.body_mut().read_to_string().unwrap()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// What others see of how it was started.
    pub fn command_line(&self) -> String {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.wait(Duration::from_secs(30));
        (status, self.log())
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running:\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
