//! The `[retry]` tables: how failures that pass are tried again, and where records wait for it.

use std::time::Duration;

use super::{
    pipeline::{Retries, RetryPolicy, RetryTopic},
    tables::topic_name,
};
use crate::{
    operator::{FAILURES, registry},
    record::ResultTopic,
    settings::{Reader, Value},
};

/// The most retry topics.
const MOST_RETRY_TOPICS: usize = 10;

/// The `[retry]` tables. The places of the retry topics among those of the sink are not known here.
pub(super) fn read(root: &Reader<'_>) -> Retries {
    let table = root.table("retry");
    let standard = RetryPolicy {
        attempts: 5,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(10),
    };
    let otherwise = retry(&table, standard);
    let topics = retry_topics(&table);
    let of_operators = registry().iter().flat_map(|factory| factory.failures.iter().copied());
    let names = FAILURES.iter().map(|(name, _)| *name).chain(of_operators);
    let by_failure = names.filter(|name| table.node(name).is_some()).map(|name| {
        let own = table.table(name);
        let policy = retry(&own, otherwise);
        own.finish();
        (name.to_owned(), policy)
    });
    let by_failure = by_failure.collect();
    table.finish();
    Retries { otherwise, by_failure, topics }
}

/// Where records wait before they are tried again: `topic`, and a number for each time in `after`.
fn retry_topics(table: &Reader<'_>) -> Vec<RetryTopic> {
    let (topic, after) = (topic_name(table, "topic"), waits(table));
    match (topic, after.as_slice()) {
        (Some(_), []) if table.node("after").is_none() => {
            let help =
                "write `after = [\"1 min\", \"1 h\"]`: one retry topic for each of these times".to_owned();
            table.missing("after", "`retry.topic` does not say how long records wait there".to_owned(), help);
            Vec::new()
        }
        (None, [_, ..]) if table.node("topic").is_none() => {
            let sentence = "`retry.after` does not say in which topics records wait".to_owned();
            table.missing("topic", sentence, "write `topic = \"orders-retry\"`".to_owned());
            Vec::new()
        }
        (Some(topic), after) => (1..)
            .zip(after)
            .map(|(number, after)| RetryTopic {
                topic: format!("{topic}-{number}"),
                after: *after,
                to: ResultTopic::default(),
            })
            .collect(),
        (None, _) => Vec::new(),
    }
}

/// The times in `after`.
fn waits(table: &Reader<'_>) -> Vec<Duration> {
    let help = || Some("write `[\"1 min\", \"1 h\"]`".to_owned());
    let Some(node) = table.node("after") else { return Vec::new() };
    let nodes = match &node.value {
        Value::Array(nodes) if (1..=MOST_RETRY_TOPICS).contains(&nodes.len()) => nodes,
        Value::Array(nodes) => {
            let sentence =
                format!("`retry.after` has {} times, and may have 1 to {MOST_RETRY_TOPICS}", nodes.len());
            table.say(&node.origin, sentence, help());
            return Vec::new();
        }
        other => {
            let sentence = format!("`retry.after` must be an array of times, not {}", other.kind());
            table.say(&node.origin, sentence, help());
            return Vec::new();
        }
    };
    nodes.iter().filter_map(|node| table.duration_of("after", node)).collect()
}

/// What a table says of retries; what it leaves out is as in `otherwise`.
fn retry(table: &Reader<'_>, otherwise: RetryPolicy) -> RetryPolicy {
    let attempts = table.integer("attempts", 1..=1_000).and_then(|n| u32::try_from(n).ok());
    let backoff = table.duration("backoff").unwrap_or(otherwise.backoff);
    RetryPolicy {
        attempts: attempts.unwrap_or(otherwise.attempts),
        backoff,
        max_backoff: table.duration("max_backoff").unwrap_or(backoff.max(otherwise.max_backoff)),
    }
}
