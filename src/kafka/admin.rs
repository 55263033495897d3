//! Topics: what there is, what they take, and what has to be created.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use thiserror::Error;

use crate::config::{Pipeline, Property, TopicSettings};

/// How long a question may take.
const ASK: Duration = Duration::from_secs(15);
/// What a dead letter's headers may add to a record, in bytes.
const DEAD_LETTER_ROOM: u64 = 16 << 10;
/// What a topic takes where the broker does not say, in bytes (Kafka's default `message.max.bytes`).
const DEFAULT_LIMIT: u64 = 1_048_588;

/// Why topics cannot be asked about or changed.
#[derive(Error, Debug)]
pub enum AdminError {
    /// No broker answers.
    #[error(
        "no Kafka broker answers at {servers}: is one running, and is the address right? (set it with PIPELINE_BOOTSTRAP_SERVERS, or kafka.bootstrap.servers in the pipeline's file)"
    )]
    NoBroker {
        /// Where one was looked for.
        servers: String,
    },
    /// The client cannot be made.
    #[error("cannot make an admin client: {0}")]
    Client(String),
    /// A topic is not there.
    #[error("there is no topic {topic} at {servers}")]
    NoTopic {
        /// Its name.
        topic: String,
        /// Where it was looked for.
        servers: String,
    },
    /// The broker refused.
    #[error("cannot {what} topic {topic}: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The topic's name.
        topic: String,
        /// The broker's words.
        reason: String,
    },
}

/// One partition of a topic, as `topics describe` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; -1 where none does.
    pub leader: i32,
    /// The brokers that have a copy.
    pub replicas: Vec<i32>,
    /// The first offset that is retained.
    pub low: i64,
    /// The offset after the last.
    pub high: i64,
}

/// What a pipeline's topics take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest record of the result topic, in bytes.
    pub result: u64,
    /// The largest record of any topic that is written, in bytes.
    pub largest: u64,
}

/// A client that asks about topics and changes them.
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    servers: String,
}

impl Admin {
    /// A client for these brokers, once one of them has answered.
    ///
    /// # Errors
    /// Where none does, within 15 seconds.
    pub fn new(config: &ClientConfig) -> Result<Self, AdminError> {
        let servers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        let client: AdminClient<_> =
            config.create().map_err(|error| AdminError::Client(error.to_string()))?;
        let admin = Admin { client, servers };
        admin.client.inner().fetch_metadata(None, ASK).map_err(|_| admin.no_broker())?;
        Ok(admin)
    }

    /// Whether the broker is librdkafka's mock cluster, in this process or another.
    pub fn is_embedded(&self) -> bool {
        self.client.inner().fetch_cluster_id(ASK).is_some_and(|id| id.starts_with("mockCluster"))
    }

    /// Settings that suit the broker: the embedded one answers a fetch only when its time is over.
    pub fn suit(&self, pipeline: &mut Pipeline) {
        if self.is_embedded() {
            let soon = Property { value: "20".to_owned(), secret: false };
            pipeline.kafka.entry("fetch.wait.max.ms".to_owned()).or_insert(soon);
        }
    }

