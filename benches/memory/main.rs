//! How much memory a worker takes under a backlog: `cargo bench --bench memory [-- --seconds 60]`.
//!
//! 1,000,000 requests of n = 2,000 to 10,000 wait, `limits.memory` is 256 MiB, and what is resident must stay
//! below 256 MiB + 100 MiB: librdkafka's and the program's own.

#[path = "../shared/broker.rs"]
mod broker;
#[path = "../shared/process.rs"]
mod process;

use std::{
    env,
    process::{Child, Command, Stdio, exit},
    thread,
    time::{Duration, Instant},
};

use broker::Broker;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

const REQUESTS: usize = 1_000_000;
const LIMIT_MIB: u64 = 356;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let seconds =
        arguments.iter().skip_while(|a| *a != "--seconds").nth(1).map_or(60, |s| s.parse().unwrap());
    let broker = Broker::start();
    let run = format!("{:x}", fastrand::u32(..));
    let mut largest = 0;
    for guarantee in ["at-least-once", "exactly-once"] {
        let (from, to) = (format!("backlog-{run}-{guarantee}-in"), format!("backlog-{run}-{guarantee}-out"));
        seed(broker.topic(&from, 2), &from);
        let config = broker.topic(&to, 2);
        let mut worker = Worker(start(&broker, &from, &to, guarantee));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_millis(200));
            assert!(worker.0.try_wait().unwrap().is_none(), "the worker has ended");
        }
        let resident = process::peak_mib(worker.0.id());
        let done = count(&config, &to);
        assert!(done > 0, "nothing was computed");
        println!("{guarantee:14} {done:>7} results in {seconds} s, at most {resident} MiB resident");
        largest = largest.max(resident);
        drop(worker);
    }
    if largest > LIMIT_MIB {
        eprintln!("{largest} MiB is more than {LIMIT_MIB} MiB");
        exit(1);
    }
}

fn seed(mut config: ClientConfig, topic: &str) {
    let producer: BaseProducer = config.set("linger.ms", "50").create().unwrap();
    for _ in 0..REQUESTS {
        let n = fastrand::u32(2_000..=10_000).to_string();
        let mut record = BaseRecord::<(), str>::to(topic).payload(&n);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn start(broker: &Broker, from: &str, to: &str, guarantee: &str) -> Child {
    let settings = [
        format!("source.topic={from}"),
        format!("source.group={from}"),
        format!("sink.topic={to}"),
        format!("guarantee={guarantee}"),
        "limits.memory=256 MiB".to_owned(),
        "metrics.listen=127.0.0.1:0".to_owned(),
    ];
    Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(["run", "factorial.toml"])
        .args(settings.iter().map(|setting| format!("--set={setting}")))
        .env("PIPELINE_BOOTSTRAP_SERVERS", &broker.servers)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many offsets a topic has, transaction markers included.
fn count(config: &ClientConfig, topic: &str) -> i64 {
    let consumer: BaseConsumer = config.create().unwrap();
    (0..2)
        .map(|partition| consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap().1)
        .sum()
}
