//! A pipeline's tables, each with its defaults.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    cases, kafka, operators,
    pipeline::{
        Commit, Guarantee, Limits, Metrics, Order, Pipeline, RetryPolicy, Sink, Source, TopicSettings,
    },
    routes,
};
use crate::{
    engine::FairBy,
    format::{Format, Formats},
    settings::{Diagnostics, Origin, Reader, Tree},
};

const GUARANTEES: &[(&str, Guarantee)] =
    &[("at-least-once", Guarantee::AtLeastOnce), ("exactly-once", Guarantee::ExactlyOnce)];
const ORDERS: &[(&str, Order)] =
    &[("partition", Order::Partition), ("key", Order::Key), ("none", Order::None)];
/// The formats that have numbers, for those who ask for factorials.
pub(crate) const NUMBER_FORMATS: &[(&str, Format)] =
    &[("text", Format::Text), ("json", Format::Json), ("bincode", Format::Bincode)];
pub(super) const FORMATS: &[(&str, Format)] = &[
    ("text", Format::Text),
    ("json", Format::Json),
    ("bincode", Format::Bincode),
    ("string", Format::String),
    ("bytes", Format::Bytes),
];

/// The whole file. `None` where something that has no default is missing or wrong; the diagnostics say what.
pub(super) fn pipeline(tree: &Tree, diagnostics: &RefCell<Diagnostics>) -> Option<Pipeline> {
    let root = Reader::root(tree, "a pipeline", diagnostics);
    let name = root.string("name");
    let name = root.required(
        "name",
        name,
        "a label on every metric, and the consumer group: `name = \"factorial\"`",
    );
    let guarantee = root.choice("guarantee", GUARANTEES).unwrap_or(Guarantee::AtLeastOnce);
    let order = root.choice("order", ORDERS).unwrap_or(Order::Partition);
    let all = kafka::All::read(&root, guarantee);
    let source = source(&root, name.as_deref(), all.source);
    let formats = {
        let output = root.table("sink").choice("format", FORMATS).unwrap_or_default();
        let input = root.table("source").choice("format", FORMATS).unwrap_or_default();
        Formats { input, output }
    };
    let (steps, written) = operators::read(&root, formats);
    let sink = sink(&root, all.sink);
    let sink_topic = sink.as_ref().map_or("", |sink| &sink.topic.topic);
    let (routes, router) = routes::read(&root, sink_topic, written, formats.output);
    if steps.is_empty() && router.is_none() && root.table("operators").tables().is_empty() {
        operators::required(&root);
    }
    let dead_letters = dead_letters(&root);
    let (commit, limits, retry) = (commit(&root), limits(&root), retry(&root));
    let shutdown_timeout = shutdown(&root);
    let metrics = metrics(&root);
    let tests = cases::read(&root);
    root.finish();

    let source = source?;
    Some(Pipeline {
        name: name?,
        guarantee,
        order,
        kafka: all.both,
        dead_letters: dead_letters.unwrap_or_else(|| format!("{}.dlq", source.topic.topic)),
        source,
        steps,
        sink: sink?,
        routes,
        router: router.map(Arc::new),
        commit,
        limits,
        retry,
        shutdown_timeout,
        metrics,
        tests,
    })
}

fn source(root: &Reader<'_>, name: Option<&str>, kafka: super::Properties) -> Option<Source> {
    let table = root.table("source");
    table.table("kafka");
    let topic = topic(&table, "the topic that is read");
    let group = table.string("group").or(name.map(str::to_owned));
    let format = table.choice("format", FORMATS).unwrap_or_default();
    let requests = table.boolean("requests").unwrap_or(false);
    table.finish();
    Some(Source { topic: topic?, group: group?, format, requests, kafka })
}

fn sink(root: &Reader<'_>, kafka: super::Properties) -> Option<Sink> {
    let table = root.table("sink");
    table.table("kafka");
    let topic = topic(&table, "the topic that results go to");
    let format = table.choice("format", FORMATS).unwrap_or_default();
    table.finish();
    Some(Sink { topic: topic?, format, kafka })
}

pub(super) fn topic(table: &Reader<'_>, what: &str) -> Option<TopicSettings> {
    let topic = topic_name(table, "topic");
    let topic = table.required("topic", topic, what);
    let settings = topic_settings(table, topic.clone().unwrap_or_default());
    topic.map(|_| settings)
}

