//! What the topics and the group of a run are called.

use crate::{config::Pipeline, record::PerTopic};

/// The topics and the group of a run.
#[derive(Clone, Debug)]
pub struct Names {
    /// The request topic.
    pub requests: String,
    /// The topics that are written.
    pub written: PerTopic<String>,
    /// What the names of the topics begin with where records wait before they are tried again, and those names.
    pub retries: Option<(String, Vec<String>)>,
    /// The workers' group.
    pub group: String,
    run: u32,
}

fn own(name: &str, run: u32) -> String {
    format!("{name}.verify-{run:08x}")
}

/// In a file the topics are called by one name, behind which their numbers stand.
fn retries(pipeline: &Pipeline, own: impl Fn(&str) -> String) -> Option<(String, Vec<String>)> {
    let name = own(pipeline.retry_topics().next()?.strip_suffix("-1")?);
    let topics = (1..).zip(pipeline.retry_topics()).map(|(number, _)| format!("{name}-{number}")).collect();
    Some((name, topics))
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
            retries: retries(pipeline, own),
            group: own(&pipeline.source.group),
        }
    }

    /// All topics that the workers read.
    pub fn read(&self) -> Vec<String> {
        let retries = self.retries.iter().flat_map(|(_, topics)| topics.clone());
        std::iter::once(self.requests.clone()).chain(retries).collect()
    }

    /// The name that a topic of the pipeline has in this run.
    pub fn own(&self, topic: &str) -> String {
        own(topic, self.run)
    }
}
