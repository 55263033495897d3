//! The workers: processes of this program that run the user's file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    clock::{Clock, now},
    minutes::ResourceSample,
};
use crate::broker::Watch;

/// How long a worker may take to stop on SIGTERM: twice the default `shutdown.timeout`, and the time to close
/// the Kafka clients.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    /// Variables for its environment.
    pub variables: Vec<(String, String)>,
    /// The folder of the logs: a file for each process.
    pub logs: PathBuf,
}

/// A worker that ended by itself.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its name, which its log has too.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// The last lines of its log.
    pub last: String,
}

/// One process.
struct Worker {
    name: String,
    child: Child,
    log: PathBuf,
    /// Kills it if this process ends.
    _watch: Watch,
}

/// All running workers; killed when dropped.
pub struct Workers {
    command: WorkerCommand,
    running: Vec<Worker>,
    /// How many were started so far.
    started: usize,
}

impl Workers {
    /// Creates the group without starting a worker.
    ///
    /// # Errors
    /// The folder for the logs cannot be made.
    pub fn new(command: WorkerCommand) -> io::Result<Self> {
        fs::create_dir_all(&command.logs)?;
        Ok(Workers { command, running: Vec::new(), started: 0 })
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// Starts one more. Returns its name.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&mut self) -> io::Result<String> {
        let name = self.next_name();
        self.spawn(name.clone(), &[])?;
        Ok(name)
    }

    /// Starts one more, with a clock that can be set. Returns its name and the clock.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_with_clock(&mut self) -> io::Result<(String, Clock)> {
        let name = self.next_name();
        let clock = Clock::new(self.command.logs.join(format!("{name}.clock")))?;
        self.spawn(name.clone(), &clock.variables())?;
        Ok((name, clock))
    }

    fn next_name(&mut self) -> String {
        self.started += 1;
        format!("w{}", self.started)
    }

    fn spawn(&mut self, name: String, variables: &[(String, String)]) -> io::Result<()> {
        let log = self.command.logs.join(format!("{name}.log"));
        let mut child = Command::new(std::env::current_exe()?)
            .args(&self.command.arguments)
            .envs(self.command.variables.iter().chain(variables).cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let watch = match Watch::over(&child) {
            Ok(watch) => watch,
            Err(error) => {
                // Without the guard it could outlive this process.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        self.running.push(Worker { name, child, log, _watch: watch });
        Ok(())
    }

    /// The name of the worker that a random number selects; `None` if none runs.
    pub fn name(&self, who: usize) -> Option<&str> {
        Some(&self.running.get(who % self.count().max(1))?.name)
    }

    /// `kill -9`.
    pub fn kill(&mut self, name: &str) {
        if let Some(mut worker) = self.take(name) {
            worker.kill();
        }
    }

    /// SIGTERM; waits until it has ended. Returns false if that took too long and it was killed.
    pub fn terminate(&mut self, name: &str) -> bool {
        let Some(mut worker) = self.take(name) else { return true };
        worker.signal(libc::SIGTERM);
        worker.ends_within(STOP_LIMIT)
    }

    /// SIGTERM to all; waits until they have ended. Returns the names of those that had to be killed.
    pub fn terminate_all(&mut self) -> Vec<String> {
        self.running.iter().for_each(|worker| worker.signal(libc::SIGTERM));
        let late = |mut worker: Worker| (!worker.ends_within(STOP_LIMIT)).then_some(worker.name);
        self.running.drain(..).filter_map(late).collect()
    }

    /// SIGSTOP.
    pub fn freeze(&self, name: &str) {
        self.signal(name, libc::SIGSTOP);
    }

    /// SIGCONT.
    pub fn thaw(&self, name: &str) {
        self.signal(name, libc::SIGCONT);
    }

    /// Workers that ended by themselves since the last call.
    pub fn ended(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.running.retain_mut(|worker| match worker.child.try_wait() {
            Ok(Some(status)) => {
                let last = last_lines(&worker.log);
                ended.push(Ended { name: worker.name.clone(), status, last });
                false
            }
            _ => true,
        });
        ended
    }

    /// The memory and files of the largest worker; `None` if none runs, or the system does not report them.
    pub fn sample(&self) -> Option<ResourceSample> {
        let held = self.running.iter().filter_map(|worker| held_by(worker.child.id()));
        let (resident, files) = held.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))?;
        Some(ResourceSample { at: now(), resident, files })
    }

    fn signal(&self, name: &str, signal: i32) {
        if let Some(worker) = self.running.iter().find(|worker| worker.name == name) {
            worker.signal(signal);
        }
    }

    fn take(&mut self, name: &str) -> Option<Worker> {
        let index = self.running.iter().position(|worker| worker.name == name)?;
        Some(self.running.remove(index))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.running.iter_mut().for_each(Worker::kill);
    }
}

impl Worker {
    fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so its id has not been reused.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !matches!(self.child.try_wait(), Ok(Some(_))) {
            if Instant::now() >= deadline {
                self.kill();
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

/// A process's resident memory in bytes and its open files, from Linux (proc(5)).
fn held_by(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some((kib << 10, files as u64))
}

/// The last few lines of a log.
fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}
