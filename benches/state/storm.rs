//! `cargo bench --bench state -- --storm [--records 12000000] [--keys 10000000]`: what `aggregate` remembers although workers and brokers are
//! killed all along, on three brokers, exactly-once.
//!
//! Two workers. Every few seconds one of them, or a broker, is killed (`kill -9`) and started again. All results have to be those of a program that
//! reads the source once: each count of each key once, in order.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::{PARTITIONS, broker::create, key_of, produce};

/// How long nothing is killed.
const QUIET: Duration = Duration::from_secs(6);
/// How long a broker is away.
const AWAY: Duration = Duration::from_secs(3);
/// How long results are waited for that should not be there.
const AFTER: Duration = Duration::from_secs(5);

pub fn run(records: u64, keys: u64) {
    let settings = Settings {
        nodes: Nodes::Three,
        data: Data::Temporary,
        port: None,
        heap_mib: 512,
        properties: [("broker.session.timeout.ms", "4000"), ("log.retention.ms", "-1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    let mut cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let (servers, folder) = (cluster.bootstrap_servers(), tempfile::tempdir().unwrap());
    let (from, to) = ("stormy", "stormy-counts");
    for topic in [from, to] {
        create(&servers, topic, PARTITIONS, -1);
    }
    let began = Instant::now();
    produce(ClientConfig::new().set("bootstrap.servers", &servers).set("acks", "all"), from, records, keys);
    println!("{records} records of {keys} keys are there after {:.0?}", began.elapsed());
    let file = folder.path().join("storm.toml");
    fs::write(&file, text(&servers, from, to, folder.path())).unwrap();
    let (began, mut results) = (Instant::now(), Results::new(&servers, to, records, keys));
    let mut workers = [0, 1].map(|number| worker(&file, number));
    let (mut kills, mut brokers, mut largest) = (0_usize, 0, 0);
    while !results.until(QUIET) {
        largest = workers.iter().map(resident).fold(largest, u64::max);
        if kills % 3 == 2 {
            let node = 1 + brokers % 3;
            cluster.kill_node(node);
            thread::sleep(AWAY);
            cluster.start_node(node).unwrap();
            brokers += 1;
        } else {
            let number = kills % 3;
            workers[number].kill().unwrap();
            workers[number].wait().unwrap();
            workers[number] = worker(&file, number);
        }
        kills += 1;
        println!("{:4.0} s, {kills} kills: {} results", began.elapsed().as_secs_f64(), results.count);
    }
    let took = began.elapsed();
    results.until(AFTER);
    let mut expected = vec![0; keys as usize];
    (0..records).for_each(|n| expected[key_of(n, keys) as usize] += 1);
    assert!(results.counts == expected, "counts of some keys are too low, and of others too high");
    for worker in &mut workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    println!(
        "{} results are right and there once, in {took:.0?}, although workers were killed {} times and brokers {brokers}; a worker took {} MiB at most",
        results.count,
        kills - brokers,
        largest >> 20
    );
}

fn text(servers: &str, from: &str, to: &str, folder: &Path) -> String {
    format!(
        "name = \"storm\"\nguarantee = \"exactly-once\"\n[kafka]\nbootstrap.servers = \"{servers}\"\n[source]\ntopic = \"{from}\"\n\
         format = \"bytes\"\n[operators.aggregate.results]\nn = \"count\"\n[sink]\ntopic = \"{to}\"\nformat = \"json\"\n\
         [state]\nfolder = \"{}\"\n",
        folder.display()
    )
}

/// One of the two; it has the name of its predecessor, so that nobody waits until that one is missed.
fn worker(file: &Path, number: usize) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.arg("run").arg(file).arg("--set").arg(format!("source.kafka.group.instance.id=storm-{number}"));
    command.args(["--set", "metrics.listen=127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// In bytes; 0 where it is gone.
fn resident(worker: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

/// Reads what is committed, and holds it against what it has to be.
struct Results {
    consumer: BaseConsumer,
    /// By key: the last count that has come.
    counts: Vec<u32>,
    count: u64,
    records: u64,
}

impl Results {
    fn new(servers: &str, topic: &str, records: u64, keys: u64) -> Results {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("group.id", "unused").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        Results { consumer, counts: vec![0; keys as usize], count: 0, records }
    }

    /// Reads for so long; whether all results have come.
    fn until(&mut self, wait: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < wait {
            match self.consumer.poll(Duration::from_millis(200)) {
                Some(Ok(record)) => {
                    let key = std::str::from_utf8(record.key().unwrap()).unwrap();
                    let key: usize = key.strip_prefix("k-").unwrap().parse().unwrap();
                    let value: serde_json::Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
                    self.counts[key] += 1;
                    let place = (record.partition(), record.offset());
                    assert_eq!(value["n"], self.counts[key], "k-{key} at {place:?}: lost or there twice");
                    self.count += 1;
                }
                // Brokers come and go.
                Some(Err(KafkaError::MessageConsumption(_))) | None => {}
                Some(Err(error)) => panic!("{error}"),
            }
            if self.count == self.records && wait != AFTER {
                return true;
            }
        }
        assert!(self.count <= self.records, "{} results", self.count);
        self.count == self.records
    }
}
