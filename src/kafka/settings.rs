//! The settings of a pipeline's clients: our defaults, over them the file's, over them what must not be
//! changed.

use std::sync::OnceLock;

use rdkafka::ClientConfig;

use super::{TopicLimits, statistics};
use crate::config::{Gateway, Guarantee, Order, Pipeline, Properties, TRANSACTION_TIMEOUT};

/// The broker where nothing else is set.
pub const DEFAULT_SERVERS: &str = "127.0.0.1:9092";

/// A worker is taken for dead after this many milliseconds without a heartbeat.
const SESSION_TIMEOUT: &str = "8000";

/// A connection is given up after this many milliseconds without an answer. With librdkafka's default, a
/// minute, a partition would stand still for that long where its leader is cut off silently. (For a
/// transactional producer, librdkafka uses a little less than `transaction.timeout.ms`.)
const SILENCE: &str = "10000";

/// What a fetched record costs librdkafka besides its own bytes: an `rd_kafka_op_t`, in bytes.
const FETCHED_OVERHEAD: u64 = 400;
/// What a record that is being sent costs librdkafka besides its own bytes.
const SENT_OVERHEAD: u64 = 256;

/// Other names of librdkafka's for properties that we set. With both names, it would not be defined which
/// value wins.
const ALIASES: &[(&str, &str)] = &[
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight.requests.per.connection", "max.in.flight"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.ms", "linger.ms"),
];

/// The shares of `limits.memory`. Together with what records cost librdkafka besides their bytes, they stay
/// within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Bytes that librdkafka fetches ahead, including what small records cost it.
    pub prefetch: u64,
    /// Bytes of records that are read and not done.
    pub input: u64,
    /// Bytes of results, from their computing to their acknowledgement.
    pub output: u64,
}

impl Memory {
    /// Divides a budget in bytes: an eighth is fetched ahead, an eighth is read and not done, half is for
    /// results. The rest is for fetches and requests in flight, which no limit of librdkafka counts.
    pub fn shares(limit: u64) -> Memory {
        Memory { prefetch: limit / 8, input: limit / 8, output: limit / 2 }
    }
}

/// What every client of the pipeline shares: the brokers, credentials. Enough for an admin client.
pub fn common(pipeline: &Pipeline) -> ClientConfig {
    client(&pipeline.name, [&pipeline.kafka])
}

/// What every client of the gateway shares.
pub fn of_gateway(gateway: &Gateway) -> ClientConfig {
    client(&gateway.name, [&gateway.kafka])
}

/// The settings of a client of that name, from the file's tables for it, of which later ones win.
pub fn client<'a>(name: &str, tables: impl IntoIterator<Item = &'a Properties>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, property) in tables.into_iter().flatten() {
        let ours = ALIASES.iter().find(|(alias, _)| alias == name).map_or(name.as_str(), |(_, ours)| ours);
        config.set(ours, &property.value);
    }
    unless_set(
        &config,
        &[
            ("bootstrap.servers", DEFAULT_SERVERS),
            ("client.id", &format!("pipeline-{name}")),
            // librdkafka's default is ten seconds, for which a broker that is back may be left alone.
            ("reconnect.backoff.max.ms", "1000"),
        ],
    )
}

