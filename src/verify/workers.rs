//! The workers: processes of this program that run the user's file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{clock::Clock, minutes::Sample, world::now};
use crate::broker::Watch;

/// How long a worker that was told to stop may take: twice what `shutdown.timeout` is by default, and the time until
/// Kafka's clients are closed.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// What follows the program's name.
    pub arguments: Vec<String>,
    /// Variables for its environment.
    pub variables: Vec<(String, String)>,
    /// Where the logs go: a file for each process.
    pub logs: PathBuf,
}

/// A worker that ended without having been told to.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its name, which its log has too.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// The last of what it said.
    pub last: String,
}

/// One process.
struct Worker {
    name: String,
    child: Child,
    log: PathBuf,
    /// Ended with this process at the latest.
    _watch: Watch,
}

/// All that run; they are killed when this is dropped.
pub struct Workers {
    command: WorkerCommand,
    running: Vec<Worker>,
    /// How many were ever started.
    started: usize,
}

impl Workers {
    /// A group of workers of which none is started yet.
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

    /// Starts one more whose clock can be set. Returns its name, and the clock.
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
                // It cannot be left to itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        self.running.push(Worker { name, child, log, _watch: watch });
        Ok(())
    }

    /// The name of the one that a number means; `None` where none runs.
    pub fn name(&self, who: usize) -> Option<&str> {
        Some(&self.running.get(who % self.count().max(1))?.name)
    }

    /// `kill -9`.
    pub fn kill(&mut self, name: &str) {
        if let Some(mut worker) = self.take(name) {
            worker.kill();
        }
    }

    /// SIGTERM, and waits until it has ended. Returns false where that took too long, and it was killed.
    pub fn terminate(&mut self, name: &str) -> bool {
        let Some(mut worker) = self.take(name) else { return true };
        worker.signal(libc::SIGTERM);
        worker.ends_within(STOP_LIMIT)
    }

    /// SIGTERM to all, and waits until they have ended. Returns the names of those that had to be killed.
    pub fn terminate_all(&mut self) -> Vec<String> {
        self.running.iter().for_each(|worker| worker.signal(libc::SIGTERM));
        let late = |mut worker: Worker| (!worker.ends_within(STOP_LIMIT)).then_some(worker.name);
        self.running.drain(..).filter_map(late).collect()
    }

    /// Lets it stand still.
    pub fn freeze(&self, name: &str) {
        self.signal(name, libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self, name: &str) {
        self.signal(name, libc::SIGCONT);
    }

    /// Those that have ended by themselves since this was asked last.
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

    /// What the largest of them holds now; `None` where the system does not say, or none runs.
    pub fn sample(&self) -> Option<Sample> {
        let held = self.running.iter().filter_map(|worker| held_by(worker.child.id()));
        let (resident, files) = held.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))?;
        Some(Sample { at: now(), resident, files })
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
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: nobody has waited for the child yet, so its id is nobody else's.
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

/// Bytes of resident memory and open files of a process, as Linux tells them (proc(5)).
fn held_by(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    Some((kib << 10, files as u64))
}

/// The last lines of a log, a few.
fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}
