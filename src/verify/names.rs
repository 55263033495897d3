//! What the topics and the group of a run are called.

use crate::config::Pipeline;

/// The topics and the group of a run.
#[derive(Clone, Debug)]
pub struct Names {
    /// The request topic.
    pub requests: String,
    /// The result topic.
    pub results: String,
    /// The dead-letter topic.
    pub dead_letters: String,
    /// The workers' group.
    pub group: String,
}

impl Names {
    /// Names that no other run has: the pipeline's own, and the run's number.
    pub fn new(pipeline: &Pipeline, run: u32) -> Names {
        let own = |name: &str| format!("{name}.verify-{run:08x}");
        Names {
            requests: own(&pipeline.source.topic.topic),
            results: own(&pipeline.sink.topic.topic),
            dead_letters: own(&pipeline.dead_letters),
            group: own(&pipeline.source.group),
        }
    }
}
