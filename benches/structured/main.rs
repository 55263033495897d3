//! JSON and Avro through Kafka: `cargo bench --bench structured [-- --records 1000000] [--rounds 3] [--job filter] [--streams]`.
//!
//! Each job is done by the `pipeline` of a file, by a bare loop of librdkafka calls with `serde_json` and `apache-avro`, and with
//! `--streams` by Kafka Streams with Jackson and Avro for Java (Maven fetches them). Each contender is a process of its own, one
//! after the other on one broker; what it wrote is read and compared with what the first one wrote.

#[path = "../shared/bare.rs"]
mod bare;
#[path = "../shared/broker.rs"]
mod broker;
mod by_hand;
#[path = "../shared/clients.rs"]
mod clients;
#[path = "../shared/java.rs"]
mod java;
mod job;
mod order;
#[path = "../shared/taken.rs"]
mod taken;
mod written;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use broker::Broker;
use java::Java;
use job::{Job, Topics};
use taken::Taken;

const PARTITIONS: i32 = 4;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [bare, job, servers, from, to, records, guarantee] = &arguments[..]
        && bare == "bare"
    {
        let topics = Topics { from: from.clone(), to: to.clone() };
        by_hand::run(
            Job::named(job),
            servers,
            &topics,
            records.parse().unwrap(),
            guarantee == "exactly-once",
        );
        return;
    }
    let setting = |name: &str| arguments.iter().skip_while(|a| *a != name).nth(1);
    let number = |name, default| setting(name).map_or(default, |n| n.parse().unwrap());
    let bench = Bench {
        broker: Broker::start(),
        records: number("--records", 1_000_000),
        folder: tempfile::tempdir().unwrap(),
        run: format!("{:x}", fastrand::u32(..)),
        streams: arguments.iter().any(|a| a == "--streams").then(|| Java::compile(&beside(""), "Streams")),
    };
    let only = setting("--job").map(|name| Job::named(name));
    for avro in [false, true] {
        order::produce(&bench.broker, &bench.source(avro), bench.records, avro);
    }
    for job in Job::ALL.into_iter().filter(|job| only.is_none_or(|only| only == *job)) {
        for guarantee in ["at-least-once", "exactly-once"] {
            bench.compare(job, guarantee, number("--rounds", 3) as usize);
        }
    }
}

struct Bench {
    broker: Broker,
    records: u64,
    folder: tempfile::TempDir,
    run: String,
    streams: Option<Java>,
}

impl Bench {
    fn source(&self, avro: bool) -> String {
        format!("orders-{}-{}", self.run, if avro { "avro" } else { "json" })
    }

    /// Lets all contenders do a job, in turn, and prints what each took.
    fn compare(&self, job: Job, guarantee: &str, rounds: usize) {
        let mut contenders = vec!["bare", "pipeline"];
        contenders.extend(self.streams.iter().map(|_| "streams"));
        let (mut taken, mut first) = (vec![Vec::new(); contenders.len()], None);
        for round in 0..rounds {
            for turn in 0..contenders.len() {
                // None is always the first.
                let contender = (turn + round) % contenders.len();
                let name = contenders[contender];
                let to = format!("{}-{name}-{guarantee}-{round}-{}", job.name(), self.run);
                let topics = Topics { from: self.source(job.reads_avro()), to };
                for topic in topics.written(job) {
                    self.broker.topic(&topic, PARTITIONS);
                }
                let mut command = self.contender(name, job, guarantee, &topics);
                taken[contender].push(taken::measure(&mut command, self.records));
                let written = written::read(&self.broker.servers, &topics.written(job), job);
                assert_eq!(&written, first.get_or_insert_with(|| written.clone()), "{name} wrote otherwise");
            }
        }
        for (name, taken) in contenders.iter().zip(&mut taken) {
            println!("{:13} {guarantee:14} {name:9} {}", job.name(), Taken::median(taken));
        }
    }

    fn contender(&self, name: &str, job: Job, guarantee: &str, topics: &Topics) -> Command {
        let servers = &self.broker.servers;
        let records = self.records.to_string();
        let mut command = match name {
            "bare" => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.args([name, job.name(), servers, &topics.from, &topics.to, &records, guarantee]);
                command
            }
            "pipeline" => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
                command.arg("run").arg(self.file(job, guarantee, topics)).arg("--drain");
                command
            }
            _ => {
                let streams = self.streams.as_ref().unwrap();
                let arguments = [job.name(), servers, &topics.from, &topics.to, &records, guarantee];
                let mut command = streams.command(&arguments);
                command.arg(order::schema_file()).arg(streams.folder().join("state"));
                command
            }
        };
        command.stderr(Stdio::null());
        command
    }

    /// The pipeline's file, with its schema beside it.
    fn file(&self, job: Job, guarantee: &str, topics: &Topics) -> PathBuf {
        fs::copy(order::schema_file(), self.folder.path().join("order.avsc")).unwrap();
        let path = self.folder.path().join("bench.toml");
        fs::write(&path, job.file(&self.broker.servers, guarantee, topics)).unwrap();
        path
    }
}

/// A file of this bench.
fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/structured").join(name)
}
