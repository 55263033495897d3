//! The partitions that a pipeline reads and writes, and the brokers that lead them.

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;

use crate::{
    config::{Guarantee, Pipeline},
    kafka::{Admin, AdminError, settings},
    record::TopicPartition,
    wire::{Brokers, Security},
};

/// Where coordinators keep what they know of transactions, and groups what they have committed.
const TRANSACTIONS: &str = "__transaction_state";
const OFFSETS: &str = "__consumer_offsets";
/// How often a coordinator looks for transactions that are too old; and its default, where the brokers do not say.
const INTERVAL_SETTING: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
const INTERVAL: Duration = Duration::from_secs(10);

/// Why the brokers cannot be asked about transactions.
#[derive(Error, Debug)]
pub enum PlaceError {
    /// The settings ask for what is not here.
    #[error("{0}")]
    Settings(String),
    /// No broker answers, or it refuses.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The broker has no transactions.
    #[error(
        "the broker at {0} is an embedded one, which does not isolate transactions, so none hangs: `pipeline broker` starts a real Kafka"
    )]
    Embedded(String),
}

/// A pipeline's partitions with their leaders, and the brokers to ask.
pub struct Places {
    /// How the ids of the transactions of the pipeline's own workers begin.
    pub(super) own: String,
    pub(super) admin: Admin,
    pub(super) brokers: Brokers,
    /// The broker that leads each; -1 where none does.
    pub(super) leaders: BTreeMap<TopicPartition, i32>,
    /// How often a coordinator looks for transactions that are too old.
    pub(super) interval: Duration,
    /// The topics of these partitions.
    pub topics: Vec<String>,
}

impl Places {
    /// Of a pipeline's source, result, dead-letter and retry topics, its tables and its changelog, as far as they are there; and where its group's
    /// offsets are part of transactions, of the partition that has these.
    ///
    /// # Errors
    /// The settings ask for a way in that is not here, or no broker answers.
    pub fn of(pipeline: &Pipeline) -> Result<Self, PlaceError> {
        let config = settings::common(pipeline);
        let security = Security::of(|name| config.get(name)).map_err(PlaceError::Settings)?;
        let admin = Admin::new(&config)?;
        if admin.is_embedded() {
            return Err(PlaceError::Embedded(admin.servers().to_owned()));
        }
        let client = config.get("client.id").unwrap_or_default();
        let brokers = Brokers::new(security, client, admin.brokers()?);
        let (reads, written) = (pipeline.source.reads(), pipeline.written_topics());
        let tables: Vec<&str> =
            pipeline.tables().map(|table| table.topic(&pipeline.sink.topic.topic)).collect();
        let is_meant = |name: &str| {
            reads(name) || tables.contains(&name) || written.iter().any(|written| *written == name)
        };
        let mut leaders = BTreeMap::new();
        let mut topics = Vec::new();
        for topic in admin.list()?.into_iter().filter(|topic| is_meant(&topic.name)) {
            for of in &topic.partitions {
                leaders.insert(TopicPartition::new(topic.name.as_str(), of.partition), of.leader);
            }
            topics.push(topic.name);
        }
        if pipeline.guarantee == Guarantee::ExactlyOnce
            && let Some(offsets) = admin.find(OFFSETS)?
        {
            let number = partition_of(&pipeline.source.group, offsets.partitions.len());
            let of = offsets.partitions.iter().filter(|of| of.partition == number);
            leaders.extend(of.map(|of| (TopicPartition::new(OFFSETS, number), of.leader)));
            topics.push(OFFSETS.to_owned());
        }
        let interval = admin.setting_of_brokers(INTERVAL_SETTING).and_then(|millis| millis.parse().ok());
        let interval = interval.map_or(INTERVAL, Duration::from_millis);
        Ok(Places { own: format!("{}-", pipeline.name), admin, brokers, leaders, interval, topics })
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.leaders.len()
    }

    /// This partition alone, of any topic; says whether it is there.
    ///
    /// # Errors
    /// No broker answers.
    pub fn only(&mut self, partition: &TopicPartition) -> Result<bool, PlaceError> {
        self.leaders.clear();
        self.also([partition])?;
        Ok(!self.leaders.is_empty())
    }

    /// These partitions too, as far as they are there.
    ///
    /// # Errors
    /// No broker answers.
    pub fn also<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), PlaceError> {
        let mut wanted: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions.into_iter().filter(|partition| !self.leaders.contains_key(*partition)) {
            wanted.entry(&partition.topic).or_default().push(partition.partition);
        }
        for (name, numbers) in wanted {
            let found = self.admin.find(name)?.into_iter().flat_map(|topic| topic.partitions);
            let meant = found.filter(|of| numbers.contains(&of.partition));
            self.leaders.extend(meant.map(|of| (TopicPartition::new(name, of.partition), of.leader)));
        }
        Ok(())
    }

    /// The partitions of what coordinators know that nobody leads now: of what is in these, nobody says anything.
    pub(super) fn headless(&self) -> Result<usize, PlaceError> {
        // Before the first transaction there is no such topic.
        let topic = self.admin.find(TRANSACTIONS)?;
        Ok(topic.map_or(0, |topic| topic.partitions.iter().filter(|of| of.leader < 0).count()))
    }
}

/// Which partition has a group's offsets: Java's hash of its name, without the sign (`GroupMetadataManager.partitionFor`).
fn partition_of(group: &str, partitions: usize) -> i32 {
    let hash =
        group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    (hash & i32::MAX) % i32::try_from(partitions.max(1)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_offsets_are_where_java_puts_them() {
        // "a".hashCode() is 97.
        assert_eq!((partition_of("a", 50), partition_of("", 50)), (47, 0));
        assert_eq!(
            partition_of("polygenelubricants", 50),
            0,
            "Integer.MIN_VALUE, whose absolute value is none"
        );
    }
}
