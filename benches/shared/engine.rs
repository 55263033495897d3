//! The engine on clients of given settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pipeline::{
    config::{Guarantee, Order},
    engine::{Budget, Large, Machine, Plan, Retries, RetryPolicy, Topology, run},
    kafka::{KafkaSink, KafkaSource, SinkTopics, SourceTopics},
    operator::{Operator, registry},
    record::PerTopic,
    telemetry::{MetricsServer, Progress, Recorded, Subject, install_metrics},
};
use rdkafka::ClientConfig;

/// Runs a pipeline of that one operator: until all that was there at the start is through, or for ever.
/// One that is observed has its metrics recorded, and scraped each second.
#[allow(clippy::too_many_arguments, reason = "what the contenders have in common, and two switches")]
pub fn run_pipeline(
    name: &str,
    consumer: &ClientConfig,
    producer: &ClientConfig,
    from: &str,
    to: &str,
    exactly_once: bool,
    drain: bool,
    observed: bool,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let recorded = observed.then(|| install_metrics().unwrap());
        let factory = registry().iter().find(|factory| factory.name == name).unwrap();
        let operator = (factory.build)(toml::Table::new(), Default::default()).unwrap();
        let input = Budget::new(64 << 20);
        let plan = Plan {
            topology: Topology::new([Arc::from(operator) as Arc<dyn Operator>]),
            guarantee: if exactly_once { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce },
            order: Order::Partition,
            fair_by: None,
            deduplication: None,
            state: None,
            requests: false,
            commit_interval: Duration::from_millis(100),
            commit_records: u64::MAX,
            retries: Retries {
                otherwise: RetryPolicy { attempts: 1, backoff: Duration::ZERO, max_backoff: Duration::ZERO },
                by_failure: BTreeMap::new(),
                topics: Vec::new(),
            },
            largest: PerTopic { results: vec![1 << 20], dead_letters: 1 << 20 },
            large: Large::DeadLetter,
            limits_hold: Duration::MAX,
            input: input.clone(),
            budget: Budget::new(128 << 20),
            shutdown_timeout: Duration::from_secs(10),
            drain,
        };
        let names = PerTopic { results: vec![to.to_owned()], dead_letters: format!("{from}.dlq") };
        let progress = Arc::new(Progress::new(Subject {
            pipeline: name.to_owned(),
            sources: vec![from.to_owned()],
            sink: names.clone(),
            operators: vec![name.to_owned()],
            memory: 0,
        }));
        let _server = match recorded {
            Some(recorded) => Some(scraped(recorded, progress.clone()).await),
            None => None,
        };
        let from = SourceTopics { subscribed: vec![from.to_owned()], beside: Vec::new() };
        let source =
            KafkaSource::new(consumer, &from, input, Arc::default(), None, progress.clone()).unwrap();
        let topics = SinkTopics { requests: false, in_order: true, beside: 0, names };
        let mut sink = KafkaSink::new(producer, topics, exactly_once, progress.clone()).unwrap();
        sink.commit_for(source.group());
        run(plan, source, sink, Machine::new().unwrap(), progress, std::future::pending()).await.unwrap();
    });
}

/// Serves the metrics, and asks for them each second.
async fn scraped(recorded: Recorded, progress: Arc<Progress>) -> MetricsServer {
    let any = "127.0.0.1:0".parse().unwrap();
    let server = MetricsServer::start(any, true, recorded, vec![progress]).await.unwrap();
    let url = format!("http://{}/metrics", server.address());
    std::thread::spawn(move || {
        while let Ok(mut response) = ureq::get(&url).call() {
            response.body_mut().read_to_string().unwrap();
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    server
}
