//! What the topics and the group of a run are called.

use crate::{config::Pipeline, record::PerTopic};

/// The topics and the group of a run.
#[derive(Clone, Debug)]
pub struct Names {
    /// The request topic.
    pub requests: String,
    /// The topics that are written.
    pub written: PerTopic<String>,
    /// The workers' group.
    pub group: String,
    run: u32,
}

fn own(name: &str, run: u32) -> String {
    format!("{name}.verify-{run:08x}")
}

impl Names {
    /// Names that no other run has: the pipeline's own, and the run's number.
    pub fn new(pipeline: &Pipeline, run: u32) -> Names {
        let own = |name: &str| own(name, run);
        Names {
            run,
            requests: own(&pipeline.source.topic().topic.replace(['^', '(', ')', '$'], "")),
            written: PerTopic {
                results: pipeline.result_topics().iter().map(|topic| own(&topic.topic)).collect(),
                dead_letters: own(&pipeline.dead_letters),
            },
            group: own(&pipeline.source.group),
        }
    }

    /// The name that a topic of the pipeline has in this run.
    pub fn own(&self, topic: &str) -> String {
        own(topic, self.run)
    }
}
