//! From a pipeline to the settings of its clients: our defaults, then the file's, then what we answer for.

use rdkafka::ClientConfig;

use crate::config::{Guarantee, Pipeline, Properties};

/// Where Kafka is looked for when nobody says where it is.
pub const DEFAULT_SERVERS: &str = "127.0.0.1:9092";

/// The shares of `limits.memory`. Together with what records cost librdkafka beside their bytes they stay
/// within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Bytes that librdkafka fetches ahead.
    pub prefetch: u64,
    /// Bytes of records that are read and not done.
    pub input: u64,
    /// Bytes of results, from their computing to their acknowledgement.
    pub output: u64,
}

impl Memory {
    /// Shares out a budget in bytes: an eighth is fetched ahead, an eighth is in work, half is for results.
    /// The rest is what librdkafka spends on small records that are fetched ahead, and on sending.
    pub fn shares(limit: u64) -> Memory {
        Memory { prefetch: limit / 8, input: limit / 8, output: limit / 2 }
    }
}

/// What every client of the pipeline shares: the brokers, credentials.
pub fn common(pipeline: &Pipeline) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", DEFAULT_SERVERS);
    config.set("client.id", format!("pipeline-{}", pipeline.name));
    apply(&mut config, &pipeline.kafka);
    config
}

/// The settings of the source's consumer.
pub fn consumer(pipeline: &Pipeline) -> ClientConfig {
    let memory = Memory::shares(pipeline.limits.memory);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", DEFAULT_SERVERS)
        .set("client.id", format!("pipeline-{}", pipeline.name))
        .set("auto.offset.reset", "earliest")
        // The default of a second is a second of idling whenever the queue has been full.
        .set("fetch.queue.backoff.ms", "10")
        // One limit is in bytes of values, and a small record costs librdkafka 400 bytes beside its own: so
        // the other, in records, takes as much again for that.
        .set("queued.max.messages.kbytes", kib(memory.prefetch / 2))
        .set("queued.min.messages", (memory.prefetch / 2 / 400).clamp(1_000, 20_000).to_string())
        // A fetch is taken whole, whatever the queue's limit: small records are 30 times their bytes.
        .set("fetch.message.max.bytes", (memory.prefetch / 32).clamp(64 << 10, 1 << 20).to_string())
        .set("fetch.max.bytes", (memory.prefetch / 2).clamp(1 << 20, 50 << 20).to_string());
    apply(&mut config, &pipeline.kafka);
    apply(&mut config, &pipeline.source.kafka);
    // KIP-848 leaves the assignment to the broker, and librdkafka refuses an assignor then.
    if config.get("group.protocol") != Some("consumer")
        && config.get("partition.assignment.strategy").is_none()
    {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    config
        .set("group.id", &pipeline.source.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true");
    config
}

/// The settings of the sink's producer; `largest_record` is what the topics take, in bytes.
pub fn producer(pipeline: &Pipeline, largest_record: u64) -> ClientConfig {
    let memory = Memory::shares(pipeline.limits.memory);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", DEFAULT_SERVERS)
        .set("client.id", format!("pipeline-{}", pipeline.name))
        .set("enable.idempotence", "true")
        // Batches of records arrive together, so there is nothing to linger for.
        .set("linger.ms", "0")
        .set("queue.buffering.max.kbytes", kib(memory.output))
        // The topic has the last word; librdkafka's own limit must only not be lower.
        .set("message.max.bytes", largest_record.clamp(1_000_000, 1_000_000_000).to_string())
        .set("batch.size", largest_record.clamp(16_384, 1_000_000).to_string());
    match pipeline.guarantee {
        // A broker that goes away is waited for.
        Guarantee::AtLeastOnce => config.set("message.timeout.ms", "0"),
        // A worker that dies with a transaction open holds up all readers for so long: far above a commit
        // interval, far below the default minute.
        Guarantee::ExactlyOnce => config.set("transaction.timeout.ms", "10000"),
    };
    apply(&mut config, &pipeline.kafka);
    apply(&mut config, &pipeline.sink.kafka);
    if pipeline.guarantee == Guarantee::ExactlyOnce {
        // Unique: what fences a zombie is its place in the consumer group (KIP-447).
        config.set("transactional.id", format!("{}-{:016x}", pipeline.name, fastrand::u64(..)));
    }
    config
}

fn apply(config: &mut ClientConfig, properties: &Properties) {
    for (name, property) in properties {
        config.set(name, &property.value);
    }
}

fn kib(bytes: u64) -> String {
    // The upper end is what librdkafka takes.
    (bytes >> 10).clamp(1_024, 2_097_151).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn pipeline(overrides: &[&str]) -> Pipeline {
        let overrides: Vec<_> = overrides.iter().map(|o| o.parse().unwrap()).collect();
        load("factorial.toml", &overrides).unwrap().0
    }

    #[test]
    fn the_file_wins_over_our_defaults_and_the_client_s_own_over_all() {
        let pipeline = pipeline(&[
            "kafka.linger.ms=7",
            "sink.kafka.linger.ms=9",
            "source.kafka.session.timeout.ms=6000",
            "kafka.security.protocol=ssl",
        ]);
        let (consumer, producer) = (consumer(&pipeline), producer(&pipeline, 1_048_588));
        assert_eq!(producer.get("linger.ms"), Some("9"));
        assert_eq!(consumer.get("session.timeout.ms"), Some("6000"));
        assert_eq!(producer.get("session.timeout.ms"), None);
        assert_eq!(common(&pipeline).get("security.protocol"), Some("ssl"));
    }

    #[test]
    fn the_broker_assigns_where_the_group_protocol_is_its_own() {
        let classic = consumer(&pipeline(&[]));
        assert_eq!(classic.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let new = consumer(&pipeline(&["kafka.group.protocol=consumer"]));
        assert_eq!(new.get("partition.assignment.strategy"), None);
    }

    #[test]
    fn only_exactly_once_has_transactions_each_with_an_id_of_its_own() {
        let exactly_once = pipeline(&["guarantee=exactly-once"]);
        let (one, two) = (producer(&exactly_once, 1), producer(&exactly_once, 1));
        assert_ne!(one.get("transactional.id").unwrap(), two.get("transactional.id").unwrap());
        assert_eq!(producer(&pipeline(&[]), 1).get("transactional.id"), None);
    }

    #[test]
    fn librdkafka_takes_all_of_it() {
        for overrides in
            [&[][..], &["guarantee=exactly-once"], &["limits.memory=16 MiB"], &["limits.memory=64 GiB"]]
        {
            let pipeline = pipeline(overrides);
            consumer(&pipeline).create_native_config().unwrap();
            producer(&pipeline, 1 << 40).create_native_config().unwrap();
        }
    }
}
