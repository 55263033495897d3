//! Describes, creates and deletes topics.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, ConfigResource, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
    metadata::Metadata,
};
use thiserror::Error;

use super::{reach::reach, settings};
use crate::config::TopicSettings;

/// How long a request to the brokers may take.
const ASK: Duration = Duration::from_secs(15);

/// Why topics cannot be described or changed.
#[derive(Error, Debug)]
pub enum AdminError {
    /// No broker answers.
    #[error(
        "no Kafka broker answers at {servers}{reason}: is one running, and is the address right? It is set by PIPELINE_BOOTSTRAP_SERVERS, or by bootstrap.servers in the pipeline's [kafka]"
    )]
    NoBroker {
        /// The addresses that were tried.
        servers: String,
        /// What librdkafka says, in parentheses, or nothing.
        reason: String,
    },
    /// Client and brokers do not accept each other: wrong credentials, or a certificate that cannot be
    /// verified.
    #[error("there is no way in to the Kafka brokers at {servers}: {reason}")]
    NoWayIn {
        /// The addresses of the brokers.
        servers: String,
        /// What is not accepted, and which setting it may be.
        reason: String,
    },
    /// librdkafka rejects the settings.
    #[error("these settings make no Kafka client: {0}")]
    Client(String),
    /// The topic does not exist, or the user may not see it.
    #[error("there is no topic {topic} at {servers}, or this user lacks the right DESCRIBE on it")]
    NoTopic {
        /// Its name.
        topic: String,
        /// The addresses of the brokers.
        servers: String,
    },
    /// The topic is compacted, and results are to be written in pieces.
    #[error(
        "the topic {topic} is compacted, which would delete the pieces of large results: write them to a topic with \
         cleanup.policy=delete, or take `large = \"pieces\"` out of [sink]"
    )]
    Compacted {
        /// Its name.
        topic: String,
    },
    /// The changelog of what operators remember is not compacted alone.
    #[error(
        "the changelog {topic} has cleanup.policy={policy}, with which it would lose what was written long ago: set cleanup.policy=compact, \
         or name another topic in [state]"
    )]
    NotCompacted {
        /// Its name.
        topic: String,
        /// What it has.
        policy: String,
    },
    /// The user lacks a right.
    #[error(
        "cannot {what} topic {topic}: this user lacks the right {right} on it{}; an ACL must give it",
        if *right == "CREATE" { ", or DESCRIBE if it is there already" } else { "" }
    )]
    NoRight {
        /// The operation, as a verb.
        what: &'static str,
        /// The topic's name.
        topic: String,
        /// The right, as Kafka names it.
        right: &'static str,
    },
    /// The broker refused.
    #[error("cannot {what} topic {topic}: {reason}")]
    Refused {
        /// The operation, as a verb.
        what: &'static str,
        /// The topic's name.
        topic: String,
        /// The broker's words.
        reason: String,
    },
}

impl AdminError {
    /// No broker answers; with librdkafka's reason, if there is one.
    pub(super) fn no_broker(servers: &str, reason: &str) -> AdminError {
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        AdminError::NoBroker { servers: servers.to_owned(), reason }
    }
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionDescription>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; -1 where none does.
    pub leader: i32,
    /// The brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

/// A client that describes, creates and deletes topics.
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    servers: String,
    embedded: bool,
}

impl Admin {
    /// A client for these brokers. Blocks until one of them answers.
    ///
    /// # Errors
    /// Where none answers within 15 seconds, or they do not accept this client.
    pub fn new(config: &ClientConfig) -> Result<Self, AdminError> {
        let servers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        reach(config, &servers, ASK)?;
        let client: AdminClient<_> =
            config.create().map_err(|error| AdminError::Client(error.to_string()))?;
        let id = client.inner().fetch_cluster_id(ASK);
        // librdkafka's mock clusters have such ids.
        let embedded = id.is_some_and(|id| id.starts_with("mockCluster"));
        Ok(Admin { client, servers, embedded })
    }

    /// Whether the broker is librdkafka's mock cluster, in this process or another: it has no admin API, and
    /// its transactions are not isolated.
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// A client's settings, adapted to the embedded broker where that is used.
    pub fn fit(&self, config: &ClientConfig) -> ClientConfig {
        if self.embedded { settings::for_embedded(config) } else { config.clone() }
    }

