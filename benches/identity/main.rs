//! `identity` over small records, beside a bare loop of librdkafka calls, in one run on one broker:
//! `cargo bench --bench identity [-- --records 2000000]`. With `-- --metrics`, without metrics beside with them.
//!
//! Each contender is a process of its own, so that CPU time and memory are its own.

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
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [contender, servers, from, to, records, guarantee] = &arguments[..] {
        contend(contender, servers, from, to, records.parse().unwrap(), guarantee == "exactly-once");
        return;
    }
    let broker = Broker::start();
    let servers = &broker.servers;
    let records: u64 =
        arguments.iter().skip_while(|a| *a != "--records").nth(1).map_or(2_000_000, |r| r.parse().unwrap());
    let run = format!("{:x}", fastrand::u32(..));
    let from = format!("identity-in-{run}");
    seed(&broker, &from, records);
    // What metrics cost: the same with none recorded, and with all of them recorded and scraped each second.
    let metrics = arguments.iter().any(|a| a == "--metrics");
    let contenders = if metrics { ["pipeline", "observed"] } else { ["bare", "pipeline"] };
    let rounds = if metrics { 7 } else { 3 };
    for guarantee in ["at-least-once", "exactly-once"] {
        for round in 0..rounds {
            // Neither is always the first.
            let mut contenders = contenders;
            contenders.rotate_left(round % 2);
            for contender in contenders {
                let to = format!("identity-out-{run}-{contender}-{guarantee}-{round}");
                let output = Command::new(env::current_exe().unwrap())
                    .args([contender, servers, &from, &to, &records.to_string(), guarantee])
                    .stderr(Stdio::inherit())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{contender} failed");
                print!("{guarantee:14} {contender:9} {}", String::from_utf8_lossy(&output.stdout));
            }
        }
    }
}

fn seed(broker: &Broker, topic: &str, records: u64) {
    let producer: BaseProducer = broker.topic(topic, 4).set("linger.ms", "50").create().unwrap();
    for number in 0..records {
        let value = format!("{:05}", number % 100_000);
        let mut record = BaseRecord::<(), str>::to(topic).payload(&value).partition((number % 4) as i32);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn contend(contender: &str, servers: &str, from: &str, to: &str, records: u64, exactly_once: bool) {
    let (mut consumer, mut producer) = clients::configs(servers, to, exactly_once);
    let (cpu, start) = (process::cpu_seconds(), Instant::now());
    match contender {
        "bare" => bare::run(&consumer, &producer, from, records, exactly_once, |value, copy| {
            copy.extend_from_slice(value);
            Some(to)
        }),
        _ => {
            let observed = contender == "observed";
            if observed {
                consumer.set("statistics.interval.ms", "1000");
                producer.set("statistics.interval.ms", "1000");
            }
            engine::run_pipeline("identity", &consumer, &producer, from, to, exactly_once, true, observed);
        }
    }
    let (cpu, wall) = (process::cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    println!(
        "{:>9.0} records/s  {:.2} us CPU a record  {:>4} MB resident",
        records as f64 / wall,
        cpu / records as f64 * 1e6,
        process::peak_mib("self")
    );
}
