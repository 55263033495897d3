//! What a contender wrote, in a form that does not depend on the order of records.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use serde_json::Value;

use crate::{PARTITIONS, job::Job};

/// Of each topic, how many records are there, and the sum of a hash of each.
pub fn read(servers: &str, topics: &[String], job: Job) -> Vec<(u64, u64)> {
    topics.iter().map(|topic| read_one(servers, topic, job)).collect()
}

fn read_one(servers: &str, topic: &str, job: Job) -> (u64, u64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "unused").set("enable.partition.eof", "true");
    // A commit that was answered is an event of which `poll` returns `None`, as if the time were over.
    config.set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut records, mut sum, mut ended) = (0, 0_u64, 0);
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_secs(30)).expect("a record") {
            Ok(record) => {
                records += 1;
                let mut hasher = DefaultHasher::new();
                record.key().hash(&mut hasher);
                let value = record.payload().unwrap();
                if job.writes_avro() {
                    value.hash(&mut hasher);
                } else {
                    canonical(serde_json::from_slice(value).unwrap()).hash(&mut hasher);
                }
                sum = sum.wrapping_add(hasher.finish());
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (records, sum)
}

/// JSON without the freedom of its writer: fields in the order of their names, and numbers as floating-point.
fn canonical(value: Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            fields.into_iter().map(|(name, value)| format!("{name:?}:{},", canonical(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| canonical(item) + ",").collect(),
        Value::Number(number) => number.as_f64().unwrap().to_string(),
        other => other.to_string(),
    }
}
