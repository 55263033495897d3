//! What operators remember: how much it is, and what is read before records can be computed.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytesize::ByteSize;
use metrics::{Counter, Gauge, counter, gauge};

use super::names::{STATE_BYTES, STATE_RESTORED, STATE_RESTORING, STATE_STANDBY_LAG};

/// How many restored partitions are told of.
const LATEST: usize = 10;

/// What operators of a pipeline remember.
pub struct RememberedState {
    bytes: Gauge,
    restored: Counter,
    restoring: Gauge,
    standby_lag: Gauge,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Whether there is any.
    is_kept: bool,
    bytes: u64,
    /// How many records the copies of others' partitions lack, where there are such.
    standby_lag: Option<u64>,
    /// By partition: the records that were read of the changelog so far, and how long that took where all were.
    partitions: BTreeMap<i32, (u64, Option<Duration>)>,
}

impl RememberedState {
    pub fn new(pipeline: &str) -> Self {
        let p = pipeline.to_owned();
        RememberedState {
            bytes: gauge!(STATE_BYTES, "pipeline" => p.clone()),
            restored: counter!(STATE_RESTORED, "pipeline" => p.clone()),
            restoring: gauge!(STATE_RESTORING, "pipeline" => p.clone()),
            standby_lag: gauge!(STATE_STANDBY_LAG, "pipeline" => p),
            told: Mutex::default(),
        }
    }

    /// So many bytes are on the disk.
    pub(crate) fn holds(&self, bytes: u64) {
        let mut told = self.lock();
        (told.is_kept, told.bytes) = (true, bytes);
        self.bytes.set(bytes as f64);
    }

    /// The copies of partitions that other workers have lack so many records of the changelog.
    pub(crate) fn standby_lags(&self, records: u64) {
        self.lock().standby_lag = Some(records);
        self.standby_lag.set(records as f64);
    }

    /// So many more records of a partition's changelog were read; with `took` they were the last.
    pub(crate) fn restored(&self, partition: i32, records: u64, took: Option<Duration>) {
        self.restored.increment(records);
        let mut told = self.lock();
        let (before, done) = told.partitions.get(&partition).copied().unwrap_or_default();
        let before = if done.is_some() { 0 } else { before };
        told.partitions.insert(partition, (before + records, took));
        while told.partitions.len() > LATEST
            && let Some(oldest) =
                told.partitions.iter().find(|(_, (_, took))| took.is_some()).map(|(of, _)| *of)
        {
            told.partitions.remove(&oldest);
        }
        self.count(&told);
    }

    /// It is not read any more: the partition is gone.
    pub(crate) fn forget(&self, partition: i32) {
        let mut told = self.lock();
        told.partitions.remove(&partition);
        self.count(&told);
    }

    fn count(&self, told: &Told) {
        self.restoring.set(told.partitions.values().filter(|(_, took)| took.is_none()).count() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for RememberedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.lock();
        if !told.is_kept {
            return Ok(());
        }
        writeln!(f, "  what operators remember: {} on disk", ByteSize(told.bytes).display().iec())?;
        match told.standby_lag {
            Some(0) => writeln!(f, "    copies of the partitions that other workers have are up to date")?,
            Some(lag) => {
                writeln!(f, "    copies of the partitions that other workers have lack {lag} records")?
            }
            None => {}
        }
        for (partition, (records, took)) in &told.partitions {
            match took {
                Some(took) => writeln!(
                    f,
                    "    partition {partition}: {records} records of the changelog were read in {:.1} s",
                    took.as_secs_f64()
                )?,
                None => writeln!(
                    f,
                    "    partition {partition}: is being read from the changelog, {records} records so far"
                )?,
            }
        }
        Ok(())
    }
}
