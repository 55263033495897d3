//! The properties in `[kafka]`, `[source.kafka]` and `[sink.kafka]`, checked against librdkafka's own table.

use std::collections::BTreeMap;

use super::pipeline::{Guarantee, Properties, Property};
use crate::{
    librdkafka::{self, Refusal, Scope},
    settings::{Flat, Reader, closest},
};

/// The properties in `[kafka]`, `[source.kafka]` and `[sink.kafka]`.
pub(super) struct All {
    pub both: Properties,
    pub source: Properties,
    pub sink: Properties,
}

/// Properties that the engine sets itself, and what to do instead.
pub(super) const OWNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "offsets are committed when results are acknowledged: see `[commit]`"),
    ("enable.auto.offset.store", "offsets are committed when results are acknowledged: see `[commit]`"),
    ("auto.commit.interval.ms", "set `interval` in `[commit]`"),
    ("group.id", "set `group` in `[source]`"),
    ("transactional.id", "it begins with the pipeline's name, and each process has one of its own"),
    ("enable.partition.eof", "the engine needs it to know when a partition is read to its end"),
];

/// With KIP-848 the broker decides these; librdkafka refuses to start with them.
const CLASSIC_ONLY: &[&str] =
    &["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy", "group.protocol.type"];

impl All {
    pub(super) fn read(root: &Reader<'_>, guarantee: Guarantee) -> All {
        let known = librdkafka::known();
        let (source, sink) = (root.table("source"), root.table("sink"));
        let (both, consumer, producer) = (root.flat("kafka"), source.flat("kafka"), sink.flat("kafka"));
        for (flats, table, client) in [
            (&both, "kafka", Scope::Both),
            (&consumer, "source.kafka", Scope::Consumer),
            (&producer, "sink.kafka", Scope::Producer),
        ] {
            for flat in flats {
                check(root, flat, table, client, &known);
            }
        }
        contradictions(root, &[&both, &consumer, &producer], guarantee);
        let properties = |flats: Vec<Flat>| flats.into_iter().map(property).collect();
        All { both: properties(both), source: properties(consumer), sink: properties(producer) }
    }
}

/// The properties in `[kafka]` of a file that has no such table for one client alone.
pub(crate) fn shared(root: &Reader<'_>) -> Properties {
    let known = librdkafka::known();
    let flats = root.flat("kafka");
    flats.iter().for_each(|flat| check(root, flat, "kafka", Scope::Both, &known));
    flats.into_iter().map(property).collect()
}

fn property(flat: Flat) -> (String, Property) {
    let secret = flat.text.written.is_some() || is_secret(&flat.key);
    (flat.key, Property { value: flat.text.value, secret })
}

/// Whether a property is a secret by its name, so that it is not printed even if it is written out in the file.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "passphrase", "secret", ".pem", "oauthbearer.config"].iter().any(|part| name.contains(part))
}

fn check(root: &Reader<'_>, flat: &Flat, table: &str, client: Scope, known: &BTreeMap<String, Scope>) {
    let name = &flat.key;
    if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == name) {
        let sentence = format!("`{name}` cannot be set: pipeline sets it itself");
        return root.say(&flat.key_origin, sentence, Some((*instead).to_owned()));
    }
    match (known.get(name), client) {
        (Some(Scope::Consumer), Scope::Producer) => {
            let sentence = format!("`{name}` is a consumer's property, and does not belong in `[{table}]`");
            root.say(&flat.key_origin, sentence, Some("write it in `[source.kafka]`".into()));
        }
        (Some(Scope::Producer), Scope::Consumer) => {
            let sentence = format!("`{name}` is a producer's property, and does not belong in `[{table}]`");
            root.say(&flat.key_origin, sentence, Some("write it in `[sink.kafka]`".into()));
        }
        _ => {}
    }
    match librdkafka::validate(name, &flat.text.value) {
        Ok(()) => {}
        Err(Refusal::Unknown) => {
            let help = match closest(name, known.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "librdkafka's CONFIGURATION.md lists all properties".to_owned(),
            };
            root.say(&flat.key_origin, format!("`{name}` is not a property of librdkafka"), Some(help));
        }
        Err(Refusal::Invalid(words)) => {
            // librdkafka may repeat the value.
            let secret = flat.text.written.is_some() || is_secret(name);
            let why = if secret { String::new() } else { format!(": {words}") };
            root.say(&flat.origin, format!("`{name}` cannot have this value{why}"), None);
        }
    }
}

fn contradictions(root: &Reader<'_>, all: &[&[Flat]], guarantee: Guarantee) {
    let all = || all.iter().copied().flatten();
    let refuse = |flat: &Flat, with: &str, help: &str| {
        let sentence = format!("`{}` contradicts `{with}`", flat.key);
        root.say(&flat.key_origin, sentence, Some(help.to_owned()));
    };
    let kip_848 = all().any(|flat| flat.key == "group.protocol" && flat.text.value == "consumer");
    for flat in all().filter(|flat| kip_848 && CLASSIC_ONLY.contains(&flat.key.as_str())) {
        refuse(
            flat,
            "group.protocol = \"consumer\"",
            "leave out one of the two: the broker decides it (KIP-848)",
        );
    }
    if guarantee == Guarantee::AtLeastOnce {
        return;
    }
    for flat in all() {
        let help = match (flat.key.as_str(), flat.text.value.as_str()) {
            ("isolation.level", "read_uncommitted") => "results of aborted transactions would be read",
            ("enable.idempotence", "false") => "transactions need it",
            ("acks" | "request.required.acks", acks) if !matches!(acks, "all" | "-1") => {
                "transactions need the acknowledgement of all replicas"
            }
            _ => continue,
        };
        refuse(flat, "guarantee = \"exactly-once\"", &format!("leave it out: {help}"));
    }
}