    /// librdkafka's client, for calls that `rdkafka` lacks; valid as long as `self`.
    pub(super) fn native(&self) -> *mut rdkafka::bindings::rd_kafka_t {
        self.client.inner().native_ptr()
    }

    /// The addresses of the brokers.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// All topics that this user may see, by name, without Kafka's internal ones. Blocks.
    ///
    /// # Errors
    /// Where no broker answers.
    pub fn list(&self) -> Result<Vec<TopicDescription>, AdminError> {
        let metadata = self.metadata(None)?;
        let mut topics: Vec<_> =
            metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")).map(describe).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// A topic, if it exists. Blocks. Requests the metadata of all topics, as requesting that of one may
    /// create it.
    ///
    /// # Errors
    /// Where no broker answers.
    pub fn find(&self, topic: &str) -> Result<Option<TopicDescription>, AdminError> {
        Ok(self.metadata(None)?.topics().iter().find(|found| found.name() == topic).map(describe))
    }

    /// A topic that must exist. Blocks.
    ///
    /// # Errors
    /// Where it does not, or no broker answers.
    pub fn describe(&self, topic: &str) -> Result<TopicDescription, AdminError> {
        self.find(topic)?.ok_or_else(|| self.no_topic(topic))
    }

    /// The first offset that a partition retains, and the one after its last. Blocks.
    ///
    /// # Errors
    /// Where the partition has no leader, or the user may not read it.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<(i64, i64), AdminError> {
        self.client
            .inner()
            .fetch_watermarks(topic, partition, ASK)
            .map_err(|error| self.refused("read the offsets of", topic, "DESCRIBE", &error))
    }

    /// The settings of a topic that differ from the cluster's; `None` where the broker does not say.
    pub async fn topic_config(&self, topic: &str) -> Option<BTreeMap<String, String>> {
        let config = self.config(&ResourceSpecifier::Topic(topic)).await?;
        let own = config.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        Some(own.map(|entry| (entry.name.clone(), entry.value.clone().unwrap_or_default())).collect())
    }

    /// The largest record batch that a topic takes, in bytes; for a topic that does not exist, what a new one
    /// would take. `None` where the broker does not say.
    pub async fn topic_limit(&self, topic: &str) -> Option<u64> {
        let config = self.config(&ResourceSpecifier::Topic(topic)).await;
        match config.and_then(|config| config.get("max.message.bytes")?.value.clone()) {
            Some(limit) => limit.parse().ok(),
            None => self.broker_setting("message.max.bytes").await?.parse().ok(),
        }
    }

    /// Whether the first write to a topic creates it; false where the broker does not say.
    pub async fn auto_create_enabled(&self) -> bool {
        self.embedded || self.broker_setting("auto.create.topics.enable").await.as_deref() == Some("true")
    }

