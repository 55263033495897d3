//! Whether a route is ready, and what keeps it from being so.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Whether a route can answer; set by its desk and its Kafka clients, read by `/readyz`.
#[derive(Default, Debug)]
pub struct Status {
    /// Partitions of the result topic that are ours.
    partitions: AtomicUsize,
    /// Whether the group has been joined, with partitions or without.
    joined: AtomicBool,
    /// Whether all results that were there at the start are read.
    caught_up: AtomicBool,
    /// Whether no broker answers.
    away: AtomicBool,
    stopping: AtomicBool,
}

impl Status {
    /// Why the route cannot answer; `None` where it can.
    pub fn trouble(&self) -> Option<&'static str> {
        if self.stopping.load(Relaxed) {
            Some("the gateway is stopping")
        } else if self.away.load(Relaxed) {
            Some("no Kafka broker answers")
        } else if !self.joined.load(Relaxed) {
            Some("the results' consumer has not joined its group yet")
        } else if self.partitions.load(Relaxed) == 0 {
            Some(
                "no partition of the result topic is left for this gateway: there are more gateways than \
                 partitions, or they are being shared out anew",
            )
        } else if !self.caught_up.load(Relaxed) {
            Some("the latest results are still being read")
        } else {
            None
        }
    }

    /// Records how many partitions are ours now.
    pub fn owns(&self, partitions: usize) {
        self.partitions.store(partitions, Relaxed);
        self.joined.store(true, Relaxed);
    }

    /// Records that all results that were there at the start are read.
    pub fn caught_up(&self) {
        self.caught_up.store(true, Relaxed);
    }

    /// Whether no broker answers.
    pub fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// Records whether no broker answers, and logs a change.
    pub fn away(&self, away: bool) {
        if self.away.swap(away, Relaxed) != away {
            if away {
                tracing::warn!("no Kafka broker answers; requests are refused until one does");
            } else {
                tracing::info!("a Kafka broker answers again");
            }
        }
    }

    /// Records that the gateway stops and takes nothing more.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }
}
