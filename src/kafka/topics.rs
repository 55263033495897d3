//! Creates the topics that a pipeline needs, and finds out how large their records may be.

use std::time::Duration;

use super::{Admin, AdminError};
use crate::{
    config::{Gateway, Large, Pipeline, TOPIC_LIMIT, TopicSettings},
    record::PerTopic,
};

/// The source topics, where they are named.
fn named_sources(pipeline: &Pipeline) -> impl Iterator<Item = &TopicSettings> {
    pipeline.source.topics.iter().filter(|_| !pipeline.source.is_pattern())
}

/// The retry topics: as the dead-letter topic is, which has room for headers of ours too.
fn retry_topics(pipeline: &Pipeline, dead_letters: &TopicSettings) -> impl Iterator<Item = TopicSettings> {
    pipeline.retry_topics().map(|topic| TopicSettings { topic: topic.to_owned(), ..dead_letters.clone() })
}

/// For how long a changelog says that a key has no value any more, before compaction takes that out too.
pub const CHANGELOG_TOMBSTONES: Duration = Duration::from_secs(24 * 3_600);

/// The changelog: as the dead-letter topic is, but compacted.
fn changelog_topic(pipeline: &Pipeline, dead_letters: &TopicSettings) -> Option<TopicSettings> {
    let mut config = dead_letters.config.clone();
    config.insert("cleanup.policy".to_owned(), "compact".to_owned());
    config.insert("delete.retention.ms".to_owned(), CHANGELOG_TOMBSTONES.as_millis().to_string());
    let topic = pipeline.changelog()?.to_owned();
    Some(TopicSettings { topic, config, ..dead_letters.clone() })
}

/// Where it is told how far records are: a few small ones a second, which mean nothing soon.
fn progress_topic(topic: &str) -> TopicSettings {
    let config = [("retention.ms".to_owned(), "3600000".to_owned())].into();
    TopicSettings { topic: topic.to_owned(), partitions: Some(1), replication: None, config }
}

/// How many bytes a dead letter's headers may add to a record.
const DEAD_LETTER_ROOM: u64 = 16 << 10;

/// The largest record batch of each topic that a pipeline writes, in bytes.
pub type TopicLimits = PerTopic<u64>;

