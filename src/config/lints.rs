//! Settings that are right each by itself, and wrong together.

use std::time::Duration;

use bytesize::ByteSize;

use super::pipeline::{
    Guarantee, Large, Order, Pipeline, Properties, Retries, RetryPolicy, RetryTopic, TOPIC_LIMIT,
    TRANSACTION_TIMEOUT,
};
use crate::{
    engine::FairBy,
    librdkafka,
    operator::Operator,
    record::{Record, wire_size},
    settings::{Diagnostic, Diagnostics, Severity, Tree},
};

/// Less cannot hold a fetch and its results.
const LEAST_MEMORY: u64 = 16 << 20;
/// A result is held as its digits, as the encoded value and as librdkafka's copy, in the half of the budget
/// that results have.
const COPIES: u64 = 6;
/// How many operators may remember something: what each keeps begins with a byte that tells it from the others' (`operator/windows.rs`).
const MOST_REMEMBERING: usize = 100;

struct Lint<'a> {
    pipeline: &'a Pipeline,
    tree: &'a Tree,
    diagnostics: &'a mut Diagnostics,
}

/// Holds the settings against each other.
pub(super) fn check(pipeline: &Pipeline, tree: &Tree, diagnostics: &mut Diagnostics) {
    let mut lint = Lint { pipeline, tree, diagnostics };
    lint.topics();
    lint.memory();
    lint.shares();
    lint.largest_record();
    lint.retries();
    lint.state();
    lint.shutdown();
    lint.transactions();
}

