//! Everything that can be broken: workers, brokers, topics.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    ProxiedCluster,
    clock::now,
    history::Deleted,
    minutes::ResourceSample,
    names::Names,
    recording::{Asking, Recording},
    workers::Workers,
};
use crate::{
    kafka::verify::{Changes, Lag},
    load::Interrupt,
};

/// How often an interrupt is checked for.
const NOTICE: Duration = Duration::from_millis(50);
/// How often the workers' memory and files are sampled.
const SAMPLE: Duration = Duration::from_secs(5);

/// Everything that faults act on.
pub struct World {
    /// The running workers.
    pub workers: Workers,
    /// The brokers, if this run started them; `None` if they were given.
    pub cluster: Option<ProxiedCluster>,
    /// The client that changes topics; bypasses the proxies.
    pub changes: Changes,
    /// Its topics, and the workers' consumer group.
    pub names: Names,
    /// The settings of the result topics.
    pub results_configs: Vec<BTreeMap<String, String>>,
    /// The settings of the request topic.
    pub requests_config: BTreeMap<String, String>,
    /// The replicas of the request topic; -1 is the broker's default.
    pub requests_replicas: i32,
    /// The requests and answers so far.
    pub recording: Arc<Recording>,
    /// Starts producing requests.
    pub begin_asking: Box<dyn Fn() -> Result<Asking, String>>,
    /// The thread that produces requests; `None` while paused.
    pub asking: Option<Asking>,
    /// Ends the run early: raised once, no more faults happen; twice, nothing is waited for.
    pub interrupt: Arc<Interrupt>,
    /// Workers that ended by themselves or did not stop: when, and their last output.
    pub ended: Vec<(i64, String)>,
    /// The workers' memory and files over time.
    pub samples: Vec<ResourceSample>,
    /// When the next sample is due.
    pub next_sample: Instant,
    /// The group's lag.
    pub lag: Lag,
    /// Records that faults have deleted.
    pub deleted: Vec<Deleted>,
    /// When the request topic was recreated.
    pub made_again: Vec<i64>,
    /// The smallest record size that the result topic ever allowed, in bytes.
    pub smallest_limit: Option<u64>,
    /// Until when credentials are refused, and a while longer: a worker that starts meanwhile says so, and ends.
    pub refused_until: Option<Instant>,
}

/// What a worker says when it ends because it is not let in.
const NOT_LET_IN: &str = "error: there is no way in to the Kafka brokers";

impl World {
    /// Waits, and restarts workers that ended by themselves, as a supervisor would. Returns early on an
    /// interrupt.
    ///
    /// # Errors
    /// A worker cannot be started.
    pub fn wait(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        loop {
            self.look_after_workers()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.interrupt.goes_on() {
                return Ok(());
            }
            thread::sleep(left.min(NOTICE));
        }
    }

    /// Restarts workers that ended by themselves, and samples their memory and files.
    ///
    /// # Errors
    /// What the system says.
    pub fn look_after_workers(&mut self) -> Result<(), String> {
        for ended in self.workers.ended() {
            let is_refused = self.refused_until.is_some_and(|until| Instant::now() < until);
            if is_refused && ended.last.contains(NOT_LET_IN) {
                self.start_worker()?;
                continue;
            }
            self.ended.push((
                now(),
                format!(
                    "{} ended by itself ({}); its last output:\n{}",
                    ended.name, ended.status, ended.last
                ),
            ));
            self.start_worker()?;
        }
        if Instant::now() >= self.next_sample {
            self.next_sample = Instant::now() + SAMPLE;
            self.samples.extend(self.workers.sample());
        }
        Ok(())
    }

    /// Starts one more worker.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_worker(&mut self) -> Result<String, String> {
        self.workers.start().map_err(|error| format!("a worker cannot be started: {error}"))
    }

    /// Stops a worker with SIGTERM; one that does not stop is killed, and recorded.
    pub fn terminate_worker(&mut self, name: &str) {
        if !self.workers.terminate(name) {
            self.did_not_stop(name);
        }
    }

    /// Stops all workers with SIGTERM.
    pub fn terminate_all(&mut self) {
        for name in self.workers.terminate_all() {
            self.did_not_stop(&name);
        }
    }

    /// Records that a worker had to be killed.
    fn did_not_stop(&mut self, name: &str) {
        self.ended.push((now(), format!("{name} did not stop within 40 s of SIGTERM")));
    }

    /// Stops producing requests, and waits until all are delivered.
    ///
    /// # Errors
    /// The brokers did not take it.
    pub fn pause_asking(&mut self) -> Result<(), String> {
        self.asking.take().map_or(Ok(()), Asking::finish)
    }

    /// Continues to produce requests.
    ///
    /// # Errors
    /// The producer cannot be created.
    pub fn resume_asking(&mut self) -> Result<(), String> {
        self.asking = Some((self.begin_asking)()?);
        Ok(())
    }
}
