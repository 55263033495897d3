use super::pipeline::{Guarantee, Properties, Property};
use crate::{
    kafka::properties::{self, Refusal, Scope},
    settings::{Flat, Reader, closest},
};

/// The properties in `[kafka]`, `[source.kafka]` and `[sink.kafka]`.
pub(super) struct All {
    pub both: Properties,
    pub source: Properties,
    pub sink: Properties,
}

/// Properties that the engine sets itself, and what to do in their stead.
const OWNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "offsets are committed when results are acknowledged: see `[commit]`"),
    ("enable.auto.offset.store", "offsets are committed when results are acknowledged: see `[commit]`"),
    ("auto.commit.interval.ms", "set `interval` in `[commit]`"),
    ("group.id", "set `group` in `[source]`"),
    ("transactional.id", "it is made from the consumer group and the worker's own id"),
    ("enable.partition.eof", "the engine needs it to know when a partition is read to its end"),
];

/// With KIP-848 the broker decides these; librdkafka refuses to start with them.
const CLASSIC_ONLY: &[&str] =
    &["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy", "group.protocol.type"];

impl All {
    pub(super) fn read(root: &Reader<'_>, guarantee: Guarantee) -> All {
        let known = properties::known();
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
        contradictions(root, &consumer, &producer, guarantee);
        let properties = |flats: Vec<Flat>| flats.into_iter().map(property).collect();
        All { both: properties(both), source: properties(consumer), sink: properties(producer) }
    }
}

fn property(flat: Flat) -> (String, Property) {
    // A password that is written out in the file is not printed either.
    let secret = flat.text.written.is_some() || flat.key.contains("password") || flat.key.contains("secret");
    (flat.key, Property { value: flat.text.value, secret })
}

fn check(
    root: &Reader<'_>,
    flat: &Flat,
    table: &str,
    client: Scope,
    known: &std::collections::BTreeMap<String, Scope>,
) {
    let name = &flat.key;
    if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == name) {
        let sentence = format!("`{name}` cannot be set: pipeline sets it itself");
        return root.say(&flat.key_origin, sentence, Some((*instead).to_owned()));
    }
    match (known.get(name), client) {
        (Some(Scope::Consumer), Scope::Both | Scope::Producer) => {
            let sentence = format!("`{name}` is a consumer's property, and does not belong in `[{table}]`");
            root.say(&flat.key_origin, sentence, Some("write it in `[source.kafka]`".into()));
        }
        (Some(Scope::Producer), Scope::Both | Scope::Consumer) => {
            let sentence = format!("`{name}` is a producer's property, and does not belong in `[{table}]`");
            root.say(&flat.key_origin, sentence, Some("write it in `[sink.kafka]`".into()));
        }
        _ => {}
    }
    match properties::validate(name, &flat.text.value) {
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
            let why = if flat.text.written.is_some() { String::new() } else { format!(": {words}") };
            root.say(&flat.origin, format!("`{name}` cannot have this value{why}"), None);
        }
    }
}

fn contradictions(root: &Reader<'_>, consumer: &[Flat], producer: &[Flat], guarantee: Guarantee) {
    let find = |flats: &'_ [Flat], name: &str| flats.iter().position(|flat| flat.key == name);
    let kip_848 = find(consumer, "group.protocol").is_some_and(|at| consumer[at].text.value == "consumer");
    for at in CLASSIC_ONLY.iter().filter_map(|name| find(consumer, name)).filter(|_| kip_848) {
        let sentence = format!("`{}` cannot be set with `group.protocol = \"consumer\"`", consumer[at].key);
        let help = "the broker decides it there (KIP-848): leave out one of the two";
        root.say(&consumer[at].key_origin, sentence, Some(help.into()));
    }
    if guarantee == Guarantee::AtLeastOnce {
        return;
    }
    let refuse = |flat: &Flat, help: &str| {
        let sentence =
            format!("`{} = {}` contradicts `guarantee = \"exactly-once\"`", flat.key, flat.text.value);
        root.say(&flat.origin, sentence, Some(help.to_owned()));
    };
    for flat in consumer.iter().filter(|flat| flat.key == "isolation.level") {
        if flat.text.value == "read_uncommitted" {
            refuse(flat, "leave it out: results of aborted transactions would be read");
        }
    }
    for flat in producer {
        match (flat.key.as_str(), flat.text.value.as_str()) {
            ("enable.idempotence", "false") => refuse(flat, "leave it out: transactions need it"),
            ("acks" | "request.required.acks", value) if !matches!(value, "all" | "-1") => {
                refuse(flat, "leave it out: transactions need the acknowledgement of all replicas");
            }
            _ => {}
        }
    }
}
