//! librdkafka's properties in a pipeline's file: any of them, but for those that `pipeline` answers for.

use super::{Guarantee, Properties, Property};
use crate::{
    kafka::properties as native,
    settings::{Diagnostics, Entry, Node, Place, Table, Value, suggestion},
};

/// Whose properties they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Both,
    Consumer,
    Producer,
}

/// What `pipeline` sets itself, and what to write instead.
const OWNED: &[(&str, &str)] = &[
    ("group.id", "write `group = …` in [source]"),
    ("transactional.id", "each process takes one of its own"),
    ("enable.auto.commit", "offsets are committed when results are acknowledged: see [commit]"),
    ("enable.auto.offset.store", "offsets are committed when results are acknowledged: see [commit]"),
    ("enable.partition.eof", "the end of a partition is needed to know the lag"),
    ("test.mock.num.brokers", "the embedded broker starts by itself where no other answers"),
];

/// Properties that the group protocol of KIP-848 leaves to the broker.
const BROKER_SIDE: &[&str] =
    &["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type"];

/// Reads a table of properties: dots in names are nested tables in TOML, and are put together again.
pub fn read(mut table: Table, role: Role, guarantee: Guarantee, d: &mut Diagnostics) -> Properties {
    let read = flatten(table.take_all(), String::new(), d);
    let mut properties = Properties::new();
    for (name, place, property) in &read {
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == name) {
            d.error(place, format!("`{name}` is set by pipeline itself"), (*instead).to_owned());
        } else if !native::known().iter().any(|known| known == name) {
            let known: Vec<&str> = native::known().iter().map(String::as_str).collect();
            // Hundreds are too many to list.
            let near = suggestion(name, &known).filter(|help| help.starts_with("did you mean"));
            d.error(place, format!("librdkafka has no property `{name}`"), near);
        } else if let Err(reason) = native::check(name, &property.value) {
            let value = if property.secret { "***" } else { &property.value };
            let reason = reason.replace(&property.value, value);
            d.error(place, format!("librdkafka does not take `{name} = {value}`: {reason}"), None);
        }
        properties.insert(name.clone(), property.clone());
    }
    contradictions(&read, role, guarantee, d);
    properties
}

fn contradictions(read: &[(String, Place, Property)], role: Role, guarantee: Guarantee, d: &mut Diagnostics) {
    let find = |wanted: &str| read.iter().find(|(name, ..)| name == wanted);
    if find("group.protocol").is_some_and(|(_, _, property)| property.value == "consumer") {
        for (name, place, _) in read.iter().filter(|(name, ..)| BROKER_SIDE.contains(&name.as_str())) {
            let message = format!(
                "`{name}` contradicts `group.protocol = \"consumer\"`: the broker decides it (KIP-848)"
            );
            d.error(place, message, "remove one of the two".to_owned());
        }
    }
    if role == Role::Consumer || guarantee != Guarantee::ExactlyOnce {
        return;
    }
    let exactly_once = |name: &str, wrong: &dyn Fn(&str) -> bool, d: &mut Diagnostics| {
        if let Some((name, place, property)) = find(name).filter(|(_, _, property)| wrong(&property.value)) {
            let message = format!("`{name} = {property}` contradicts `guarantee = \"exactly-once\"`");
            d.error(place, message, "remove one of the two".to_owned());
        }
    };
    exactly_once("enable.idempotence", &|value| value != "true", d);
    exactly_once("acks", &|value| !["all", "-1"].contains(&value), d);
    exactly_once("request.required.acks", &|value| !["all", "-1"].contains(&value), d);
}

/// Every value with its name, dots put back.
pub fn flatten(entries: Vec<Entry>, prefix: String, d: &mut Diagnostics) -> Vec<(String, Place, Property)> {
    let mut flat = Vec::new();
    for Entry { key, place, node } in entries {
        let name = format!("{prefix}{key}");
        let (value, secret) = match node {
            Node { value: Value::Table(mut table), .. } => {
                flat.extend(flatten(table.take_all(), format!("{name}."), d));
                continue;
            }
            Node { value: Value::String(text, secret), .. } => (text, secret),
            Node { value: Value::Integer(number), .. } => (number.to_string(), false),
            Node { value: Value::Boolean(value), .. } => (value.to_string(), false),
            Node { value: Value::Other(text), .. } => (text, false),
            Node { value: Value::Array(_), place } => {
                d.error(
                    &place,
                    format!("`{name}` must be one value"),
                    "separate several by commas in one string".to_owned(),
                );
                continue;
            }
        };
        flat.push((name, place, Property { value, secret }));
    }
    flat
}