impl Lint<'_> {
    fn say(&mut self, severity: Severity, path: &str, sentence: String, help: &str) {
        let origin = Some(self.tree.origin(path));
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.diagnostics.push(Diagnostic { severity, sentence, origin, help });
    }

    fn error(&mut self, path: &str, sentence: String, help: &str) {
        self.say(Severity::Error, path, sentence, help);
    }

    /// Fair shares are another order than that of the records.
    fn shares(&mut self) {
        let sentence = match (&self.pipeline.limits.fair_by, self.pipeline.order) {
            (Some(_), Order::Partition) => "results cannot leave in the order of their partition",
            (Some(FairBy::Header(_)), Order::Key) => "results cannot leave in the order of their keys",
            _ => return,
        };
        let help = "say order = \"key\" with fair_by = \"key\", or order = \"none\"";
        self.error("limits.fair_by", format!("{sentence} where requesters get fair shares"), help);
    }

    fn topics(&mut self) {
        let Pipeline { source, dead_letters, .. } = self.pipeline;
        let results = self.pipeline.result_topics();
        let path = |place: usize| if place == 0 { "sink.topic" } else { "routes" };
        let reads = source.reads();
        if let Some((name, _)) = source.formats.iter().find(|(name, _)| !reads(name)) {
            let sentence = format!("`source.formats.{name}` is for a topic that is not read");
            // With `--set source.topic` it may be meant so.
            let help = "take it out, or read that topic too";
            self.say(Severity::Warning, "source.formats", sentence, help);
        }
        if !source.formats.is_empty() && source.format.has_schema() {
            let sentence =
                "values of `[source.formats]` are written in `source.format` first, which has a schema";
            let help = "say `format = \"json\"` in `[source]`, and the format with a schema for its topics";
            self.error("source.format", sentence.to_owned(), help);
        }
        let how = if source.is_pattern() { "matches its pattern" } else { "is its source" };
        if let Some(place) = results.iter().position(|topic| reads(&topic.topic)) {
            let sentence =
                format!("the pipeline would read its own results: `{}` {how}", results[place].topic);
            self.error(path(place), sentence, "name another topic");
        }
        if reads(dead_letters) {
            let sentence = format!("the pipeline would read its own dead letters: `{dead_letters}` {how}");
            self.error("dead_letters.topic", sentence, "name another topic");
        } else if results.iter().any(|topic| topic.topic == *dead_letters) {
            let sentence = format!("dead letters would be among the results of `{dead_letters}`");
            self.error("dead_letters.topic", sentence, "name another topic");
        }
        if let Some(topic) = &self.pipeline.progress
            && (reads(topic) || topic == dead_letters || results.iter().any(|of| of.topic == *topic))
        {
            let sentence = format!("`{topic}` is for other records, and cannot tell how far they are");
            self.error("progress.topic", sentence, "name a topic of its own");
        }
    }

    fn memory(&mut self) {
        let memory = self.pipeline.limits.memory;
        if memory < LEAST_MEMORY {
            let help = format!("at least {}", size(LEAST_MEMORY));
            return self.error(
                "limits.memory",
                format!("{} is too little to work with", size(memory)),
                &help,
            );
        }
        self.instances(memory);
        let Some((name, largest)) = self.largest_output() else { return };
        let needed = largest.saturating_mul(COPIES);
        if memory < needed {
            let sentence =
                format!("one result of `{name}` can have {}, too much for {}", size(largest), size(memory));
            let help = format!("at least {}, or a lower limit in `[operators.{name}]`", size(needed));
            self.error("limits.memory", sentence, &help);
        }
    }

    /// What operators hold beside records, with an instance for each core.
    fn instances(&mut self, memory: u64) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        for step in &self.pipeline.steps {
            let held = step.operator.holds() * cores;
            if held > memory / 2 {
                let sentence = format!(
                    "`{}` holds {} with an instance for each of {cores} cores, too much for {}",
                    step.name,
                    size(held),
                    size(memory)
                );
                self.error("limits.memory", sentence, &format!("at least {}", size(2 * held)));
            }
        }
    }

    /// The operator whose output is the result, if it says how large that can be.
    fn largest_output(&self) -> Option<(String, u64)> {
        let writes = self.pipeline.steps.iter().rev().find(|step| !step.operator.keeps_value())?;
        Some((writes.name.clone(), writes.operator.largest_output()?))
    }

    fn largest_record(&mut self) {
        if self.pipeline.sink.large != Large::DeadLetter {
            return;
        }
        let Some((name, largest)) = self.largest_output() else { return };
        let needed = largest.saturating_add(wire_size(&Record::default()));
        let operator = format!("operators.{name}");
        let at =
            if self.tree.has(&format!("{operator}.max_n")) { format!("{operator}.max_n") } else { operator };
        let help = format!(
            "set `max.message.bytes = {needed}` in `[sink.config]`, and on a topic that is there already"
        );
        match self.pipeline.sink.topic.config.get("max.message.bytes").map(|limit| limit.parse::<u64>()) {
            Some(Ok(limit)) if limit < needed => {
                let sentence =
                    format!("a result of `{name}` can need {needed} bytes, and this topic takes {limit}");
                self.error("sink.config.max.message.bytes", sentence, &help);
            }
            Some(Err(_)) => {
                let sentence = "`max.message.bytes` must be a number of bytes".to_owned();
                self.error("sink.config.max.message.bytes", sentence, "");
            }
            None if TOPIC_LIMIT < needed => {
                let sentence = format!(
                    "a result of `{name}` can need {needed} bytes, and a topic takes {TOPIC_LIMIT} \
                     unless it says otherwise: larger ones become dead letters"
                );
                self.say(Severity::Warning, &at, sentence, &help);
            }
            _ => {}
        }
        let own_limit = self.number(&self.pipeline.sink.kafka, "message.max.bytes");
        if let Some((path, limit)) = own_limit.filter(|(_, limit)| *limit < needed) {
            let sentence = format!(
                "a result of `{name}` can need {needed} bytes, and the producer sends at most {limit}"
            );
            self.error(&path, sentence, &format!("at least {needed}, or leave it out: it follows the topic"));
        }
    }

    /// A numeric property of one client or of all, and the path where it was set.
    fn number(&self, own: &Properties, name: &str) -> Option<(String, u64)> {
        let table = if std::ptr::eq(own, &self.pipeline.sink.kafka) { "sink.kafka" } else { "source.kafka" };
        [(own, table), (&self.pipeline.kafka, "kafka")].into_iter().find_map(|(properties, table)| {
            Some((format!("{table}.{name}"), properties.get(name)?.value.parse().ok()?))
        })
    }

    fn millis(&self, own: &Properties, name: &str, default: Duration) -> Duration {
        self.number(own, name).map_or(default, |(_, millis)| Duration::from_millis(millis))
    }

    fn max_poll_interval(&self) -> Duration {
        let name = "max.poll.interval.ms";
        let default = librdkafka::default_of(name).and_then(|millis| millis.parse().ok());
        let default = default.map_or(Duration::MAX, Duration::from_millis);
        self.millis(&self.pipeline.source.kafka, name, default)
    }

    fn retries(&mut self) {
        let Retries { otherwise, by_failure, topics } = self.pipeline.retries.clone();
        self.retry_topics(&topics);
        self.retry("retry", &otherwise);
        for (failure, retry) in &by_failure {
            self.retry(&format!("retry.{failure}"), retry);
        }
    }

    /// What operators remember is that of one partition, in the order of its records.
    fn state(&mut self) {
        let Pipeline { source, steps, dead_letters, order, .. } = self.pipeline;
        let Some(changelog) = self.pipeline.changelog() else { return };
        let by = steps.iter().find(|step| step.operator.remembers()).map_or("", |step| step.name.as_str());
        let path = format!("operators.{by}");
        if *order != Order::Partition {
            let sentence =
                format!("`{by}` remembers earlier records, and takes those of a partition in their order");
            self.error("order", sentence, "take `order` out, or write `order = \"partition\"`");
        }
        if self.reads_several() {
            let sentence =
                format!("`{by}` remembers the records of one source topic, and this pipeline reads several");
            self.error(
                &path,
                sentence,
                "write a pipeline that brings them together into one topic, and read that",
            );
        }
        let remembering = steps.iter().filter(|step| step.operator.remembers()).count();
        if remembering > MOST_REMEMBERING {
            let sentence =
                format!("{remembering} operators remember something, and {MOST_REMEMBERING} are told apart");
            self.error(&path, sentence, "write several pipelines, one after the other");
        }
        let waits =
            |operator: &dyn Operator| operator.asynchronous().is_some() || operator.batched().is_some();
        if let Some(step) = steps.iter().find(|step| waits(&*step.operator)) {
            let sentence =
                format!("`{}` answers records in no order, and `{by}` needs them in theirs", step.name);
            self.error(
                &format!("operators.{}", step.name),
                sentence,
                "put one of them into a pipeline of its own",
            );
        }
        let results = self.pipeline.result_topics();
        let others = source.topics.iter().chain(results).map(|topic| topic.topic.as_str());
        if others
            .chain([dead_letters.as_str()])
            .chain(self.pipeline.progress.as_deref())
            .any(|topic| topic == changelog)
        {
            let sentence = format!("the changelog `{changelog}` is read or written otherwise too");
            self.error("state.changelog", sentence, "name another topic");
        }
    }

    /// Whether there may be more than one source topic.
    fn reads_several(&self) -> bool {
        self.pipeline.source.topics.len() > 1 || self.pipeline.source.is_pattern()
    }

    fn retry_topics(&mut self, topics: &[RetryTopic]) {
        if !topics.is_empty() && self.pipeline.order == Order::Partition {
            let sentence = "a record that waits in a retry topic comes behind those that were after it";
            let help = "write `order = \"key\"`, with which those of its key wait too, or `order = \"none\"`; or take `topic` and `after` out: \
                        then the records behind one that fails wait for it";
            self.error("retry.topic", sentence.to_owned(), help);
        }
        if !topics.is_empty() && self.pipeline.order == Order::Key && self.reads_several() {
            let sentence = "with `order = \"key\"`, retry topics belong to one source topic, and this pipeline reads several";
            let help = "write a file for each source topic, or `order = \"none\"`";
            self.error("retry.topic", sentence.to_owned(), help);
        }
        let Pipeline { source, dead_letters, .. } = self.pipeline;
        let results = self.pipeline.result_topics();
        let others = source.topics.iter().chain(results).map(|topic| &topic.topic);
        let others: Vec<&String> = others.chain([dead_letters]).collect();
        if let Some(RetryTopic { topic, .. }) = topics.iter().find(|retry| others.contains(&&retry.topic)) {
            let sentence = format!("the retry topic `{topic}` is read or written otherwise too");
            self.error("retry.topic", sentence, "name another topic");
        }
    }

    fn retry(&mut self, table: &str, retry: &RetryPolicy) {
        if retry.max_backoff < retry.backoff {
            let sentence = format!(
                "the longest pause ({}) is shorter than the first ({})",
                span(retry.max_backoff),
                span(retry.backoff)
            );
            let at = format!("{table}.max_backoff");
            return self.error(&at, sentence, "raise `max_backoff`, or lower `backoff`");
        }
        let (longest, poll) = (pauses(retry), self.max_poll_interval());
        if longest >= poll {
            let sentence = format!(
                "a record's retries can take {}, longer than `max.poll.interval.ms` ({}): \
                 a rebalance does not wait that long for them",
                span(longest),
                span(poll)
            );
            let help =
                "fewer attempts or shorter pauses, or a longer `max.poll.interval.ms` in `[source.kafka]`";
            let attempts = format!("{table}.attempts");
            let at = if self.tree.has(&attempts) { attempts } else { format!("{table}.max_backoff") };
            self.say(Severity::Warning, &at, sentence, help);
        }
    }

    fn shutdown(&mut self) {
        let (timeout, poll) = (self.pipeline.shutdown_timeout, self.max_poll_interval());
        if timeout >= poll {
            let sentence = format!(
                "a stop may take {}, longer than `max.poll.interval.ms` ({}) lets a rebalance take",
                span(timeout),
                span(poll)
            );
            self.error("shutdown.timeout", sentence, "a shorter timeout, or a longer `max.poll.interval.ms`");
        }
    }

    fn transactions(&mut self) {
        let timeout = self.millis(&self.pipeline.sink.kafka, "transaction.timeout.ms", TRANSACTION_TIMEOUT);
        let interval = self.pipeline.commit.interval;
        if self.pipeline.guarantee == Guarantee::ExactlyOnce && interval * 2 > timeout {
            let sentence = format!(
                "a transaction lasts {}, and the broker aborts it after `transaction.timeout.ms` ({})",
                span(interval),
                span(timeout)
            );
            let help =
                "an interval of at most half of it, or a longer `transaction.timeout.ms` in `[sink.kafka]`";
            self.error("commit.interval", sentence, help);
        }
    }
}

/// All pauses of one record together.
fn pauses(retry: &RetryPolicy) -> Duration {
    let pause = |failed: u32| retry.backoff.saturating_mul(1_u32.checked_shl(failed).unwrap_or(u32::MAX));
    (0..retry.attempts - 1)
        .map(|failed| pause(failed).min(retry.max_backoff))
        .fold(Duration::ZERO, Duration::saturating_add)
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

fn span(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
