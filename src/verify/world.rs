//! All that can be broken: workers, brokers, topics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    ProxiedCluster,
    history::Deleted,
    minutes::Sample,
    recording::{Asking, Recording},
    setup::Names,
    workers::Workers,
};
use crate::kafka::verify::{Changes, Lag};

/// How long it takes at most to notice a stop.
const NOTICE: Duration = Duration::from_millis(50);
/// How often it is looked at what workers hold.
const SAMPLE: Duration = Duration::from_secs(5);

/// Whether the run is to end early: once for no more faults, twice for at once.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Asks for it.
    pub fn stop(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Whether faults may go on.
    pub fn goes_on(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Whether anything is to be waited for.
    pub fn waits(&self) -> bool {
        self.0.load(Relaxed) < 2
    }
}

/// What the faults work on.
pub struct World {
    /// The workers that run now.
    pub workers: Workers,
    /// The brokers, where they are ours; `None` where they were given.
    pub cluster: Option<ProxiedCluster>,
    /// Changes topics, past the proxies.
    pub changes: Changes,
    /// Its topics, and the workers' consumer group.
    pub names: Names,
    /// The settings of the result topic.
    pub results_config: BTreeMap<String, String>,
    /// The settings of the topic of requests.
    pub requests_config: BTreeMap<String, String>,
    /// The replicas of the topic of requests; the broker's default where it is -1.
    pub requests_replicas: i32,
    /// What was asked so far.
    pub recording: Arc<Recording>,
    /// Begins to ask.
    pub begin_asking: Box<dyn Fn() -> Result<Asking, String>>,
    /// The thread that asks; `None` while nothing is asked.
    pub asking: Option<Asking>,
    /// Whether to end early.
    pub stop: Arc<Stop>,
    /// Workers that ended by themselves or did not stop: when, and what they said.
    pub ended: Vec<(i64, String)>,
    /// What workers held, from time to time.
    pub samples: Vec<Sample>,
    /// When that is looked at next.
    pub next_sample: Instant,
    /// How far behind the group is.
    pub lag: Lag,
    /// Records that faults have deleted.
    pub deleted: Vec<Deleted>,
    /// When the topic of requests was made again.
    pub made_again: Vec<i64>,
    /// The smallest record that the result topic ever took, in bytes.
    pub smallest_limit: Option<u64>,
}

impl World {
    /// Waits, and starts workers again that have ended by themselves, as a supervisor does. Shorter where the run
    /// is to end.
    ///
    /// # Errors
    /// A worker cannot be started.
    pub fn wait(&mut self, time: Duration) -> Result<(), String> {
        let until = Instant::now() + time;
        loop {
            self.look_after_workers()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.stop.goes_on() {
                return Ok(());
            }
            thread::sleep(left.min(NOTICE));
        }
    }

    /// Starts workers again that have ended by themselves, and looks at what they hold.
    ///
    /// # Errors
    /// What the system says.
    pub fn look_after_workers(&mut self) -> Result<(), String> {
        for ended in self.workers.ended() {
            self.ended.push((
                now(),
                format!("{} ended by itself ({}); it said last:\n{}", ended.name, ended.status, ended.last),
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

    /// SIGTERM, and the end of it; one that does not stop is killed, and remembered.
    pub fn terminate_worker(&mut self, name: &str) {
        if !self.workers.terminate(name) {
            self.did_not_stop(name);
        }
    }

    /// SIGTERM to all, and the end of them.
    pub fn terminate_all(&mut self) {
        for name in self.workers.terminate_all() {
            self.did_not_stop(&name);
        }
    }

    /// Remembers that a worker had to be killed.
    fn did_not_stop(&mut self, name: &str) {
        self.ended.push((now(), format!("{name} did not stop within 40 s of SIGTERM")));
    }

    /// Asks no more, once all is in its topic that was asked.
    ///
    /// # Errors
    /// The brokers did not take it.
    pub fn pause_asking(&mut self) -> Result<(), String> {
        self.asking.take().map_or(Ok(()), Asking::finish)
    }

    /// Asks again, from where it was left.
    ///
    /// # Errors
    /// There is no producer.
    pub fn resume_asking(&mut self) -> Result<(), String> {
        self.asking = Some((self.begin_asking)()?);
        Ok(())
    }
}

/// Milliseconds since 1970 UTC.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
