//! Creates the topics that a pipeline needs, and finds out how large their records may be.

use super::{Admin, AdminError};
use crate::config::{Gateway, Pipeline, TOPIC_LIMIT, TopicSettings};

/// How many bytes a dead letter's headers may add to a record.
const DEAD_LETTER_ROOM: u64 = 16 << 10;

/// The size limits of the topics that a pipeline writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicLimits {
    /// The largest record batch of the result topic, in bytes.
    pub result: u64,
    /// The largest record batch of the dead-letter topic, in bytes.
    pub dead_letter: u64,
}

impl TopicLimits {
    /// The smaller limit: what both topics take.
    pub fn smallest(self) -> u64 {
        self.result.min(self.dead_letter)
    }

    /// The larger limit.
    pub fn largest(self) -> u64 {
        self.result.max(self.dead_letter)
    }
}

impl Admin {
    /// Creates the source topic and the dead-letter topic where they do not exist. The result topic is
    /// created by the first write, or here where the broker does not do that. Returns the limits of the
    /// topics.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn ensure_topics(&self, pipeline: &Pipeline) -> Result<TopicLimits, AdminError> {
        let (source, sink) = (&pipeline.source.topic, &pipeline.sink.topic);
        self.create_if_missing(source).await?;
        let new_sink = !self.auto_create_enabled().await && self.create_if_missing(sink).await?;
        let dead_letters = self.dead_letter_topic(pipeline).await?;
        let new_dead_letters = self.create_if_missing(&dead_letters).await?;
        let limits = TopicLimits {
            result: self.limit(sink, new_sink).await,
            dead_letter: self.limit(&dead_letters, new_dead_letters).await,
        };
        self.warn_of_small_dead_letters(pipeline, limits).await;
        Ok(limits)
    }

    /// The current limits of the pipeline's topics, which exist.
    pub async fn topic_limits(&self, pipeline: &Pipeline) -> TopicLimits {
        TopicLimits {
            result: self.topic_limit(&pipeline.sink.topic.topic).await.unwrap_or(TOPIC_LIMIT),
            dead_letter: self.topic_limit(&pipeline.dead_letters).await.unwrap_or(TOPIC_LIMIT),
        }
    }

    /// Creates the request and result topics of a gateway where they do not exist.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn ensure_gateway_topics(&self, gateway: &Gateway) -> Result<(), AdminError> {
        for topic in gateway.routes.iter().flat_map(|route| [&route.request, &route.result]) {
            self.create_if_missing(topic).await?;
        }
        Ok(())
    }

    /// Creates the topics of the pipeline that do not exist. Returns all three, and whether each is new.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn create_topics(&self, pipeline: &Pipeline) -> Result<Vec<(String, bool)>, AdminError> {
        let mut topics = Vec::new();
        for topic in [&pipeline.source.topic, &pipeline.sink.topic] {
            topics.push((topic.topic.clone(), self.create_if_missing(topic).await?));
        }
        let dead_letters = self.dead_letter_topic(pipeline).await?;
        let new = self.create_if_missing(&dead_letters).await?;
        topics.push((dead_letters.topic, new));
        Ok(topics)
    }

    /// The largest record batch that a topic takes, in bytes. For a new topic, that is what it was created
    /// with: the broker that answers may not know it yet.
    async fn limit(&self, topic: &TopicSettings, new: bool) -> u64 {
        let given = topic.config.get("max.message.bytes").and_then(|limit| limit.parse().ok());
        match given {
            Some(given) if new => given,
            _ => self.topic_limit(&topic.topic).await.unwrap_or(TOPIC_LIMIT),
        }
    }

    async fn warn_of_small_dead_letters(&self, pipeline: &Pipeline, limits: TopicLimits) {
        let source = self.topic_limit(&pipeline.source.topic.topic).await.unwrap_or(TOPIC_LIMIT);
        if limits.dead_letter < source {
            tracing::warn!(
                topic = pipeline.dead_letters,
                "the dead-letter topic takes {} bytes and the source topic {source}: a large record that cannot be \
                 computed would stop the pipeline. Raise its max.message.bytes to {}",
                limits.dead_letter,
                source + DEAD_LETTER_ROOM
            );
        }
    }

    /// The settings of the dead-letter topic: like the source topic, with room for the headers of a dead
    /// letter. As many partitions, as every record may become a dead letter; as many replicas, as nothing
    /// else keeps these records.
    async fn dead_letter_topic(&self, pipeline: &Pipeline) -> Result<TopicSettings, AdminError> {
        let source = &pipeline.source.topic;
        let is = self.find(&source.topic)?;
        let partitions = is.as_ref().map(|topic| topic.partitions.len() as i32).or(source.partitions);
        let replicas = is.and_then(|topic| Some(topic.partitions.first()?.replicas.len() as i32));
        let limit = self.topic_limit(&source.topic).await.unwrap_or(TOPIC_LIMIT) + DEAD_LETTER_ROOM;
        Ok(TopicSettings {
            topic: pipeline.dead_letters.clone(),
            partitions,
            replication: replicas.or(source.replication),
            config: [("max.message.bytes".to_owned(), limit.to_string())].into(),
        })
    }

    /// Returns whether the topic is new. Where two workers try at once, one of them creates it.
    async fn create_if_missing(&self, topic: &TopicSettings) -> Result<bool, AdminError> {
        let created = self.find(&topic.topic)?.is_none() && self.create(topic).await?;
        if created {
            tracing::info!(topic = topic.topic, partitions = topic.partitions, "created a topic");
        }
        Ok(created)
    }
}
