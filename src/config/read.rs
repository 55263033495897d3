//! A pipeline's tables, each with its defaults.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    cases, control, duplicates,
    formats::{self, Side},
    kafka, operators,
    pipeline::{
        Commit, Guarantee, Large, Limits, Metrics, Order, Pipeline, Scale, Sink, Source, TopicSettings,
    },
    retries, routes, state,
    tables::{legal_topic, positive, store, topic, topic_name, topic_settings},
};
use crate::{
    engine::FairBy,
    format::{Format, Formats, Keys},
    record::ResultTopic,
    settings::{Diagnostics, Node, Origin, Reader, Tree, Value},
};

const GUARANTEES: &[(&str, Guarantee)] =
    &[("at-least-once", Guarantee::AtLeastOnce), ("exactly-once", Guarantee::ExactlyOnce)];
const ORDERS: &[(&str, Order)] =
    &[("partition", Order::Partition), ("key", Order::Key), ("none", Order::None)];

/// The whole file. `None` where something that has no default is missing or wrong; the diagnostics say what.
pub(super) fn pipeline(tree: &Tree, diagnostics: &RefCell<Diagnostics>) -> Option<Pipeline> {
    let root = Reader::root(tree, "a pipeline", diagnostics);
    if !root.has_our_version() {
        return None;
    }
    let name = root.string("name");
    let name = root.required(
        "name",
        name,
        "a label on every metric, and the consumer group: `name = \"factorial\"`",
    );
    let guarantee = root.choice("guarantee", GUARANTEES).unwrap_or(Guarantee::AtLeastOnce);
    let order = root.choice("order", ORDERS).unwrap_or(Order::Partition);
    let all = kafka::All::read(&root, guarantee);
    let (source, input) = source(&root, name.as_deref(), all.source);
    let (sink, output) = sink(&root, all.sink);
    let formats = input.zip(output).map(|((input, of_keys), (output, to_keys))| Formats {
        input,
        output,
        keys: Keys { input: of_keys, output: to_keys },
    });
    let has_formats = formats.is_some();
    let (steps, formats) = operators::read(&root, formats);
    let sink_topic = sink.as_ref().map_or("", |sink| &sink.topic.topic);
    let (routes, router) = routes::read(&root, sink_topic, formats.unwrap_or_default());
    if has_formats && steps.is_empty() && router.is_none() && root.table("operators").tables().is_empty() {
        operators::required(&root);
    }
    let (dead_letters, progress) = (only_topic(&root, "dead_letters"), only_topic(&root, "progress"));
    let (commit, limits, scale, retries) = (commit(&root), limits(&root), scale(&root), retries::read(&root));
    let shutdown_timeout = shutdown(&root);
    let (metrics, control) = (metrics(&root), control::read(&root));
    let group = source.as_ref().map(|source| source.group.as_str());
    let state = state::read(&root, &steps, group);
    let tests = cases::read(&root, &steps);
    root.finish();

    let (source, name) = (source?, name?);
    let dead_letters = dead_letters.unwrap_or_else(|| match source.topics.as_slice() {
        [only] if !source.is_pattern() => format!("{}.dlq", only.topic),
        _ => format!("{name}.dlq"),
    });
    let mut pipeline = Pipeline {
        name,
        guarantee,
        order,
        kafka: all.both,
        dead_letters,
        progress,
        source,
        steps,
        sink: sink?,
        routes,
        router: router.map(Arc::new),
        commit,
        limits,
        scale,
        retries,
        state,
        shutdown_timeout,
        metrics,
        control,
        tests,
    };
    let results = pipeline.result_topics().len();
    for (place, retry) in pipeline.retries.topics.iter_mut().enumerate() {
        retry.to = ResultTopic(u16::try_from(results + place).unwrap_or(u16::MAX));
    }
    Some(pipeline)
}

fn source(root: &Reader<'_>, name: Option<&str>, kafka: super::Properties) -> (Option<Source>, Option<Both>) {
    let table = root.table("source");
    table.table("kafka");
    let topics = source_topics(&table);
    let group = table.string("group").or(name.map(str::to_owned));
    let formats = formats::of_topics(&table);
    let key_format = formats::read_key(&table, Side::Source);
    let format = formats::read(&table, Side::Source);
    let requests = table.boolean("requests").unwrap_or(false);
    let deduplication = duplicates::read(&table, format.as_ref(), &formats, key_format.clone().flatten());
    table.finish();
    let both = format.zip(key_format);
    let source = || {
        let (format, key_format) = both.clone()?;
        Some(Source {
            topics: topics?,
            group: group?,
            format,
            formats,
            key_format,
            requests,
            deduplication,
            kafka,
        })
    };
    (source(), both)
}

