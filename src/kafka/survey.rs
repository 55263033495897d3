//! Checks brokers, topics and rights, for `pipeline check --connect`.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

use super::{
    Admin, AdminError,
    rights::{self, Right},
    settings,
};
use crate::config::{Guarantee, Pipeline};

/// How long one request about rights may take.
const ASK: Duration = Duration::from_secs(15);

/// What a pipeline would find at its brokers, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What is as it must be.
    pub good: Vec<String>,
    /// What would keep the pipeline from running.
    pub wrong: Vec<String>,
}

impl Admin {
    /// Checks the brokers, topics and rights that the pipeline needs; changes nothing.
    ///
    /// # Errors
    /// Where no broker answers.
    pub fn survey(&self, pipeline: &Pipeline) -> Result<Survey, AdminError> {
        let mut survey = Survey::default();
        let what = if self.is_embedded() { "the embedded broker" } else { "Kafka" };
        survey.good.push(format!("{what} answers at {}", self.servers()));
        for topic in pipeline.source.topics.iter().filter(|_| !pipeline.source.is_pattern()) {
            self.survey_topic(&mut survey, &topic.topic, Right::Read)?;
        }
        for topic in pipeline.retry_topics() {
            self.survey_topic(&mut survey, topic, Right::Read)?;
        }
        for topic in pipeline.written_topics().iter() {
            self.survey_topic(&mut survey, topic, Right::Write)?;
        }
        if !self.is_embedded() {
            let group = &pipeline.source.group;
            // SAFETY: the client lives as long as `self`.
            let allowed = unsafe { rights::to_group(self.native(), group, Right::Read, ASK) };
            survey.right(&format!("the group {group}"), "joined", Right::Read, allowed);
            if pipeline.guarantee == Guarantee::ExactlyOnce {
                let config = settings::producer(pipeline, &pipeline.written_topics().map(|_| 1 << 20));
                let subject = format!("a transactional id that begins with {}-", pipeline.name);
                let allowed = rights::to_transactions(&config, ASK);
                survey.right(&subject, "used", Right::Write, allowed);
            }
        }
        Ok(survey)
    }

    fn survey_topic(&self, survey: &mut Survey, topic: &str, right: Right) -> Result<(), AdminError> {
        let Some(found) = self.find(topic)? else {
            survey.good.push(format!(
                "the topic {topic} is not there yet, and `run` creates it (or this user lacks the right DESCRIBE on it)"
            ));
            return Ok(());
        };
        let headless: Vec<String> = found
            .partitions
            .iter()
            .filter(|partition| partition.leader < 0)
            .map(|partition| partition.partition.to_string())
            .collect();
        if !headless.is_empty() {
            survey.wrong.push(format!(
                "the topic {topic} has no leader for partition {}: is a broker down?",
                headless.join(", ")
            ));
        }
        let subject = match found.partitions.len() {
            1 => format!("the topic {topic} has 1 partition and"),
            count => format!("the topic {topic} has {count} partitions and"),
        };
        if self.is_embedded() {
            survey.good.push(format!("{subject} is there for everybody"));
            return Ok(());
        }
        // SAFETY: the client lives as long as `self`.
        let allowed = unsafe { rights::to_topic(self.native(), topic, right, ASK) };
        let verb = if right == Right::Read { "read" } else { "written" };
        survey.right(&subject, verb, right, allowed);
        Ok(())
    }
}

impl Survey {
    fn right(&mut self, subject: &str, verb: &str, right: Right, allowed: Result<bool, RDKafkaErrorCode>) {
        let right = right.name();
        match allowed {
            Ok(true) => self.good.push(format!("{subject} may be {verb}")),
            Ok(false) => self.wrong.push(format!(
                "{subject} may not be {verb} by this user: it lacks the right {right}, and an ACL must give it"
            )),
            Err(reason) => self.wrong.push(format!(
                "{subject} cannot be described by this user, who needs the right {right}: {reason}"
            )),
        }
    }
}
