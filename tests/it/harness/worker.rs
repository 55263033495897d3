//! A process that runs beside the test.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use pipeline::broker::Watch;

use super::{LIMIT, command::command, ensure, eventually};

/// A `pipeline` process; killed when it is dropped.
pub struct Worker {
    child: Child,
    _watch: Watch,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Worker {
    /// `pipeline` with these arguments and settings, and these variables in its environment.
    pub fn start(
        servers: &str,
        arguments: &[&str],
        settings: &[String],
        variables: &[(String, String)],
    ) -> Worker {
        let mut child = command(servers, arguments, settings, variables)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (log.clone(), child.stderr.take().unwrap());
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Worker { _watch: Watch::over(&child).unwrap(), child, log, reader: Some(reader) }
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until a line of the log has all of these parts, and returns that line.
    pub fn says(&self, parts: &[&str]) -> String {
        let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
        eventually(LIMIT, || {
            let line = self.log.lock().unwrap().iter().find(has_all).cloned();
            line.ok_or_else(|| format!("it does not say {parts:?}:\n{}", self.log()))
        })
    }

    /// Where its metrics are.
    pub fn metrics(&self) -> String {
        format!("http://{}", self.metrics_address())
    }

    /// The same, as `host:port`.
    pub fn metrics_address(&self) -> String {
        let line = self.says(&["metrics at http://"]);
        let rest = line.split("metrics at http://").nth(1).unwrap();
        rest.split("/metrics").next().unwrap().to_owned()
    }

    /// All its metrics, as text.
    pub fn scrape(&self) -> String {
        let mut metrics = ureq::get(format!("{}/metrics", self.metrics())).call().unwrap();
        metrics.body_mut().read_to_string().unwrap()
    }

    /// The value of a metric's only series, or of the one with such labels.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.scrape();
        let named = |line: &&str| {
            line.split(['{', ' ']).next() == series.split('{').next()
                && series.split_once('{').is_none_or(|(_, label)| line.contains(label.trim_end_matches('}')))
        };
        let line = text.lines().find(named).unwrap_or_else(|| panic!("no {series} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
    }

    /// What others see of how it was started.
    pub fn command_line(&self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Waits until what strangers have opened is closed again: so many files were open before.
    pub fn until_closed(&self, before: usize) {
        eventually(Duration::from_secs(20), || {
            let open = self.open_files();
            ensure(open <= before + 2, || format!("{open} files, {before} before"))
        });
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and it is not waited for.
    pub fn stop(&self) {
        self.signal("-TERM");
    }

    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        self.stop();
        let status = self.wait(Duration::from_secs(30));
        (status, self.log())
    }

    /// Waits for it to end; then the log has all that it said.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = eventually(limit, || {
            self.child.try_wait().unwrap().ok_or_else(|| format!("it is still running:\n{}", self.log()))
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Waits for it to fail by itself, and returns the one sentence that says why.
    pub fn fails(&mut self) -> String {
        let status = self.wait(LIMIT);
        let log = self.log();
        assert_eq!(status.code(), Some(1), "{log}");
        let errors: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        let [error] = errors[..] else { panic!("one sentence, not {errors:?}:\n{log}") };
        error.to_owned()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
