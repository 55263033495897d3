//! From the file's tree to a pipeline, with defaults.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Commit, Guarantee, Limits, Metrics, Order, Pipeline, Properties, Retry, Sink, Source, Step,
    TopicSettings,
    properties::{self, Role},
    test_cases,
};
use crate::{
    format::{Format, Formats},
    operator::{Factory, registry},
    settings::{Diagnostics, Node, Place, Table, Value, suggestion},
};

const FORMATS: &[(&str, Format)] =
    &[("text", Format::Text), ("json", Format::Json), ("bincode", Format::Bincode)];

/// Where settings stand that are held against others.
pub struct Places {
    pub source_format: Place,
    pub sink_format: Place,
    pub memory: Place,
    pub retry: Place,
    pub commit_interval: Place,
    pub steps: Vec<Place>,
    pub topics: Place,
}

/// Reads a pipeline. `None` where something that it cannot do without is missing or wrong.
pub fn read(
    mut root: Table,
    default_name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<(Pipeline, Places)> {
    let d = diagnostics;
    let name = root.string("name", d).map_or_else(|| default_name.to_owned(), |(name, _)| name);
    let guarantee = root.one_of(
        "guarantee",
        &[("at-least-once", Guarantee::AtLeastOnce), ("exactly-once", Guarantee::ExactlyOnce)],
        d,
    );
    let guarantee = guarantee.map_or(Guarantee::AtLeastOnce, |(guarantee, _)| guarantee);
    let order = root.one_of(
        "order",
        &[("partition", Order::Partition), ("key", Order::Key), ("none", Order::None)],
        d,
    );
    let kafka = properties::read(root.table("kafka", d), Role::Both, guarantee, d);

    let mut source = root.table("source", d);
    let mut sink = root.table("sink", d);
    let topics = sink.place.clone();
    let (source_format, source_format_place) = format(&mut source, d);
    let (sink_format, sink_format_place) = format(&mut sink, d);
    let group = source.string("group", d).map_or_else(|| name.clone(), |(group, _)| group);
    let source_kafka = properties::read(source.table("kafka", d), Role::Consumer, guarantee, d);
    let sink_kafka = properties::read(sink.table("kafka", d), Role::Producer, guarantee, d);
    let source_topic = topic(&mut source, d);
    let sink_topic = topic(&mut sink, d);
    source.finish(d);
    sink.finish(d);

    let formats = Formats { input: source_format, output: sink_format };
    let (steps, step_places) = steps(root.table("operators", d), formats, d);

    let mut dead = root.table("dead_letters", d);
    let dead_letters = dead.string("topic", d).map(|(topic, _)| topic);
    dead.finish(d);

    let (commit, commit_interval) = commit(root.table("commit", d), d);
    let mut limits = root.table("limits", d);
    let (memory, memory_place) = limits.bytes("memory", d).unwrap_or((256 << 20, limits.place.clone()));
    limits.finish(d);
    let (retry, retry_place) = retry(root.table("retry", d), d);
    let mut shutdown = root.table("shutdown", d);
    let shutdown_timeout =
        shutdown.duration("timeout", d).map_or(Duration::from_secs(10), |(timeout, _)| timeout);
    shutdown.finish(d);
    let metrics = metrics(root.table("metrics", d), d);
    let tests = test_cases::read(root.take("test"), d);
    root.finish(d);

    let (source_topic, sink_topic) = (source_topic?, sink_topic?);
    if steps.is_empty() {
        return None;
    }
    let pipeline = Pipeline {
        name,
        guarantee,
        order: order.map_or(Order::Partition, |(order, _)| order),
        kafka,
        dead_letters: dead_letters.unwrap_or_else(|| format!("{}.dlq", source_topic.topic)),
        source: Source { topic: source_topic, group, format: source_format, kafka: source_kafka },
        steps,
        sink: Sink { topic: sink_topic, format: sink_format, kafka: sink_kafka },
        commit,
        limits: Limits { memory },
        retry,
        shutdown_timeout,
        metrics,
        tests,
    };
    let places = Places {
        source_format: source_format_place,
        sink_format: sink_format_place,
        memory: memory_place,
        retry: retry_place,
        commit_interval,
        steps: step_places,
        topics,
    };
    Some((pipeline, places))
}

fn format(table: &mut Table, d: &mut Diagnostics) -> (Format, Place) {
    table.one_of("format", FORMATS, d).unwrap_or((Format::Text, table.place.clone()))
}

/// The topic of `[source]` or `[sink]`, with what is needed to create it.
fn topic(table: &mut Table, d: &mut Diagnostics) -> Option<TopicSettings> {
    let topic = table.string("topic", d);
    if topic.is_none() && table.entries().iter().all(|entry| entry.key != "topic") {
        let (path, place) = (table.path.clone(), table.place.clone());
        d.error(
            &place,
            format!("`{path}.topic` is missing"),
            format!("write [{path}] and topic = \"…\" below it"),
        );
    }
    let partitions = table.integer("partitions", 1..=100_000, d).map(|(count, _)| count as i32);
    let replication = table.integer("replication", 1..=100, d).map(|(count, _)| count as i32);
    let config = topic_config(table.table("config", d), d);
    let (topic, place) = topic?;
    if let Some(what) = wrong_topic_name(&topic) {
        d.error(&place, format!("`{topic}` cannot be a topic's name: {what}"), None);
        return None;
    }
    Some(TopicSettings { topic, partitions, replication, config })
}

/// Kafka's own rules (`org.apache.kafka.common.internals.Topic`).
fn wrong_topic_name(name: &str) -> Option<&'static str> {
    if name == "." || name == ".." {
        Some("it must not be a dot or two")
    } else if name.len() > 249 {
        Some("it must not be longer than 249 bytes")
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        Some("only ASCII letters, digits, `.`, `_` and `-` are allowed")
    } else {
        None
    }
}