    /// The topics' names and partition counts, without Kafka's own.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn list(&self) -> Result<Vec<(String, usize)>, AdminError> {
        let metadata = self.client.inner().fetch_metadata(None, ASK).map_err(|_| self.no_broker())?;
        let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
        let mut topics: Vec<_> =
            topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
        topics.sort();
        Ok(topics)
    }

    /// Whether the topic is there. Asks for all topics, as asking for one may create it.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn exists(&self, topic: &str) -> Result<bool, AdminError> {
        Ok(self.list()?.iter().any(|(name, _)| name == topic))
    }

    /// A topic's partitions.
    ///
    /// # Errors
    /// Where there is no such topic.
    pub fn describe(&self, topic: &str) -> Result<Vec<PartitionDescription>, AdminError> {
        let no_topic = || AdminError::NoTopic { topic: topic.to_owned(), servers: self.servers.clone() };
        if !self.exists(topic)? {
            return Err(no_topic());
        }
        let client = self.client.inner();
        let metadata = client.fetch_metadata(Some(topic), ASK).map_err(|_| self.no_broker())?;
        let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(no_topic)?;
        let mut partitions = Vec::new();
        for partition in found.partitions() {
            let (low, high) =
                client.fetch_watermarks(topic, partition.id(), ASK).map_err(|error| AdminError::Refused {
                    what: "read the offsets of",
                    topic: topic.to_owned(),
                    reason: error.to_string(),
                })?;
            let replicas = partition.replicas().to_vec();
            partitions.push(PartitionDescription {
                partition: partition.id(),
                leader: partition.leader(),
                replicas,
                low,
                high,
            });
        }
        partitions.sort_by_key(|partition| partition.partition);
        Ok(partitions)
    }

    /// A topic's settings, those that are not the default alone; `None` where the broker does not say.
    pub async fn topic_config(&self, topic: &str) -> Option<BTreeMap<String, String>> {
        let config = self.config(&ResourceSpecifier::Topic(topic)).await?;
        let own = config.entries.iter().filter(|entry| !entry.is_default);
        Some(own.map(|entry| (entry.name.clone(), entry.value.clone().unwrap_or_default())).collect())
    }

    /// Creates a topic. Returns whether it was not there before.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub async fn create(&self, settings: &TopicSettings) -> Result<bool, AdminError> {
        let replication = settings.replication.unwrap_or(-1);
        let mut topic = NewTopic::new(
            &settings.topic,
            settings.partitions.unwrap_or(-1),
            TopicReplication::Fixed(replication),
        );
        for (name, value) in &settings.config {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ASK)).request_timeout(Some(ASK));
        let results = self.client.create_topics([&topic], &options).await;
        match results.map_err(|error| self.refused("create", &settings.topic, &error))?.pop() {
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(self.refused("create", &settings.topic, &KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Deletes a topic and all that is in it.
    ///
    /// # Errors
    /// Where there is none, or the broker refuses.
    pub async fn delete(&self, topic: &str) -> Result<(), AdminError> {
        let options = AdminOptions::new().operation_timeout(Some(ASK)).request_timeout(Some(ASK));
        let results = self.client.delete_topics(&[topic], &options).await;
        match results.map_err(|error| self.refused("delete", topic, &error))?.pop() {
            Some(Err((_, Code::UnknownTopicOrPartition | Code::UnknownTopic))) => {
                Err(AdminError::NoTopic { topic: topic.to_owned(), servers: self.servers.clone() })
            }
            Some(Err((_, code))) => Err(self.refused("delete", topic, &KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Creates what the pipeline cannot do without, quietly where it is there already: the source topic and
    /// the dead-letter topic. The result topic is created by the first write, or here where the broker does
    /// not do that. Tells what the topics take.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub async fn ensure_topics(&self, pipeline: &Pipeline) -> Result<Limits, AdminError> {
        let (source, sink) = (&pipeline.source.topic, &pipeline.sink.topic);
        if self.is_embedded() {
            // It has no admin API; its owner has created the topics, and the rest are created by asking.
            return Ok(Limits { result: DEFAULT_LIMIT, largest: DEFAULT_LIMIT });
        }
        let there = self.list()?;
        let is_there = |topic: &str| there.iter().any(|(name, _)| name == topic);
        if !is_there(&source.topic) {
            self.create_and_say(source).await?;
        }
        let created_by_writing =
            self.broker_setting("auto.create.topics.enable").await.as_deref() == Some("true");
        if !is_there(&sink.topic) && !created_by_writing {
            self.create_and_say(sink).await?;
        }
        if !is_there(&pipeline.dead_letters) {
            let limit = self.limit(&source.topic).await + DEAD_LETTER_ROOM;
            let config = BTreeMap::from([("max.message.bytes".to_owned(), limit.to_string())]);
            let (partitions, replication) = (source.partitions, source.replication);
            let topic = pipeline.dead_letters.clone();
            self.create_and_say(&TopicSettings { topic, partitions, replication, config }).await?;
        }
        let result = self.limit(&sink.topic).await;
        let largest = result.max(self.limit(&pipeline.dead_letters).await);
        Ok(Limits { result, largest })
    }

    async fn create_and_say(&self, topic: &TopicSettings) -> Result<(), AdminError> {
        if self.create(topic).await? {
            tracing::info!(topic = %topic.topic, "created a topic");
        }
        Ok(())
    }

    /// The largest record batch that a topic takes, in bytes; for one that is not there, what a new one will.
    async fn limit(&self, topic: &str) -> u64 {
        let config = self.config(&ResourceSpecifier::Topic(topic)).await;
        let own = config.and_then(|config| config.get("max.message.bytes")?.value.clone());
        let limit = match own {
            Some(limit) => Some(limit),
            None => self.broker_setting("message.max.bytes").await,
        };
        limit.and_then(|limit| limit.parse().ok()).unwrap_or(DEFAULT_LIMIT)
    }

    async fn broker_setting(&self, name: &str) -> Option<String> {
        let broker = self.client.inner().fetch_metadata(None, ASK).ok()?.brokers().first()?.id();
        self.config(&ResourceSpecifier::Broker(broker)).await?.get(name)?.value.clone()
    }

    async fn config(&self, resource: &ResourceSpecifier<'_>) -> Option<ConfigResource> {
        let options = AdminOptions::new().request_timeout(Some(ASK));
        self.client.describe_configs([resource], &options).await.ok()?.pop()?.ok()
    }

    fn no_broker(&self) -> AdminError {
        AdminError::NoBroker { servers: self.servers.clone() }
    }

    fn refused(&self, what: &'static str, topic: &str, error: &KafkaError) -> AdminError {
        let reason = match error.rdkafka_error_code() {
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                format!("this user lacks the right to {what} it (an ACL on the topic or the cluster)")
            }
            Some(Code::InvalidReplicationFactor) => {
                "there are fewer brokers than the replicas asked for".to_owned()
            }
            _ => error.to_string(),
        };
        AdminError::Refused { what, topic: topic.to_owned(), reason }
    }
}
