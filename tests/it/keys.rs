//! Keys with a format of their own, and topics of which each has one.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::harness::{JavaFormats, Producer, SchemaRegistry, Site, create_topic, free_port};

const KEY: &str = r#"{"type":"record","name":"Key","namespace":"shop","fields":[
    {"name":"region","type":"string"},{"name":"id","type":"long"}]}"#;
const COUNT: usize = 300;

/// The region of every third one is kept.
fn region(id: usize) -> &'static str {
    ["eu", "us", "asia"][id % 3]
}

#[test]
fn keys_are_looked_into_and_written_in_their_formats_and_each_topic_has_its_own_for_values() {
    let (site, port) = (Site::new("keys"), free_port());
    let topics = ["json", "numbers"].map(|name| format!("{}-{name}", site.source));
    let producers = topics.each_ref().map(|topic| Producer::new(&site.servers, topic, 2, &[]));
    create_topic(&site.servers, &site.sink, 2, &[]);
    let registry = SchemaRegistry::start(port);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.avsc"), KEY).unwrap();
    let (file, url) = (folder.path().join("keys.toml"), SchemaRegistry::url(port));
    let text = format!(
        "name = '{0}'\n[source]\ntopics = {topics:?}\nformat = 'json'\nkey_format = 'json'\n\
         [source.formats.{1}]\nformat = 'bincode'\n\
         [operators.filter]\nwhen = \"key.region == 'eu' && value >= 0\"\n\
         [operators.key]\nto = \"{{'id': key.id, 'region': key.region.upperAscii()}}\"\n\
         [sink]\nformat = 'json'\nkey_format = 'avro'\n\
         [sink.key_avro]\nregistry = '{url}'\nschema = 'key.avsc'\nregister = true\n",
        site.source, topics[1]
    );
    fs::write(&file, text).unwrap();

    for (place, producer) in producers.iter().enumerate() {
        for id in (place..COUNT).step_by(2) {
            let key = json!({"region": region(id), "id": id}).to_string();
            // The numbers are of two bytes: a length, and the number itself.
            let value = if place == 0 { id.to_string().into_bytes() } else { vec![1, (id % 200) as u8] };
            producer.send(&key, Some(&value), None);
        }
        producer.send(&format!("no JSON {place}"), Some(b"1"), None);
        producer.send(r#"{"id":1}"#, Some(&[1, b'1']), None);
        producer.flush();
    }
    let site = site.without("source.topic");
    let (code, _, log) = site.pipeline(&["run", file.to_str().unwrap(), "--drain"]);
    assert_eq!(code, 0, "{log}");

    let mut java = JavaFormats::start();
    let mut found = BTreeMap::new();
    for result in site.read(&site.sink) {
        let key = result.key.clone().unwrap();
        let id = u32::from_be_bytes(key[1..5].try_into().unwrap());
        let key = java.read(&registry.schema(id), KEY, &key[5..]);
        let value: Value = serde_json::from_slice(result.value.as_deref().unwrap()).unwrap();
        let before = found.insert(key["id"].as_u64().unwrap(), (key.clone(), value));
        assert_eq!(before, None, "{key} is there twice");
    }
    let kept = (0..COUNT).filter(|id| region(*id) == "eu");
    let value = |id: usize| if id.is_multiple_of(2) { id } else { id % 200 };
    let result = |id: usize| (id as u64, (json!({"region": "EU", "id": id}), json!(value(id))));
    assert_eq!(found, kept.map(result).collect());
    let subject = registry.register(&format!("{}-key", site.sink), "AVRO", KEY);
    assert!(registry.schema(subject).contains("region"), "the subject of keys");

    // What cannot be read is there as it came, with the reason.
    let mut letters = BTreeMap::new();
    for letter in site.read(&format!("{}.dlq", site.source)) {
        let header = |name: &str| letter.header(&format!("pipeline.error.{name}")).unwrap().to_owned();
        let told = (header("class"), letter.value.clone().unwrap());
        letters.insert((letter.key().to_owned(), header("topic")), told);
        assert!(header("class") != "not-json" || header("message").contains("JSON"), "{letter:?}");
    }
    let letter = |key: &str, place: usize, class: &str, value: &[u8]| {
        ((key.to_owned(), topics[place].clone()), (class.to_owned(), value.to_vec()))
    };
    let expected = [
        letter("no JSON 0", 0, "not-json", b"1"),
        letter("no JSON 1", 1, "not-a-number", b"1"),
        letter(r#"{"id":1}"#, 0, "not-json", &[1, b'1']),
        letter(r#"{"id":1}"#, 1, "expression-failed", &[1, b'1']),
    ];
    assert_eq!(letters, expected.into());
}
