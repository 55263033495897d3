//! The broker that is used if none is configured: the one at 127.0.0.1:9092, otherwise one in this process.

use std::{net::SocketAddr, time::Duration};

use super::Failure;
use crate::{
    config::{Gateway, Guarantee, Pipeline, Properties, Property, Route, TopicSettings},
    kafka::{Admin, EmbeddedBroker, settings},
    telemetry::announce,
};

/// How long a broker on this machine may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(500);
/// Partitions of the embedded broker's topics unless the file sets them.
const PARTITIONS: i32 = 2;

/// Makes sure that the pipelines have a broker. An embedded one lives as long as the returned value.
///
/// # Errors
/// A pipeline needs a guarantee that the embedded broker cannot give.
pub async fn find_broker(pipelines: &mut [Pipeline]) -> Result<Option<EmbeddedBroker>, Failure> {
    if pipelines.iter().any(names_brokers) || answers(settings::DEFAULT_SERVERS).await {
        return Ok(None);
    }
    if let Some(pipeline) = pipelines.iter().find(|p| p.guarantee == Guarantee::ExactlyOnce) {
        return Err(no_transactions(
            &pipeline.name,
            "no Kafka answers at 127.0.0.1:9092, and the embedded broker",
        ));
    }
    let broker = start().await?;
    for pipeline in pipelines.iter_mut() {
        let source = pipeline.source.topic().partitions.unwrap_or(PARTITIONS);
        let results = pipeline.result_topics();
        let results = results.iter().map(|topic| (&topic.topic, topic.partitions.unwrap_or(PARTITIONS)));
        let named = pipeline.source.topics.iter().filter(|_| !pipeline.source.is_pattern());
        let sources = named.map(|topic| (&topic.topic, source)).chain([(&pipeline.dead_letters, source)]);
        for (topic, partitions) in results.chain(sources) {
            broker.create_topic(topic, partitions).map_err(Failure::failed)?;
        }
        point_to(&mut pipeline.kafka, &broker);
    }
    Ok(Some(broker))
}

/// The same for a gateway; its workers may start the broker too.
///
/// # Errors
/// The embedded broker cannot be started.
pub async fn find_broker_for_gateway(gateway: &mut Gateway) -> Result<Option<EmbeddedBroker>, Failure> {
    if names(&gateway.kafka) || answers(settings::DEFAULT_SERVERS).await {
        return Ok(None);
    }
    let broker = start().await?;
    for (topic, partitions) in topics_of(gateway) {
        broker.create_topic(&topic, partitions).map_err(Failure::failed)?;
    }
    point_to(&mut gateway.kafka, &broker);
    Ok(Some(broker))
}

/// The topics of a gateway and its workers, with their partitions. The workers come later, and this broker would then give a
/// dead-letter topic its own number of partitions: so it is made here, by the name that the route says, or that it has unless a worker's
/// file says another.
fn topics_of(gateway: &Gateway) -> Vec<(String, i32)> {
    let of = |topic: &TopicSettings| topic.partitions.unwrap_or(PARTITIONS);
    let topics = gateway.routes.iter().flat_map(|Route { request, result, dead_letters, .. }| {
        let named = dead_letters.as_ref().map(|letters| letters.topic.clone());
        [
            (request.topic.clone(), of(request)),
            (result.topic.clone(), of(result)),
            (named.unwrap_or_else(|| format!("{}.dlq", request.topic)), of(request)),
        ]
    });
    topics.collect()
}

async fn start() -> Result<EmbeddedBroker, Failure> {
    let broker = EmbeddedBroker::start(9092).await.map_err(Failure::failed)?;
    announce(&format!(
        "no Kafka answers at 127.0.0.1:9092: started the embedded broker at {}, in memory. It ends with this process, and \
         its data with it; it only supports at-least-once (`pipeline broker` starts a real one).",
        broker.address()
    ));
    Ok(broker)
}

fn point_to(properties: &mut Properties, broker: &EmbeddedBroker) {
    let servers = Property { value: broker.address().to_string(), secret: false };
    properties.insert("bootstrap.servers".to_owned(), servers);
}

/// Refuses exactly-once on a broker that is librdkafka's mock cluster, which cannot keep that promise.
///
/// # Errors
/// The pipeline is exactly-once and the broker is a mock cluster.
pub fn refuse_false_promise(pipeline: &Pipeline, admin: &Admin) -> Result<(), Failure> {
    if pipeline.guarantee == Guarantee::ExactlyOnce && admin.is_embedded() {
        return Err(no_transactions(&pipeline.name, "the broker is an embedded one, and that"));
    }
    Ok(())
}

fn no_transactions(name: &str, subject: &str) -> Failure {
    Failure::usage(format!(
        "the pipeline {name} says exactly-once, but {subject} does not isolate transactions. Start a real one with \
         `pipeline broker`, or say guarantee = \"at-least-once\" (for a try: `--set guarantee=at-least-once`)"
    ))
}

fn names_brokers(pipeline: &Pipeline) -> bool {
    [&pipeline.kafka, &pipeline.source.kafka, &pipeline.sink.kafka].into_iter().any(names)
}

fn names(properties: &Properties) -> bool {
    ["bootstrap.servers", "metadata.broker.list"].iter().any(|name| properties.contains_key(*name))
}

async fn answers(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    matches!(tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(address)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::parse_gateway, settings::ProcessEnvironment};

    #[test]
    fn a_gateway_that_comes_first_makes_the_dead_letter_topic_like_the_request_topic() {
        let text = include_str!("../../pipelines/gateway.toml");
        let sets = ["routes.factorial.request.partitions=5".parse().unwrap()];
        let (gateway, _) = parse_gateway("gateway.toml", text, &sets, &ProcessEnvironment).unwrap();
        let topics = topics_of(&gateway);
        let partitions = |name: &str| topics.iter().find(|(topic, _)| topic == name).map(|(_, n)| *n);
        assert_eq!(partitions("factorials-to-be-calculated"), Some(5));
        assert_eq!(partitions("factorials-to-be-calculated.dlq"), Some(5));
    }
}