/// How a topic is created.
pub(super) fn topic_settings(table: &Reader<'_>, topic: String) -> TopicSettings {
    let small = |n: i64| i32::try_from(n).ok();
    let partitions = table.integer("partitions", 1..=i64::from(i32::MAX)).and_then(small);
    let replication = table.integer("replication", 1..=i64::from(i16::MAX)).and_then(small);
    let config: BTreeMap<String, String> =
        table.flat("config").into_iter().map(|flat| (flat.key, flat.text.value)).collect();
    TopicSettings { topic, partitions, replication, config }
}

/// The topic's name under that key, by Kafka's own rule: `Topic.validate` in its `clients` folder.
pub(crate) fn topic_name(table: &Reader<'_>, key: &str) -> Option<String> {
    let name = table.string(key)?;
    let origin = table.node(key).map_or(table.origin(), |node| &node.origin);
    legal_topic(table, key, name, origin)
}

/// The name, if it is one that a topic may have.
pub(super) fn legal_topic(table: &Reader<'_>, key: &str, name: String, origin: &Origin) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.chars().all(legal) && name.len() <= 249 && name != "." && name != ".." {
        return Some(name);
    }
    let help = "Kafka allows letters, digits, `.`, `_` and `-`, at most 249 of them";
    table.say(origin, format!("`{}` is not a topic's name", table.path_of(key)), Some(help.into()));
    None
}

fn dead_letters(root: &Reader<'_>) -> Option<String> {
    let table = root.table("dead_letters");
    let topic = topic_name(&table, "topic");
    table.finish();
    topic
}

fn commit(root: &Reader<'_>) -> Commit {
    let table = root.table("commit");
    let commit = Commit {
        interval: positive(&table, "interval").unwrap_or(Duration::from_millis(100)),
        records: table.integer("records", 1..=i64::MAX).map_or(10_000, i64::unsigned_abs),
    };
    table.finish();
    commit
}

fn limits(root: &Reader<'_>) -> Limits {
    let table = root.table("limits");
    let limits = Limits { memory: table.size("memory").unwrap_or(256 << 20), fair_by: fair_by(&table) };
    table.finish();
    limits
}

fn fair_by(table: &Reader<'_>) -> Option<FairBy> {
    let text = table.string("fair_by")?;
    match text.split_once(' ') {
        None if text == "key" => return Some(FairBy::Key),
        Some(("header", name)) if !name.trim().is_empty() => {
            return Some(FairBy::Header(name.trim().to_owned()));
        }
        _ => {}
    }
    let origin = table.node("fair_by").map_or(table.origin(), |node| &node.origin);
    let help = "write `\"key\"`, or `\"header NAME\"` for the header that names who asks";
    table.say(origin, format!("`{}` cannot be `{text}`", table.path_of("fair_by")), Some(help.into()));
    None
}

fn retry(root: &Reader<'_>) -> RetryPolicy {
    let table = root.table("retry");
    let attempts = table.integer("attempts", 1..=1_000).and_then(|n| u32::try_from(n).ok()).unwrap_or(5);
    let backoff = table.duration("backoff").unwrap_or(Duration::from_millis(100));
    let max_backoff = table.duration("max_backoff").unwrap_or(backoff.max(Duration::from_secs(10)));
    table.finish();
    RetryPolicy { attempts, backoff, max_backoff }
}

pub(super) fn shutdown(root: &Reader<'_>) -> Duration {
    let table = root.table("shutdown");
    let timeout = positive(&table, "timeout").unwrap_or(Duration::from_secs(10));
    table.finish();
    timeout
}

pub(crate) fn metrics(root: &Reader<'_>) -> Metrics {
    let table = root.table("metrics");
    let listen = table.address("listen");
    table.finish();
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
    Metrics { listen: listen.unwrap_or(default), explicit: listen.is_some() }
}

pub(crate) fn positive(table: &Reader<'_>, key: &str) -> Option<Duration> {
    let duration = table.duration(key)?;
    if duration.is_zero() {
        let origin = table.node(key).map_or(table.origin(), |node| &node.origin);
        table.say(origin, format!("`{}` must be longer than nothing", table.path_of(key)), None);
        return None;
    }
    Some(duration)
}
