//! The clients' settings, the same for all contenders.

use rdkafka::ClientConfig;

/// Settings of a consumer and a producer.
pub fn configs(servers: &str, group: &str, exactly_once: bool) -> (ClientConfig, ClientConfig) {
    let mut consumer = ClientConfig::new();
    consumer
        .set("bootstrap.servers", servers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "20000");
    let mut producer = ClientConfig::new();
    producer
        .set("bootstrap.servers", servers)
        .set("enable.idempotence", "true")
        // As the product has them, for the bare loop too: it is faster with them.
        .set("linger.ms", "0")
        .set("max.in.flight", "1");
    if exactly_once {
        producer.set("transactional.id", group);
    }
    (consumer, producer)
}
