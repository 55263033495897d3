//! Ends a transaction at one partition in its coordinator's place.

use std::{
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{Open, Places, ask::asked};
use crate::{
    record::TopicPartition,
    wire::{Producer, WireError},
};

/// How long a marker may take until the partition shows it.
const SHOWN: Duration = Duration::from_secs(15);

/// Why a transaction was not aborted.
#[derive(Error, Debug)]
pub enum AbortError {
    /// The broker does not answer, or refuses.
    #[error("{0}; nothing was changed that this command knows of: list the transactions again")]
    Broker(#[from] WireError),
    /// The marker was taken, and the transaction is open all the same.
    #[error(
        "broker {leader} took the marker, and the transaction is open at {partition} all the same {} later: list the transactions again",
        humantime::format_duration(SHOWN)
    )]
    StillOpen {
        /// Who leads the partition.
        leader: i32,
        /// Where it is open.
        partition: TopicPartition,
    },
}

/// How a partition stands after a transaction was aborted there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aborted {
    /// Its last stable offset and its end, where the broker says.
    pub ends: Option<(i64, i64)>,
}

impl Places {
    /// Writes the marker that aborts it, and waits until its partition shows that (KIP-664).
    ///
    /// # Errors
    /// The partition's leader does not answer or refuses, or the transaction stays open.
    pub fn abort(&mut self, open: &Open) -> Result<Aborted, AbortError> {
        let partition = &open.partition;
        let leader = self.leaders.get(partition).copied().unwrap_or(-1);
        let producer = Producer {
            id: open.producer,
            epoch: open.epoch,
            last_write: open.last_write,
            coordinator_epoch: open.coordinator_epoch,
            start: open.start,
        };
        asked(&mut self.brokers, leader, |connection| {
            connection.abort(&partition.topic, partition.partition, &producer)
        })?;
        let deadline = Instant::now() + SHOWN;
        let place = (partition.clone(), open.producer, open.start);
        loop {
            let mut gaps = Vec::new();
            let is_open = self.open(&mut gaps).contains_key(&place);
            if !is_open && gaps.is_empty() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(AbortError::StillOpen { leader, partition: partition.clone() });
            }
            thread::sleep(Duration::from_millis(100));
        }
        let ends = self.ends([partition].into_iter(), &mut Vec::new());
        Ok(Aborted { ends: ends.get(partition).copied() })
    }
}
