//! What several tables have in the same way: a topic's name and its settings, and times.

use std::{collections::BTreeMap, time::Duration};

use super::{operators::filled_in, pipeline::TopicSettings};
use crate::settings::{Origin, Reader};

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

/// The address of an object store; [`Store::open`](crate::store::Store::open) takes it.
pub(crate) fn store(table: &Reader<'_>) -> Option<String> {
    let url = table.string("store")?;
    let is_one = match url.split_once("://") {
        Some(("file", folder)) => folder.starts_with('/') && folder.len() > 1,
        Some(("s3", place)) => !place.is_empty() && !place.starts_with('/'),
        _ => false,
    };
    if is_one {
        return Some(url);
    }
    let origin = table.node("store").map_or(table.origin(), |node| &node.origin);
    let help = "write `\"file:///FOLDER\"` or `\"s3://BUCKET/PREFIX\"`";
    table.say(origin, format!("`{}` cannot be `{url}`", table.path_of("store")), Some(help.to_owned()));
    None
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

pub(crate) fn positive(table: &Reader<'_>, key: &str) -> Option<Duration> {
    let duration = table.duration(key)?;
    if duration.is_zero() {
        let origin = table.node(key).map_or(table.origin(), |node| &node.origin);
        table.say(origin, format!("`{}` must be longer than nothing", table.path_of(key)), None);
        return None;
    }
    Some(duration)
}

/// An expression's text, of which nothing may be filled in. The outer `None` says that it was wrong.
pub(super) fn expression(table: &Reader<'_>, key: &str) -> Option<Option<String>> {
    let Some(node) = table.node(key) else { return Some(None) };
    if let Some(secret) = filled_in(node) {
        let sentence = format!("`{}` has a `${{…}}` in an expression", table.path_of(key));
        let help = "dead letters quote their expression, and nothing that is filled in may be printed";
        table.say(&secret.origin, sentence, Some(help.to_owned()));
        return None;
    }
    table.string(key).map(Some)
}
