//! Counting the records of each key, with a state that lasts: `cargo bench --bench state [-- --records 2000000] [--keys 100000] [--rounds 3]`.
//!
//! `aggregate` beside Kafka Streams with its own store and cache (Maven fetches it). Each contender is a process of its own, one after the
//! other on one broker, with an empty folder; the last count of each key has to be the same. `aggregate` writes each count, and Kafka
//! Streams with its cache only some of them. With `--storm` see `storm.rs`.

#[path = "../shared/broker.rs"]
mod broker;
#[path = "../shared/java.rs"]
mod java;
mod storm;
#[path = "../shared/taken.rs"]
mod taken;

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use broker::Broker;
use java::Java;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer},
};
use taken::Taken;

const PARTITIONS: i32 = 4;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let setting = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let number = |name, default| setting(name).map_or(default, |n| n.parse().unwrap());
    let (records, keys, rounds) =
        (number("--records", 2_000_000), number("--keys", 100_000), number("--rounds", 3));
    if arguments.iter().any(|argument| argument == "--storm") {
        return storm::run(number("--records", 12_000_000), number("--keys", 10_000_000));
    }
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let streams = Java::compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/state"), "Count");
    let from = format!("counted-{:x}", fastrand::u32(..));
    produce(&mut broker.topic(&from, PARTITIONS), &from, records, keys);
    for guarantee in ["at-least-once", "exactly-once"] {
        let mut taken = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            for turn in 0..2 {
                // Neither is always the first.
                let contender = (turn + round as usize) % 2;
                let to = format!("{from}-{contender}-{guarantee}-{round}");
                let config = broker.topic(&to, PARTITIONS);
                let state = folder.path().join(&to);
                let mut command = match contender {
                    0 => pipeline(&broker.servers, &from, &to, guarantee, &state),
                    _ => {
                        let state = state.to_str().unwrap();
                        streams.command(&[
                            &broker.servers,
                            &from,
                            &to,
                            &records.to_string(),
                            guarantee,
                            state,
                        ])
                    }
                };
                taken[contender].push(taken::measure(command.stderr(Stdio::null()), records));
                check(&config, &to, records, keys);
                fs::remove_dir_all(&state).unwrap();
            }
        }
        for (name, taken) in ["pipeline", "streams"].iter().zip(&mut taken) {
            println!("count {guarantee:14} {name:9} {}", Taken::median(taken));
        }
    }
}

/// Counts with `aggregate`.
fn pipeline(servers: &str, from: &str, to: &str, guarantee: &str, state: &Path) -> Command {
    fs::create_dir_all(state).unwrap();
    let file = state.join("count.toml");
    let text = format!(
        "name = \"{to}\"\nguarantee = \"{guarantee}\"\n[kafka]\nbootstrap.servers = \"{servers}\"\n[source]\ntopic = \"{from}\"\n\
         format = \"bytes\"\n[operators.aggregate.results]\nn = \"count\"\n[sink]\ntopic = \"{to}\"\nformat = \"json\"\n\
         [state]\nfolder = \"{}\"\n",
        state.display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.arg("run").arg(file).arg("--drain");
    command
}

/// The number of a record's key: they come in no order that a store could use.
fn key_of(n: u64, keys: u64) -> u64 {
    n.wrapping_mul(2_654_435_761) % keys
}

/// Fills a topic.
fn produce(config: &mut ClientConfig, topic: &str, records: u64, keys: u64) {
    let producer: BaseProducer = config.set("linger.ms", "50").create().unwrap();
    for n in 0..records {
        // Each key in its partition.
        let of = key_of(n, keys);
        let key = format!("k-{of}");
        let mut record = BaseRecord::to(topic)
            .key(&key)
            .payload("{\"amount\":7}")
            .partition((of % PARTITIONS as u64) as i32);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// The last count of each key has to be right.
fn check(config: &ClientConfig, topic: &str, records: u64, keys: u64) {
    let mut config = config.clone();
    config.set("group.id", "unused").set("enable.partition.eof", "true").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut counts, mut ended) = (HashMap::<Vec<u8>, u64>::new(), 0);
    while ended < PARTITIONS {
        match consumer.poll(Duration::from_secs(30)).expect("a record") {
            Ok(record) => {
                let value: serde_json::Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
                counts.insert(record.key().unwrap().to_vec(), value["n"].as_u64().unwrap());
            }
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let mut expected = HashMap::<Vec<u8>, u64>::new();
    for n in 0..records {
        *expected.entry(format!("k-{}", key_of(n, keys)).into_bytes()).or_default() += 1;
    }
    assert!(counts == expected, "{} keys of {}", counts.len(), expected.len());
}