fn topic_config(mut table: Table, d: &mut Diagnostics) -> BTreeMap<String, String> {
    properties::flatten(table.take_all(), String::new(), d)
        .into_iter()
        .map(|(name, _, property)| (name, property.value))
        .collect()
}

fn steps(mut table: Table, formats: Formats, d: &mut Diagnostics) -> (Vec<Step>, Vec<Place>) {
    let place = table.place.clone();
    let entries = table.take_all();
    if entries.is_empty() {
        d.error(
            &place,
            "there is no operator",
            format!("write [operators.NAME], NAME being one of {}", names().join(", ")),
        );
    }
    let mut steps = Vec::new();
    let mut places = Vec::new();
    for entry in entries {
        let Node { value: Value::Table(mut settings), .. } = entry.node else {
            d.error(&entry.place, format!("`operators.{}` must be a table", entry.key), None);
            continue;
        };
        let kind = settings
            .string("operator", d)
            .map_or_else(|| (entry.key.clone(), entry.place.clone()), |kind| kind);
        let Some(factory) = registry().iter().find(|factory| factory.name == kind.0) else {
            d.error(&kind.1, format!("there is no operator `{}`", kind.0), suggestion(&kind.0, &names()));
            continue;
        };
        if let Some(step) = build(factory, &entry.key, &settings, formats, d) {
            steps.push(step);
            places.push(entry.place);
        }
    }
    (steps, places)
}

fn build(
    factory: &Factory,
    name: &str,
    settings: &Table,
    formats: Formats,
    d: &mut Diagnostics,
) -> Option<Step> {
    let unknown: Vec<_> =
        settings.entries().iter().filter(|entry| !factory.settings.contains(&entry.key.as_str())).collect();
    for entry in &unknown {
        let message = format!("the operator `{}` has no setting `{}`", factory.name, entry.key);
        d.error(&entry.place, message, suggestion(&entry.key, factory.settings));
    }
    if !unknown.is_empty() {
        return None;
    }
    match (factory.build)(settings.to_toml(), formats) {
        Ok(operator) => {
            Some(Step { name: name.to_owned(), kind: factory.name, operator: Arc::from(operator) })
        }
        Err(error) => {
            // serde names the key in its text alone.
            let text = error.to_string();
            let named = settings.entries().iter().find(|entry| text.contains(&format!("`{}`", entry.key)));
            let place = named.map_or(&settings.place, |entry| &entry.node.place);
            d.error(
                place,
                format!("the operator `{}` does not take this: {}", factory.name, error.message()),
                None,
            );
            None
        }
    }
}

fn names() -> Vec<&'static str> {
    registry().iter().map(|factory| factory.name).collect()
}

fn commit(mut table: Table, d: &mut Diagnostics) -> (Commit, Place) {
    let (interval, place) =
        table.duration("interval", d).unwrap_or((Duration::from_millis(100), table.place.clone()));
    let records = table.integer("records", 1..=i64::MAX, d).map_or(10_000, |(records, _)| records as u64);
    table.finish(d);
    (Commit { interval, records }, place)
}

fn retry(mut table: Table, d: &mut Diagnostics) -> (Retry, Place) {
    let place = table.place.clone();
    let attempts = table.integer("attempts", 1..=1_000_000, d).map_or(5, |(attempts, _)| attempts as u32);
    let backoff = table.duration("backoff", d).map_or(Duration::from_millis(100), |(backoff, _)| backoff);
    let max_backoff =
        table.duration("max_backoff", d).map_or(Duration::from_secs(10), |(backoff, _)| backoff);
    table.finish(d);
    (Retry { attempts, backoff, max_backoff }, place)
}

fn metrics(mut table: Table, d: &mut Diagnostics) -> Metrics {
    let listen = table.string("listen", d).and_then(|(text, place)| match text.parse::<SocketAddr>() {
        Ok(address) => Some(address),
        Err(_) => {
            let help = "an IP address and a port, such as \"127.0.0.1:9464\"".to_owned();
            d.error(&place, format!("`metrics.listen` is not an address: `{text}`"), help);
            None
        }
    });
    table.finish(d);
    Metrics {
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9464))),
        explicit: listen.is_some(),
    }
}

/// The properties of one client: those of all clients, and over them its own.
pub fn merged(all: &Properties, own: &Properties) -> Properties {
    all.iter().chain(own).map(|(name, property)| (name.clone(), property.clone())).collect()
}