    /// Creates a topic. Returns false where it exists already, as another process may create it meanwhile.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub async fn create(&self, settings: &TopicSettings) -> Result<bool, AdminError> {
        let topic = &settings.topic;
        if self.embedded {
            return self.touch(topic);
        }
        let replication = TopicReplication::Fixed(settings.replication.unwrap_or(-1));
        let new = NewTopic::new(topic, settings.partitions.unwrap_or(-1), replication);
        let new = settings.config.iter().fold(new, |new, (name, value)| new.set(name, value));
        let refused = |error| self.refused("create", topic, "CREATE", &error);
        match self.client.create_topics([&new], &options()).await.map_err(refused)?.pop() {
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(refused(KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Gives a topic so many partitions.
    ///
    /// # Errors
    /// Where it does not exist, or the broker refuses.
    pub async fn grow(&self, topic: &str, partitions: usize) -> Result<(), AdminError> {
        let refused = |error| self.refused("add partitions to", topic, "ALTER", &error);
        let new = NewPartitions::new(topic, partitions);
        match self.client.create_partitions([&new], &options()).await.map_err(refused)?.pop() {
            // Another worker has done it meanwhile.
            Some(Err((_, Code::InvalidPartitions))) | Some(Ok(_)) | None => Ok(()),
            Some(Err((_, code))) => Err(refused(KafkaError::AdminOp(code))),
        }
    }

    /// Deletes a topic with all of its records.
    ///
    /// # Errors
    /// Where it does not exist, or the broker refuses.
    pub async fn delete(&self, topic: &str) -> Result<(), AdminError> {
        if self.embedded {
            let reason = "the embedded broker keeps its topics until its process exits".to_owned();
            return Err(AdminError::Refused { what: "delete", topic: topic.to_owned(), reason });
        }
        let refused = |error| self.refused("delete", topic, "DELETE", &error);
        match self.client.delete_topics(&[topic], &options()).await.map_err(refused)?.pop() {
            Some(Err((_, Code::UnknownTopicOrPartition | Code::UnknownTopic))) => Err(self.no_topic(topic)),
            Some(Err((_, code))) => Err(refused(KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Deletes the records of partitions before an offset each, as retention does. Blocks.
    ///
    /// # Errors
    /// Where no broker answers, or it refuses.
    pub fn delete_records(&self, topic: &str, before: &[(i32, i64)]) -> Result<(), AdminError> {
        let refused = |error| self.refused("delete records of", topic, "DELETE", &error);
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).map_err(refused)?;
        }
        let deleted =
            futures::executor::block_on(self.client.delete_records(&list, &options())).map_err(refused)?;
        deleted.elements().iter().try_for_each(|element| element.error().map_err(refused))
    }

    /// Creates a topic at the embedded broker, which does so when a producer requests its metadata, with its
    /// own settings.
    fn touch(&self, topic: &str) -> Result<bool, AdminError> {
        if self.find(topic)?.is_some() {
            return Ok(false);
        }
        // An admin client is a producer to librdkafka.
        self.metadata(Some(topic))?;
        Ok(true)
    }

    pub(super) fn metadata(&self, topic: Option<&str>) -> Result<Metadata, AdminError> {
        self.client
            .inner()
            .fetch_metadata(topic, ASK)
            .map_err(|error| AdminError::no_broker(&self.servers, &error.to_string()))
    }

    pub(super) async fn broker_setting(&self, name: &str) -> Option<String> {
        let broker = self.metadata(None).ok()?.brokers().first()?.id();
        self.config(&ResourceSpecifier::Broker(broker)).await?.get(name)?.value.clone()
    }

    async fn config(&self, resource: &ResourceSpecifier<'_>) -> Option<ConfigResource> {
        if self.embedded {
            return None;
        }
        self.client.describe_configs([resource], &options()).await.ok()?.pop()?.ok()
    }

    fn no_topic(&self, topic: &str) -> AdminError {
        AdminError::NoTopic { topic: topic.to_owned(), servers: self.servers.clone() }
    }

    fn refused(
        &self,
        what: &'static str,
        topic: &str,
        right: &'static str,
        error: &KafkaError,
    ) -> AdminError {
        let topic = topic.to_owned();
        let code = match error {
            // `rdkafka_error_code` does not know this variant.
            KafkaError::AdminOp(code) => Some(*code),
            error => error.rdkafka_error_code(),
        };
        match code {
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                AdminError::NoRight { what, topic, right }
            }
            Some(Code::InvalidReplicationFactor) => {
                let brokers = self.metadata(None).map_or(0, |metadata| metadata.brokers().len());
                let reason =
                    format!("more replicas were asked for than there are brokers, which is {brokers}");
                AdminError::Refused { what, topic, reason }
            }
            code => {
                let reason = match code {
                    Some(Code::InvalidReplicationFactor) => {
                        "more replicas were asked for than there are brokers".to_owned()
                    }
                    Some(Code::InvalidTopic) => {
                        "its name may have letters, digits, `.`, `_` and `-` alone, at most 249 of them"
                            .to_owned()
                    }
                    Some(Code::InvalidConfig) => {
                        "the broker does not know one of the settings, or does not take its value".to_owned()
                    }
                    Some(code) => code.to_string(),
                    None => error.to_string(),
                };
                AdminError::Refused { what, topic, reason }
            }
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ASK)).request_timeout(Some(ASK))
}

fn describe(topic: &rdkafka::metadata::MetadataTopic) -> TopicDescription {
    let mut partitions: Vec<_> = topic
        .partitions()
        .iter()
        .map(|partition| PartitionDescription {
            partition: partition.id(),
            leader: partition.leader(),
            replicas: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.partition);
    TopicDescription { name: topic.name().to_owned(), partitions }
}
