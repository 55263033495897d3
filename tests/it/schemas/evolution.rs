//! A schema that changes while a worker runs, between Java's own clients.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::once_each;
use crate::harness::{JavaClients, SchemaRegistry, Site, all_of, create_topic, free_port};

/// What the producer writes first.
const OLD: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"int"},
    {"name":"who","type":["null","string"]},
    {"name":"gone","type":"string"},
    {"name":"amount","type":"float"}]}"#;
/// And then: two promotions, an alias, a field less, and one more with a default.
const NEW: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"amount","type":"double"},
    {"name":"customer","aliases":["who"],"type":["null","string"]},
    {"name":"country","type":"string","default":"DE"}]}"#;
/// What is made of both.
const TOTAL: &str = r#"{"type":"record","name":"Total","namespace":"shop","fields":[
    {"name":"id","type":"long"},
    {"name":"customer","type":["null","string"]},
    {"name":"country","type":"string"},
    {"name":"twice","type":"double"}]}"#;

fn who(id: usize) -> Value {
    if id.is_multiple_of(7) { Value::Null } else { json!({"string": format!("Zoë {id}")}) }
}

fn old(id: usize) -> (String, Value) {
    let value = json!({"id": id, "who": who(id), "gone": "x", "amount": id as f64 / 2.0});
    (id.to_string(), value)
}

fn new(id: usize) -> (String, Value) {
    let value = json!({"id": id, "amount": id as f64 / 2.0, "customer": who(id), "country": "AT"});
    (id.to_string(), value)
}

/// Those that the filter lets through.
fn kept(ids: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    ids.filter(|id| id % 10 != 9)
}

#[test]
fn a_schema_that_changes_while_a_worker_runs_loses_no_record_and_changes_none() {
    let (site, port) = (Site::new("evolution"), free_port());
    create_topic(&site.servers, &site.source, 2, &[]);
    create_topic(&site.servers, &site.sink, 2, &[]);
    let _registry = SchemaRegistry::start(port);
    let mut java = JavaClients::start(&site.servers, &SchemaRegistry::native_url(port));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("new.avsc"), NEW).unwrap();
    fs::write(folder.path().join("total.avsc"), TOTAL).unwrap();
    let url = SchemaRegistry::url(port);
    let file = folder.path().join("evolution.toml");
    let text = format!(
        "name = 'evolution'\n\
         [source]\nformat = 'avro'\n[source.avro]\nregistry = '{url}'\nschema = 'new.avsc'\n\
         [operators.filter]\nwhen = 'value.id % 10 != 9'\n\
         [operators.map]\nvalue = \"\"\"{{'id': value.id, 'twice': value.amount * 2.0,\n\
             'customer': value.customer, 'country': value.country}}\"\"\"\n\
         [sink]\nformat = 'avro'\n[sink.avro]\nregistry = '{url}'\nschema = 'total.avsc'\nregister = true\n"
    );
    fs::write(&file, text).unwrap();

    java.send(&site.source, OLD, (0..300).map(old));
    let worker = site.start(&["run", file.to_str().unwrap()], &[]);
    site.results(all_of(kept(0..300).map(|id| id.to_string())));
    java.send(&site.source, NEW, (300..600).map(new));
    site.results(all_of(kept(300..600).map(|id| id.to_string())));
    // One producer has changed already, and the other has not.
    for begin in (600..1_000).step_by(100) {
        java.send(&site.source, OLD, (begin..begin + 50).map(old));
        java.send(&site.source, NEW, (begin + 50..begin + 100).map(new));
    }
    site.results(all_of(kept(0..1_000).map(|id| id.to_string())));
    let (status, log) = worker.terminate();
    assert!(status.success(), "{log}");

    let is_new = |id: usize| (300..600).contains(&id) || id >= 600 && id % 100 >= 50;
    let expected = |id: usize| {
        let country = if is_new(id) { "AT" } else { "DE" };
        json!({"id": id, "customer": who(id), "country": country, "twice": id as f64})
    };
    let expected: BTreeMap<String, Value> = kept(0..1_000).map(|id| (id.to_string(), expected(id))).collect();
    let count = site.read(&site.sink).len();
    let found = java.receive(&site.sink, count);
    assert_eq!((count, found.len()), (expected.len(), expected.len()), "each once");
    assert_eq!(once_each(found), expected);
    assert_eq!(site.read(&site.dead_letters), []);
}