/// The settings of the source's consumer; `embedded` where the broker is the embedded one.
pub fn consumer(pipeline: &Pipeline, embedded: bool) -> ClientConfig {
    let prefetch = Memory::shares(pipeline.limits.memory).prefetch;
    let mut config = client(&pipeline.name, [&pipeline.kafka, &pipeline.source.kafka]);
    config
        .set("group.id", &pipeline.source.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true");
    if embedded {
        config = for_embedded(&config);
    }
    if pipeline.source.is_pattern() {
        // A new topic is found when the metadata is fetched again; librdkafka's default is five minutes.
        config = unless_set(&config, &[("topic.metadata.refresh.interval.ms", "10000")]);
    }
    let fetched_at_once = (prefetch / 128).clamp(64 << 10, 1 << 20).to_string();
    let small_records = (prefetch / 2 / FETCHED_OVERHEAD).clamp(1_000, 20_000).to_string();
    config = unless_set(
        &config,
        &[
            ("statistics.interval.ms", statistics::INTERVAL),
            ("auto.offset.reset", "earliest"),
            ("socket.timeout.ms", SILENCE),
            // With the default, a second, the source idles for that long each time the queue was full.
            ("fetch.queue.backoff.ms", "10"),
            // One limit is in bytes of keys and values; the other, in records, is for what small ones cost
            // besides. Half of the share each. 20,000 records are far more than are computed in one such
            // backoff.
            ("queued.max.messages.kbytes", &kib(prefetch / 2)),
            ("queued.min.messages", &small_records),
            // A fetch that has begun is taken whole, whatever the queue's limits are, and a record of a few
            // bytes becomes 30 times as large in memory: so fetches are small. A larger record is fetched all
            // the same (KIP-74). `fetch.max.bytes` follows from the queue's limit.
            ("fetch.message.max.bytes", &fetched_at_once),
        ],
    );
    // With KIP-848 the broker decides on assignment and timeouts, and librdkafka refuses these settings.
    if !broker_assigns(&config) {
        config = unless_set(&config, &[("partition.assignment.strategy", "cooperative-sticky")]);
        notice_deaths(&mut config);
    }
    config
}

/// Where the file says nothing, the partitions of a dead worker go to another one after 8 s; librdkafka's
/// default is 45 s. Heartbeats are sent by their own thread, which no slow record delays.
fn notice_deaths(config: &mut ClientConfig) {
    if config.get("heartbeat.interval.ms").is_none() {
        *config = unless_set(config, &[("session.timeout.ms", SESSION_TIMEOUT)]);
    }
    let session = config.get("session.timeout.ms").and_then(|session| session.parse::<u64>().ok());
    if let Some(session) = session {
        let heartbeat = (session / 4).max(1).to_string();
        *config = unless_set(config, &[("heartbeat.interval.ms", &heartbeat)]);
    }
}

/// Adapts a client to the embedded broker, unless the file says otherwise.
pub fn for_embedded(config: &ClientConfig) -> ClientConfig {
    // The embedded broker answers a fetch only when its time is over.
    let config = unless_set(config, &[("fetch.wait.max.ms", "20")]);
    let is_member = config.get("group.id").is_some();
    match is_member && !broker_assigns(&config) {
        // It gives a new member its share only after the group's session timeout, less a second.
        true => unless_set(&config, &[("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "300")]),
        false => config,
    }
}

/// Adds our defaults for properties that the file does not set.
pub fn unless_set(config: &ClientConfig, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = config.clone();
    for (name, value) in defaults {
        if config.get(name).is_none() {
            config.set(*name, *value);
        }
    }
    config
}

/// The settings of a consumer that joins no group and commits nothing. librdkafka requires a group's name even so.
pub fn without_group(config: &ClientConfig, name: &str, reset: &str) -> ClientConfig {
    let mut config = config.clone();
    config
        .set("group.id", name)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", reset);
    config
}

/// A key's partition is the one that Java's clients choose, so that topics written by both can be joined. librdkafka's own
/// default is another hash.
pub const PARTITIONER: (&str, &str) = ("partitioner", "murmur2_random");

/// The settings of the sink's producer, whose topics take as much as `limits` says.
pub fn producer(pipeline: &Pipeline, limits: &TopicLimits) -> ClientConfig {
    let output = Memory::shares(pipeline.limits.memory).output;
    // A record larger than the queue would wait for room forever.
    let largest = limits.iter().copied().fold(0, u64::max).min(1_000_000_000);
    let smallest = limits.iter().copied().fold(1_000_000, u64::min);
    let config = client(&pipeline.name, [&pipeline.kafka, &pipeline.sink.kafka]);
    let mut config = unless_set(
        &config,
        &[
            ("statistics.interval.ms", statistics::INTERVAL),
            ("enable.idempotence", "true"),
            PARTITIONER,
            // librdkafka counts this in whole milliseconds, and a request is answered in two.
            ("linger.ms", "0"),
            // librdkafka has one request of an idempotent producer in flight for each partition, and checks
            // in a busy loop whether the next may be sent: half of a worker's CPU where the broker is slower
            // than the worker. It does not while another partition's request waits for the connection's
            // limit. A broker works on one request of a connection at a time whatever the limit is, so the
            // limit only matters where the broker is far away.
            ("max.in.flight", "1"),
            ("queue.buffering.max.kbytes", &kib(output.max(largest + SENT_OVERHEAD))),
            ("queue.buffering.max.messages", &(output / SENT_OVERHEAD).clamp(1_000, 100_000).to_string()),
            // The topic decides; librdkafka's own limit must only not be lower.
            ("message.max.bytes", &largest.max(1_000_000).to_string()),
            // The topic's limit is for a whole batch; librdkafka's default is a million bytes.
            ("batch.size", &smallest.to_string()),
        ],
    );
    match pipeline.guarantee {
        Guarantee::AtLeastOnce => at_least_once(&mut config, pipeline.order),
        Guarantee::ExactlyOnce => {
            // Where a worker dies with an open transaction, `read_committed` readers and the next owner of
            // its partitions wait for this long: far longer than a commit interval, far shorter than the
            // default of a minute.
            let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
            config = unless_set(&config, &[("transaction.timeout.ms", &timeout)]);
            config.set("enable.idempotence", "true").set("transactional.id", transactional_id(pipeline));
        }
    }
    config
}

fn at_least_once(config: &mut ClientConfig, order: Order) {
    let defaults = [
        // A broker that does not answer is waited for as long as it takes; but with new clients from time to
        // time, in case these are the reason why nothing is delivered.
        ("message.timeout.ms", "300000"),
        ("socket.timeout.ms", SILENCE),
        // A broker that waits for other replicas answers before that.
        ("request.timeout.ms", "9000"),
    ];
    *config = unless_set(config, &defaults);
    if order != Order::None && config.get("enable.idempotence") == Some("true") {
        // Nothing is sent after a refused batch before we have handled it.
        config.set("enable.gapless.guarantee", "true");
    }
}

/// Each worker has its own: zombies are fenced by their membership in the consumer group (KIP-447). It stays
/// the same while the process lives, so that new clients end what the old ones left open, instead of waiting
/// for its timeout.
fn transactional_id(pipeline: &Pipeline) -> String {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    transactional_id_of(pipeline, *PROCESS.get_or_init(|| fastrand::u64(..)))
}

/// The id of whoever has that number, which nobody else may have at the same time. A worker that has it again after a crash ends the
/// transaction that it left open, and need not wait until the brokers do.
pub fn transactional_id_of(pipeline: &Pipeline, number: u64) -> String {
    format!("{}-{number:016x}", pipeline.name)
}

pub(super) fn broker_assigns(config: &ClientConfig) -> bool {
    config.get("group.protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("consumer"))
}

fn kib(bytes: u64) -> String {
    (bytes >> 10).clamp(1_024, i32::MAX as u64 / 1_024).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn limits(result: u64, dead_letters: u64) -> TopicLimits {
        TopicLimits { results: vec![result], dead_letters }
    }

    fn pipeline(overrides: &[&str]) -> Pipeline {
        let overrides: Vec<_> = overrides.iter().map(|o| o.parse().unwrap()).collect();
        load("factorial.toml", &overrides).unwrap().0
    }

    fn assert_settings(config: &ClientConfig, expected: &[(&str, Option<&str>)]) {
        for (name, value) in expected {
            assert_eq!(config.get(name), *value, "{name}");
        }
    }

    #[test]
    fn the_consumer_commits_nothing_by_itself_and_starts_at_the_beginning() {
        let config = consumer(&pipeline(&[]), false);
        assert_settings(
            &config,
            &[
                ("client.id", Some("pipeline-factorial")),
                ("group.id", Some("factorial")),
                ("enable.auto.commit", Some("false")),
                ("enable.auto.offset.store", Some("false")),
                ("enable.partition.eof", Some("true")),
                ("auto.offset.reset", Some("earliest")),
                ("partition.assignment.strategy", Some("cooperative-sticky")),
                ("session.timeout.ms", Some("8000")),
                ("heartbeat.interval.ms", Some("2000")),
            ],
        );
        let native = config.create_native_config().unwrap();
        assert_eq!(native.get("isolation.level").unwrap(), "read_committed");
    }

    #[test]
    fn the_file_wins_over_our_defaults_and_the_client_s_own_over_both() {
        let pipeline = pipeline(&[
            "kafka.linger.ms=7",
            "sink.kafka.linger.ms=9",
            "source.kafka.session.timeout.ms=6000",
            "kafka.security.protocol=ssl",
        ]);
        let (consumer, producer) =
            (consumer(&pipeline, false), producer(&pipeline, &limits(1_048_588, 1_064_972)));
        assert_settings(&producer, &[("linger.ms", Some("9")), ("session.timeout.ms", None)]);
        let session = [("session.timeout.ms", Some("6000")), ("heartbeat.interval.ms", Some("1500"))];
        assert_settings(&consumer, &session);
        assert_settings(&common(&pipeline), &[("security.protocol", Some("ssl")), ("linger.ms", Some("7"))]);
    }

    #[test]
    fn who_sets_the_heartbeats_alone_has_librdkafka_s_session() {
        let config = consumer(&pipeline(&["kafka.heartbeat.interval.ms=9000"]), false);
        let expected = [("session.timeout.ms", None), ("heartbeat.interval.ms", Some("9000"))];
        assert_settings(&config, &expected);
    }

    #[test]
    fn a_property_of_the_file_takes_our_default_s_place_under_its_other_name_too() {
        let pipeline =
            pipeline(&["kafka.metadata.broker.list=kafka:9092", "sink.kafka.delivery.timeout.ms=5000"]);
        let expected = [
            ("bootstrap.servers", Some("kafka:9092")),
            ("metadata.broker.list", None),
            ("message.timeout.ms", Some("5000")),
            ("delivery.timeout.ms", None),
        ];
        assert_settings(&producer(&pipeline, &limits(1_048_588, 1_064_972)), &expected);
    }

    #[test]
    fn the_broker_assigns_where_the_group_protocol_is_its_own() {
        let config = consumer(&pipeline(&["kafka.group.protocol=consumer"]), false);
        for name in ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"] {
            assert_eq!(config.get(name), None, "{name}");
        }
    }

    #[test]
    fn the_embedded_broker_is_fitted_unless_the_file_knows_better() {
        let pipeline = pipeline(&["source.kafka.session.timeout.ms=6000"]);
        let expected = [
            ("session.timeout.ms", Some("6000")),
            ("heartbeat.interval.ms", Some("300")),
            ("fetch.wait.max.ms", Some("20")),
        ];
        assert_settings(&consumer(&pipeline, true), &expected);
    }

    #[test]
    fn at_least_once_waits_for_the_broker_for_ever() {
        let expected = [
            ("message.timeout.ms", Some("300000")),
            ("enable.idempotence", Some("true")),
            ("enable.gapless.guarantee", Some("true")),
            ("transactional.id", None),
        ];
        assert_settings(&producer(&pipeline(&[]), &limits(1_048_588, 1_064_972)), &expected);
        let free = [("enable.gapless.guarantee", None)];
        assert_settings(&producer(&pipeline(&["order=none"]), &limits(1_048_588, 1_064_972)), &free);
    }

    #[test]
    fn the_transactional_id_is_the_pipeline_s_in_this_process() {
        let other = pipeline(&["guarantee=exactly-once", "name=other"]);
        let pipeline = pipeline(&["guarantee=exactly-once"]);
        let (one, two) = (
            producer(&pipeline, &limits(1_048_588, 1_064_972)),
            producer(&pipeline, &limits(1_048_588, 1_064_972)),
        );
        let id = one.get("transactional.id").unwrap();
        assert!(id.starts_with("factorial-"), "{id}");
        assert_eq!(Some(id), two.get("transactional.id"));
        assert!(
            producer(&other, &limits(1_048_588, 1_064_972))
                .get("transactional.id")
                .unwrap()
                .starts_with("other-")
        );
        assert_settings(&one, &[("transaction.timeout.ms", Some("10000")), ("message.timeout.ms", None)]);
    }

    #[test]
    fn what_is_fetched_ahead_fits_its_share_with_what_small_records_cost() {
        for memory in ["16 MiB", "256 MiB", "4 GiB"] {
            let pipeline = pipeline(&[&format!("limits.memory={memory}")]);
            let number = |name| consumer(&pipeline, false).get(name).unwrap().parse::<u64>().unwrap();
            let queued = number("queued.max.messages.kbytes") * 1_024
                + number("queued.min.messages") * FETCHED_OVERHEAD;
            assert!(queued <= Memory::shares(pipeline.limits.memory).prefetch, "{memory}: {queued}");
        }
    }

    #[test]
    fn the_largest_record_fits_the_producer_s_queue_and_no_batch_is_larger_than_the_smallest_topic_takes() {
        let limits = limits(100_000, 50 << 20);
        let config = producer(&pipeline(&["limits.memory=16 MiB"]), &limits);
        let number = |name| config.get(name).unwrap().parse::<u64>().unwrap();
        assert!(number("queue.buffering.max.kbytes") * 1_024 >= 50 << 20);
        assert_eq!((number("message.max.bytes"), number("batch.size")), (50 << 20, 100_000));
    }

    #[test]
    fn librdkafka_takes_all_of_it() {
        let huge = limits(1 << 40, 1 << 40);
        for overrides in
            [&[][..], &["guarantee=exactly-once"], &["limits.memory=16 MiB"], &["limits.memory=64 GiB"]]
        {
            let pipeline = pipeline(overrides);
            consumer(&pipeline, false).create_native_config().unwrap();
            producer(&pipeline, &huge).create_native_config().unwrap();
        }
    }
}
