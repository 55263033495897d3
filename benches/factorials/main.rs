//! The main job: `cargo bench --bench factorials [-- --requests 20000]`.
//!
//! Requests of n = 2,000 to 10,000 in any order, with the broker on the same machine: beside a bare loop of librdkafka
//! calls that computes nothing and writes as many bytes, so that its bytes a second are what the broker can take. What
//! the pipeline has written is read again, and each result is compared.
//!
//! Each contender is a process of its own, so that CPU time is its own.

#[path = "../shared/bare.rs"]
mod bare;
#[path = "../shared/broker.rs"]
mod broker;
#[path = "../shared/clients.rs"]
mod clients;
#[path = "../shared/engine.rs"]
mod engine;
#[path = "../shared/process.rs"]
mod process;

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use broker::Broker;
use pipeline::factorial::{Factorials, digits};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

const PARTITIONS: i32 = 4;
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [contender, servers, from, to, requests, guarantee] = &arguments[..] {
        contend(contender, servers, from, to, requests.parse().unwrap(), guarantee == "exactly-once");
        return;
    }
    let requests: usize =
        arguments.iter().skip_while(|a| *a != "--requests").nth(1).map_or(20_000, |r| r.parse().unwrap());
    let broker = Broker::start();
    let run = format!("{:x}", fastrand::u32(..));
    let from = format!("factorials-in-{run}");
    let asked: Vec<u32> = (0..requests).map(|_| fastrand::u32(2_000..=10_000)).collect();
    ask(broker.topic(&from, PARTITIONS), &from, &asked);
    let bytes: u64 = asked.iter().map(|n| n.to_string().len() as u64 + 1 + digits(*n)).sum();
    println!("{requests} requests, {:.0} MB of results", bytes as f64 / 1e6);
    for guarantee in ["at-least-once", "exactly-once"] {
        for round in 0..ROUNDS {
            let rates = ["bare", "pipeline"].map(|contender| {
                let to = format!("factorials-out-{run}-{contender}-{guarantee}-{round}");
                let config = broker.topic(&to, PARTITIONS);
                let output = Command::new(env::current_exe().unwrap())
                    .args([contender, &broker.servers, &from, &to, &requests.to_string(), guarantee])
                    .stderr(Stdio::inherit())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{contender} failed");
                let text = String::from_utf8(output.stdout).unwrap();
                let taken: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
                let [seconds, cpu, memory] = taken[..] else { panic!("{text}") };
                println!(
                    "{guarantee:14} {contender:9} {:>6.0} results/s  {:>4.0} MB/s  {:>3.0} us CPU a result  {memory:>3} MB resident",
                    requests as f64 / seconds,
                    bytes as f64 / seconds / 1e6,
                    cpu / requests as f64 * 1e6,
                );
                if contender == "pipeline" {
                    compare(&config, &to, &asked);
                }
                requests as f64 / seconds
            });
            println!("{guarantee:14} {:.0} % of the bare loop's bytes a second", 100.0 * rates[1] / rates[0]);
        }
    }
}

fn ask(mut config: ClientConfig, topic: &str, asked: &[u32]) {
    let producer: BaseProducer = config.set("linger.ms", "50").create().unwrap();
    for (number, n) in asked.iter().enumerate() {
        let value = n.to_string();
        let partition = number as i32 % PARTITIONS;
        producer.send(BaseRecord::<(), str>::to(topic).payload(&value).partition(partition)).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Prints the seconds that it took, those of CPU, and the largest resident size in MiB.
fn contend(contender: &str, servers: &str, from: &str, to: &str, requests: u64, exactly_once: bool) {
    let (consumer, producer) = clients::configs(servers, to, exactly_once);
    let (cpu, start) = (process::cpu_seconds(), Instant::now());
    match contender {
        "bare" => bare::run(&consumer, &producer, from, requests, exactly_once, |n, result| {
            as_long(n, result);
            Some(to)
        }),
        _ => engine::run_pipeline("factorial", &consumer, &producer, from, to, exactly_once, true, false),
    }
    let cpu = process::cpu_seconds() - cpu;
    println!("{} {cpu} {}", start.elapsed().as_secs_f64(), process::peak_mib("self"));
}

/// `n;` and as many digits as n! has, all of them 7.
fn as_long(n: &[u8], result: &mut Vec<u8>) {
    let digits = digits(std::str::from_utf8(n).unwrap().parse().unwrap()) as usize;
    result.extend_from_slice(n);
    result.push(b';');
    result.resize(n.len() + 1 + digits, b'7');
}

/// Each request has one result, and the right one.
fn compare(config: &ClientConfig, topic: &str, asked: &[u32]) {
    let mut config = config.clone();
    let settings =
        [("group.id", "compare"), ("isolation.level", "read_committed"), ("enable.auto.commit", "false")];
    settings.iter().for_each(|(name, value)| _ = config.set(*name, *value));
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (factorials, mut answered) = (Factorials::new(10_000, 128 << 20), Vec::with_capacity(asked.len()));
    let mut expected = Vec::new();
    while answered.len() < asked.len() {
        let record = consumer.poll(Duration::from_secs(20)).expect("a result").unwrap();
        let value = record.payload().unwrap();
        let separator = value.iter().position(|byte| *byte == b';').unwrap();
        let n: u32 = std::str::from_utf8(&value[..separator]).unwrap().parse().unwrap();
        expected.clear();
        factorials.get(n).write(&mut expected);
        assert!(value[separator + 1..] == expected, "{n}! is wrong");
        answered.push(n);
    }
    let mut asked = asked.to_vec();
    asked.sort_unstable();
    answered.sort_unstable();
    assert!(asked == answered, "a result is lost, and another double");
}
