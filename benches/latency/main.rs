//! One request of n = 10 at a time through `factorial`, beside a bare loop that copies, in one run on one broker:
//! `cargo bench --bench latency`. The whole way: produced, computed, read back.

#[path = "../shared/bare.rs"]
mod bare;
#[path = "../shared/broker.rs"]
mod broker;
#[path = "../shared/clients.rs"]
mod clients;
#[path = "../shared/engine.rs"]
mod engine;

use std::{
    env,
    process::{Child, Command},
    time::{Duration, Instant},
};

use broker::Broker;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord},
};

const REQUESTS: usize = 500;
const WARM_UP: usize = 100;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [contender, servers, from, to, guarantee] = &arguments[..] {
        let exactly_once = guarantee == "exactly-once";
        let (consumer, producer) = clients::configs(servers, to, exactly_once);
        match &contender[..] {
            "bare" => bare::run_each(&consumer, &producer, from, to, exactly_once),
            _ => {
                engine::run_pipeline("factorial", &consumer, &producer, from, to, exactly_once, false, false)
            }
        }
        return;
    }
    let broker = Broker::start();
    let run = format!("{:x}", fastrand::u32(..));
    for guarantee in ["at-least-once", "exactly-once"] {
        for contender in ["bare", "pipeline"] {
            let (from, to) = (
                format!("latency-in-{run}-{contender}-{guarantee}"),
                format!("latency-out-{run}-{contender}-{guarantee}"),
            );
            let client = Client::new(&broker, &from, &to);
            let child = Command::new(env::current_exe().unwrap())
                .args([contender, &broker.servers, &from, &to, guarantee])
                .spawn()
                .unwrap();
            let _worker = Worker(child);
            for number in 0..WARM_UP {
                client.ask(number);
            }
            let mut times: Vec<Duration> = (0..REQUESTS).map(|number| client.ask(WARM_UP + number)).collect();
            times.sort();
            let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
            println!(
                "{guarantee:14} {contender:9} p50 {:6.2} ms  p90 {:6.2} ms  p99 {:6.2} ms",
                at(0.5),
                at(0.9),
                at(0.99)
            );
        }
    }
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whoever asks.
struct Client {
    consumer: BaseConsumer,
    producer: BaseProducer,
    from: String,
}

impl Client {
    fn new(broker: &Broker, from: &str, to: &str) -> Client {
        broker.topic(from, 1);
        let mut config = broker.topic(to, 1);
        let consumer: BaseConsumer = config.clone().set("group.id", "unused").create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(to, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let producer = config.set("linger.ms", "0").create().unwrap();
        Client { consumer, producer, from: from.to_owned() }
    }

    fn ask(&self, number: usize) -> Duration {
        let (key, start) = (number.to_string(), Instant::now());
        self.producer.send(BaseRecord::to(&self.from).key(&key).payload("10")).unwrap();
        loop {
            // Nothing is returned as well where an event was served.
            let Some(record) = self.consumer.poll(Duration::from_secs(30)) else {
                assert!(start.elapsed() < Duration::from_secs(30), "no answer to request {number}");
                continue;
            };
            let record = record.unwrap();
            if record.key() == Some(key.as_bytes()) {
                assert!(matches!(record.payload(), Some(b"10" | b"10;3628800")));
                return start.elapsed();
            }
        }
    }
}
