//! Changes topics, for faults.

use std::{collections::BTreeMap, time::Duration};

use futures::executor::block_on;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    error::KafkaResult,
};

use super::commits::coordinating_partition;

const ASK: Duration = Duration::from_secs(15);

/// Changes topics under the workers' feet. All calls block.
pub struct Changes(AdminClient<DefaultClientContext>);

impl Changes {
    /// A client for these brokers.
    ///
    /// # Errors
    /// Where librdkafka rejects the settings.
    pub fn new(config: &ClientConfig) -> KafkaResult<Self> {
        config.create().map(Changes)
    }

    /// Creates a topic. `replicas` is the broker's default where it is -1.
    ///
    /// # Errors
    /// The broker refuses, or does not answer; also in the methods below.
    pub fn create(
        &self,
        topic: &str,
        partitions: i32,
        replicas: i32,
        config: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
        let new = config.iter().fold(new, |new, (name, value)| new.set(name, value));
        done(topic, block_on(self.0.create_topics([&new], &options())).map(|mut results| results.pop()))
    }

    /// Deletes a topic with all of its records.
    pub fn delete(&self, topic: &str) -> Result<(), String> {
        done(topic, block_on(self.0.delete_topics(&[topic], &options())).map(|mut results| results.pop()))
    }

    /// Gives a topic more partitions, `partitions` in all.
    pub fn grow(&self, topic: &str, partitions: usize) -> Result<(), String> {
        let new = NewPartitions::new(topic, partitions);
        done(topic, block_on(self.0.create_partitions([&new], &options())).map(|mut results| results.pop()))
    }

    /// Gives a topic these settings, and no others.
    pub fn configure(&self, topic: &str, config: &BTreeMap<String, String>) -> Result<(), String> {
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let alter = config.iter().fold(alter, |alter, (name, value)| alter.set(name, value));
        let results =
            block_on(self.0.alter_configs([&alter], &options())).map_err(|error| error.to_string())?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(format!("{topic}: {code}")),
            _ => Ok(()),
        }
    }

    /// Deletes the records of a partition before that offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<(), String> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .map_err(|error| error.to_string())?;
        let deleted =
            block_on(self.0.delete_records(&list, &options())).map_err(|error| error.to_string())?;
        deleted.elements().iter().try_for_each(|element| element.error()).map_err(|error| error.to_string())
    }

    /// The first offset of a partition, and the one after its last.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<(i64, i64), String> {
        self.0.inner().fetch_watermarks(topic, partition, ASK).map_err(|error| error.to_string())
    }

    /// The leader of each partition of a topic, in order.
    pub fn leaders(&self, topic: &str) -> Result<Vec<i32>, String> {
        let metadata = self.0.inner().fetch_metadata(Some(topic), ASK).map_err(|error| error.to_string())?;
        let mut leaders: Vec<(i32, i32)> = metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic)
            .flat_map(|found| found.partitions().iter().map(|partition| (partition.id(), partition.leader())))
            .collect();
        leaders.sort_unstable();
        Ok(leaders.into_iter().map(|(_, leader)| leader).collect())
    }

    /// The node that coordinates a group.
    pub fn coordinator(&self, group: &str) -> Result<i32, String> {
        let leaders = self.leaders("__consumer_offsets")?;
        let partition = coordinating_partition(group, leaders.len() as i32);
        leaders.get(partition as usize).copied().ok_or_else(|| "no group exists yet".to_owned())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ASK)).request_timeout(Some(ASK))
}

fn done(topic: &str, result: KafkaResult<Option<rdkafka::admin::TopicResult>>) -> Result<(), String> {
    match result {
        Err(error) => Err(format!("{topic}: {error}")),
        Ok(Some(Err((_, code)))) => Err(format!("{topic}: {code}")),
        Ok(_) => Ok(()),
    }
}
