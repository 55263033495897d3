//! How many workers are wanted, as metrics.

use metrics::{Gauge, gauge};

use super::{handles::build_info, names};

/// The gauges of `pipeline scale`.
pub struct ScaleMetrics {
    backlog: Gauge,
    wanted: Gauge,
    speed: Gauge,
}

impl ScaleMetrics {
    /// Those of a pipeline.
    pub fn new(pipeline: &str) -> Self {
        build_info(pipeline);
        let gauge = |name| gauge!(name, "pipeline" => pipeline.to_owned());
        ScaleMetrics {
            backlog: gauge(names::BACKLOG_SECONDS),
            wanted: gauge(names::WORKERS_WANTED),
            speed: gauge(names::WORKER_SPEED),
        }
    }

    /// From now on, so many seconds of work wait, so many workers are wanted, and each does so many seconds in a second.
    pub fn set(&self, backlog: f64, wanted: u32, speed: f64) {
        self.backlog.set(backlog);
        self.wanted.set(f64::from(wanted));
        self.speed.set(speed);
    }
}
