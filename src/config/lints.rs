//! Settings that are right each by itself and wrong together.

use std::time::Duration;

use bytesize::ByteSize;

use super::{
    Guarantee, Pipeline, Retry,
    read::{Places, merged},
};
use crate::settings::Diagnostics;

/// What a topic takes where nobody has said otherwise, in bytes (Kafka's `message.max.bytes`).
pub const DEFAULT_TOPIC_LIMIT: u64 = 1_048_588;
/// Bytes of a record batch beside the value, at most, without key and headers.
const FRAME: u64 = 97;
/// Less than this cannot hold a fetch and its results.
const LEAST_MEMORY: u64 = 16 << 20;

/// Holds settings against each other.
pub fn check(pipeline: &Pipeline, places: &Places, d: &mut Diagnostics) {
    topics(pipeline, places, d);
    formats(pipeline, places, d);
    sizes(pipeline, places, d);
    times(pipeline, places, d);
}

fn topics(pipeline: &Pipeline, places: &Places, d: &mut Diagnostics) {
    let (source, sink) = (&pipeline.source.topic.topic, &pipeline.sink.topic.topic);
    if source == sink || pipeline.dead_letters == *source {
        d.error(
            &places.topics,
            format!("the pipeline would read what it writes: {source}"),
            "name another topic".to_owned(),
        );
    } else if pipeline.dead_letters == *sink {
        d.error(&places.topics, format!("results and dead letters would go to the same topic: {sink}"), None);
    }
}

fn formats(pipeline: &Pipeline, places: &Places, d: &mut Diagnostics) {
    let passes = pipeline.steps.iter().all(|step| step.operator.keeps_value());
    if passes && pipeline.source.format != pipeline.sink.format {
        let message = "the operators pass values on as they came, so both formats must be the same";
        let place = if places.sink_format == places.source_format {
            &places.source_format
        } else {
            &places.sink_format
        };
        d.error(place, message, None);
    }
}

fn sizes(pipeline: &Pipeline, places: &Places, d: &mut Diagnostics) {
    let memory = pipeline.limits.memory;
    if memory < LEAST_MEMORY {
        let message = format!("{} is too little to work with", ByteSize(memory).display().iec());
        d.error(&places.memory, message, format!("at least {}", ByteSize(LEAST_MEMORY).display().iec()));
    }
    let largest = pipeline
        .steps
        .iter()
        .zip(&places.steps)
        .filter_map(|(step, place)| Some((step.operator.largest_output()?, place)));
    let Some((largest, place)) = largest.last() else { return };
    // Estimated and computed at once by two cores, beside what is fetched.
    if largest > memory / 4 {
        let message = format!(
            "one result can have {}, and that is too much for a memory of {}",
            ByteSize(largest).display().iec(),
            ByteSize(memory).display().iec()
        );
        d.error(place, message, "raise limits.memory to four times as much".to_owned());
    }
    let limit = topic_limit(pipeline);
    if largest + FRAME > limit {
        let message = format!(
            "one result can have {largest} bytes, and the topic takes {limit} a record: those beyond become dead letters"
        );
        let help =
            format!("set max.message.bytes = {} in [sink.config], on an existing topic too", largest + FRAME);
        d.warning(place, message, help);
    }
}

/// What the result topic is said to take, in bytes.
fn topic_limit(pipeline: &Pipeline) -> u64 {
    let configured = pipeline.sink.topic.config.get("max.message.bytes");
    configured.and_then(|limit| limit.parse().ok()).unwrap_or(DEFAULT_TOPIC_LIMIT)
}

fn times(pipeline: &Pipeline, places: &Places, d: &mut Diagnostics) {
    let consumer = merged(&pipeline.kafka, &pipeline.source.kafka);
    let producer = merged(&pipeline.kafka, &pipeline.sink.kafka);
    let millis = |value: Option<&super::Property>, default| {
        Duration::from_millis(value.and_then(|property| property.value.parse().ok()).unwrap_or(default))
    };
    let poll = millis(consumer.get("max.poll.interval.ms"), 300_000);
    let longest = longest_retry(&pipeline.retry);
    if longest > poll {
        let message = format!(
            "retries can take {longest:?}, longer than max.poll.interval.ms ({poll:?}): a hand-over of the partition would not wait for them"
        );
        d.warning(
            &places.retry,
            message,
            "fewer attempts or shorter pauses, or a longer max.poll.interval.ms".to_owned(),
        );
    }
    if pipeline.shutdown_timeout >= poll {
        let message = format!(
            "shutdown.timeout ({:?}) must be shorter than max.poll.interval.ms ({poll:?})",
            pipeline.shutdown_timeout
        );
        d.error(&places.retry, message, None);
    }
    let transaction = millis(producer.get("transaction.timeout.ms"), 10_000);
    if pipeline.guarantee == Guarantee::ExactlyOnce && pipeline.commit.interval * 2 > transaction {
        let message = format!(
            "a transaction lasts commit.interval ({:?}), and the broker ends it after transaction.timeout.ms ({transaction:?})",
            pipeline.commit.interval
        );
        d.error(&places.commit_interval, message, "at most half of it".to_owned());
    }
}

/// The pauses of all attempts together.
fn longest_retry(retry: &Retry) -> Duration {
    let mut total = Duration::ZERO;
    let mut pause = retry.backoff;
    for _ in 1..retry.attempts {
        if pause >= retry.max_backoff {
            pause = retry.max_backoff;
        }
        total = total.saturating_add(pause);
        if total > Duration::from_secs(86_400) {
            break;
        }
        pause = pause.saturating_mul(2);
    }
    total
}