/// What is read: `topic`, `topics` or `pattern`.
fn source_topics(table: &Reader<'_>) -> Option<Vec<TopicSettings>> {
    let written = ["topic", "topics", "pattern"].map(|key| Some((key, table.node(key)?)));
    let mut written: Vec<(&str, &Node)> = written.into_iter().flatten().collect();
    // `--set source.topic=other` says it instead of the file.
    if written.iter().any(|(_, node)| matches!(node.origin, Origin::Override(_))) {
        written.retain(|(_, node)| matches!(node.origin, Origin::Override(_)));
    }
    match written.as_slice() {
        [] | [("topic", _)] => topic(table, "the topic that is read").map(|topic| vec![topic]),
        [("topics", node)] => {
            let names = topic_names(table, "topics", node)?;
            Some(names.into_iter().map(|name| topic_settings(table, name)).collect())
        }
        [(_, _)] => pattern(table).map(|pattern| vec![topic_settings(table, pattern)]),
        [_, (_, second), ..] => {
            let sentence = "`topic`, `topics` and `pattern` say the same in three ways".to_owned();
            table.say(&second.origin, sentence, Some("write one of them".to_owned()));
            None
        }
    }
}

/// An array of topics' names.
fn topic_names(table: &Reader<'_>, key: &str, node: &Node) -> Option<Vec<String>> {
    let help = Some("write `[\"a\", \"b\"]`".to_owned());
    let Value::Array(nodes) = &node.value else {
        let sentence =
            format!("`{}` must be an array of topics, not {}", table.path_of(key), node.value.kind());
        table.say(&node.origin, sentence, help);
        return None;
    };
    if nodes.is_empty() {
        table.say(&node.origin, format!("`{}` names no topic", table.path_of(key)), help);
        return None;
    }
    let name = |node: &Node| {
        let text = node.value.scalar().map(|text| text.value).unwrap_or_default();
        legal_topic(table, key, text, &node.origin)
    };
    nodes.iter().map(name).collect()
}

/// A regular expression that a topic's whole name must match, as librdkafka wants it.
fn pattern(table: &Reader<'_>) -> Option<String> {
    let pattern = table.string("pattern")?;
    if let Err(error) = regex::Regex::new(&pattern) {
        let origin = table.node("pattern").map_or(table.origin(), |node| &node.origin);
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let sentence = format!("`{}` is no regular expression: {reason}", table.path_of("pattern"));
        table.say(
            origin,
            sentence,
            Some("`orders-.*` matches every topic whose name begins with `orders-`".to_owned()),
        );
        return None;
    }
    Some(format!("^({pattern})$"))
}

/// The format of values, and that of keys, where they have one.
type Both = (Format, Option<Format>);

fn sink(root: &Reader<'_>, kafka: super::Properties) -> (Option<Sink>, Option<Both>) {
    let table = root.table("sink");
    table.table("kafka");
    let topic = topic(&table, "the topic that results go to");
    let key_format = formats::read_key(&table, Side::Sink);
    let format = formats::read(&table, Side::Sink);
    let large = large(&table);
    table.finish();
    let both = format.zip(key_format);
    let sink = || {
        let (format, key_format) = both.clone()?;
        Some(Sink { topic: topic?, format, key_format, large: large?, kafka })
    };
    (sink(), both)
}

fn large(sink: &Reader<'_>) -> Option<Large> {
    let store = store(sink);
    let ways = [("dead-letter", Some(Large::DeadLetter)), ("pieces", Some(Large::Pieces)), ("store", None)];
    match sink.choice("large", &ways) {
        Some(None) => sink.required("store", store, "the address of the object store").map(Large::Store),
        None => Some(Large::DeadLetter),
        Some(way) => way,
    }
}

/// A table that has nothing but a topic's name.
fn only_topic(root: &Reader<'_>, table: &str) -> Option<String> {
    let table = root.table(table);
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
    let rate = table.integer("rate", 1..=i64::from(u32::MAX)).and_then(|rate| u32::try_from(rate).ok());
    let limits = Limits { memory: table.size("memory").unwrap_or(256 << 20), rate, fair_by: fair_by(&table) };
    table.finish();
    limits
}

fn scale(root: &Reader<'_>) -> Scale {
    let table = root.table("scale");
    let workers = |name| table.integer(name, 0..=100_000).and_then(|workers| u32::try_from(workers).ok());
    let scale = Scale {
        empty_within: positive(&table, "empty_within").unwrap_or(Duration::from_secs(30)),
        min: workers("min").unwrap_or(1),
        max: workers("max"),
        down_after: table.duration("down_after").unwrap_or(Duration::from_secs(120)),
    };
    if let Some(max) = scale.max.filter(|max| *max < scale.min.max(1)) {
        let origin = table.node("max").map_or(table.origin(), |node| &node.origin);
        let sentence = format!("`scale.max` is {max}, which is less than {}", scale.min.max(1));
        table.say(origin, sentence, Some("let it be at least `scale.min`, and 1".to_owned()));
    }
    table.finish();
    scale
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