impl Admin {
    /// Creates the source topics, the retry topics and the dead-letter topic where they do not exist. The result topics are
    /// created by their first write, or here where the broker does not do that. Returns the limits of the
    /// topics.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn ensure_topics(&self, pipeline: &Pipeline) -> Result<TopicLimits, AdminError> {
        for topic in named_sources(pipeline) {
            self.create_if_missing(topic).await?;
        }
        self.refuse_compacted(pipeline).await?;
        let auto_create = self.auto_create_enabled().await;
        let mut results = Vec::new();
        for topic in pipeline.result_topics() {
            let new = !auto_create && self.create_if_missing(topic).await?;
            results.push(self.limit(topic, new).await);
        }
        let topic = self.dead_letter_topic(pipeline).await?;
        for topic in retry_topics(pipeline, &topic) {
            let new = self.create_if_missing(&topic).await?;
            results.push(self.limit(&topic, new).await);
        }
        if let Some(topic) = changelog_topic(pipeline, &topic) {
            let new = self.create_if_missing(&topic).await?;
            if !new {
                self.refuse_not_compacted(&topic.topic).await?;
            }
            results.push(self.limit(&topic, new).await);
        }
        self.ensure_partitions_beside(pipeline).await?;
        if let Some(topic) = pipeline.progress.as_deref() {
            self.create_if_missing(&progress_topic(topic)).await?;
        }
        let new = self.create_if_missing(&topic).await?;
        let dead_letters = self.limit(&topic, new).await;
        self.warn_of_small_dead_letters(pipeline, dead_letters).await;
        Ok(TopicLimits { results, dead_letters })
    }

    /// Results in pieces do not go with compaction, which would keep one record of each key.
    async fn refuse_compacted(&self, pipeline: &Pipeline) -> Result<(), AdminError> {
        if pipeline.sink.large != Large::Pieces {
            return Ok(());
        }
        for TopicSettings { topic, config, .. } in pipeline.result_topics() {
            // For a topic that is not there yet, what it is created with.
            let policy = "cleanup.policy";
            let is = self.topic_config(topic).await.and_then(|config| config.get(policy).cloned());
            if is.or_else(|| config.get(policy).cloned()).is_some_and(|policy| policy.contains("compact")) {
                return Err(AdminError::Compacted { topic: topic.clone() });
            }
        }
        Ok(())
    }

    /// A changelog that is not compacted loses what was written long ago.
    async fn refuse_not_compacted(&self, topic: &str) -> Result<(), AdminError> {
        let policy = self.topic_config(topic).await.and_then(|config| config.get("cleanup.policy").cloned());
        match policy {
            Some(policy) if policy != "compact" => {
                Err(AdminError::NotCompacted { topic: topic.to_owned(), policy })
            }
            _ => Ok(()),
        }
    }

    /// Sees that the topics beside the source have each partition that the source has.
    async fn ensure_partitions_beside(&self, pipeline: &Pipeline) -> Result<(), AdminError> {
        let mut beside = pipeline.topics_beside();
        beside.extend(pipeline.changelog().map(str::to_owned));
        if beside.is_empty() || self.is_embedded() {
            return Ok(());
        }
        // A topic that has just been created is not known to all brokers at once, and has been given as many.
        let count = |topic: &str| Ok::<_, AdminError>(self.find(topic)?.map(|found| found.partitions.len()));
        let Some(partitions) = count(&pipeline.source.topic().topic)? else { return Ok(()) };
        for topic in beside {
            if count(&topic)?.is_some_and(|has| has < partitions) {
                self.grow(&topic, partitions).await?;
                tracing::info!(
                    topic,
                    partitions,
                    "a topic beside the source has got as many partitions as the source has"
                );
            }
        }
        Ok(())
    }

    /// The current limits of the pipeline's topics, which exist.
    pub async fn topic_limits(&self, pipeline: &Pipeline) -> TopicLimits {
        let mut results = Vec::new();
        for topic in &pipeline.written_topics().results {
            results.push(self.topic_limit(topic).await.unwrap_or(TOPIC_LIMIT));
        }
        let dead_letters = self.topic_limit(&pipeline.dead_letters).await.unwrap_or(TOPIC_LIMIT);
        TopicLimits { results, dead_letters }
    }

    /// Creates the request and result topics of a gateway where they do not exist.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn ensure_gateway_topics(&self, gateway: &Gateway) -> Result<(), AdminError> {
        for topic in gateway.routes.iter().flat_map(|route| [&route.request, &route.result]) {
            self.create_if_missing(topic).await?;
        }
        for topic in gateway.routes.iter().filter_map(|route| route.progress.as_deref()).map(progress_topic) {
            self.create_if_missing(&topic).await?;
        }
        Ok(())
    }

    /// Creates the topics of the pipeline that do not exist. Returns all of its topics, and whether each is new.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub async fn create_topics(&self, pipeline: &Pipeline) -> Result<Vec<(String, bool)>, AdminError> {
        let mut topics = Vec::new();
        for topic in named_sources(pipeline).chain(pipeline.result_topics()) {
            topics.push((topic.topic.clone(), self.create_if_missing(topic).await?));
        }
        let dead_letters = self.dead_letter_topic(pipeline).await?;
        let others = pipeline.progress.as_deref().map(progress_topic);
        let others = others.into_iter().chain(changelog_topic(pipeline, &dead_letters));
        for topic in retry_topics(pipeline, &dead_letters).chain(others) {
            let new = self.create_if_missing(&topic).await?;
            topics.push((topic.topic, new));
        }
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

    /// The largest record batch that a source topic takes, in bytes.
    async fn largest_source(&self, pipeline: &Pipeline) -> u64 {
        let mut largest = 0;
        for topic in named_sources(pipeline) {
            largest = largest.max(self.topic_limit(&topic.topic).await.unwrap_or(TOPIC_LIMIT));
        }
        if largest == 0 { TOPIC_LIMIT } else { largest }
    }

    async fn warn_of_small_dead_letters(&self, pipeline: &Pipeline, limit: u64) {
        let source = self.largest_source(pipeline).await;
        if limit < source {
            tracing::warn!(
                topic = pipeline.dead_letters,
                "the dead-letter topic takes {} bytes and a source topic {source}: a large record that cannot be \
                 computed would stop the pipeline. Raise its max.message.bytes to {}",
                limit,
                source + DEAD_LETTER_ROOM
            );
        }
    }

    /// The settings of the dead-letter topic: like the source topics, with room for the headers of a dead
    /// letter. As many partitions, as every record may become a dead letter; as many replicas, as nothing
    /// else keeps these records.
    async fn dead_letter_topic(&self, pipeline: &Pipeline) -> Result<TopicSettings, AdminError> {
        let source = pipeline.source.topic();
        let (mut partitions, mut replicas) = (source.partitions, source.replication);
        for topic in named_sources(pipeline) {
            let Some(is) = self.find(&topic.topic)? else { continue };
            partitions = partitions.max(Some(is.partitions.len() as i32));
            replicas = is.partitions.first().map(|first| first.replicas.len() as i32).or(replicas);
        }
        let limit = self.largest_source(pipeline).await + DEAD_LETTER_ROOM;
        Ok(TopicSettings {
            topic: pipeline.dead_letters.clone(),
            partitions,
            replication: replicas,
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
