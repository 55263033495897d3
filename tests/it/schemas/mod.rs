//! Avro, Protobuf and a registry, beside Java.

mod evolution;
mod messages;

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::harness::{
    Consumed, JavaFormats, LIMIT, SchemaRegistry, Site, all_of, create_topic, free_port, records_until,
};

/// What Java writes.
const WRITTEN: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"int"},
    {"name":"who","type":["null","string"]},
    {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"uid","type":{"type":"fixed","name":"Uid","size":16,"logicalType":"uuid"}},
    {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","LOST"]}},
    {"name":"next","type":["null","Order"]},
    {"name":"gone","type":{"type":"map","values":{"type":"array","items":["null","double"]}}}]}"#;
/// As what it is read: an alias, a promotion, a default, a symbol that is unknown, and a field less.
const READ: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"customer","aliases":["who"],"type":["null","string"]},
    {"name":"id","type":"double"},
    {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"uid","type":{"type":"fixed","name":"Uid","size":16,"logicalType":"uuid"}},
    {"name":"state","type":{"type":"enum","name":"State","symbols":["OTHER","PAID"],"default":"OTHER"}},
    {"name":"next","type":["null","Order"]},
    {"name":"country","type":"string","default":"DE"}]}"#;

fn order(id: u32, state: &str, next: Value) -> Value {
    json!({
        "id": id,
        "who": {"string": "Zoë"},
        // -1.5, as the bytes of -150.
        "amount": "\u{ff}\u{6a}",
        "at": 1_769_860_800_500_i64,
        "uid": "\u{12}\u{3e}\u{45}\u{67}\u{e8}\u{9b}\u{12}\u{d3}\u{a4}\u{56}\u{42}\u{66}\u{14}\u{17}\u{40}\u{0}",
        "state": state,
        "next": next,
        "gone": {"a": [null, {"double": 1.5}]},
    })
}

fn expected(id: f64, state: &str, next: Value) -> Value {
    json!({
        "customer": "Zoë", "id": id, "amount": -1.5, "at": "2026-01-31T12:00:00.500Z",
        "uid": "123e4567-e89b-12d3-a456-426614174000", "state": state, "next": next, "country": "DE",
    })
}

fn framed(id: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], bytes].concat()
}

/// Values by their keys; a key that is there twice is an error.
fn once_each(records: Vec<(String, Value)>) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (key, value) in records {
        assert_eq!(values.insert(key.clone(), value), None, "{key} is there twice");
    }
    values
}

fn by_key(records: &[Consumed], key: &str) -> Vec<u8> {
    records.iter().find(|record| record.key() == key).unwrap().value.clone().unwrap()
}

#[test]
fn what_java_writes_is_read_and_what_is_written_java_reads_and_a_registry_that_is_away_is_waited_for() {
    let site = Site::new("schemas");
    let producer = site.producer(1);
    create_topic(&site.servers, &site.sink, 1, &[]);
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("order.avsc"), READ).unwrap();
    let file = folder.path().join("p.toml");
    let file_name = file.to_str().unwrap();
    let url = SchemaRegistry::url(port);
    let pipeline = |source: &str, sink: &str| {
        format!("name = \"schemas\"\n[source]\ntopic = \"t\"\n{source}\n[sink]\ntopic = \"t\"\n{sink}\n")
    };
    let of_registry = format!("registry = \"{url}\"\nschema = \"order.avsc\"\n");

    // JSON to Avro, while there is no registry yet.
    let (json_in, avro_out) =
        ("format = 'json'\n", format!("format = 'avro'\n[sink.avro]\n{of_registry}register = true\n"));
    fs::write(&file, pipeline(json_in, &avro_out)).unwrap();
    let worker = site.start(&["run", file_name], &[]);
    let value = expected(
        7.0,
        "PAID",
        json!({"customer": null, "id": 8, "amount": 0.01, "at": "1970-01-01T00:00:00Z", "uid": "123e4567-e89b-12d3-a456-426614174000", "state": "OTHER", "next": null}),
    );
    producer.send("good", Some(value.to_string().as_bytes()), None);
    producer.send("bad", Some(br#"{"id":"seven"}"#), None);
    producer.flush();
    worker.says(&["records wait", &url, "does not answer"]);
    let registry = SchemaRegistry::start(port);
    let written = records_until(&site.servers, &site.sink, LIMIT, all_of(["good".to_owned()]));
    let bad = records_until(&site.servers, &site.dead_letters, LIMIT, all_of(["bad".to_owned()]));
    assert_eq!(bad.len(), 1, "none is a dead letter because the registry was away");
    let error = String::from_utf8(
        bad[0].headers.iter().flat_map(|(_, value)| [value.as_slice(), b" "].concat()).collect(),
    );
    assert!(error.unwrap().contains("not-writable"));
    let good = by_key(&written, "good");
    let id = u32::from_be_bytes(good[1..5].try_into().unwrap());
    let mut java = JavaFormats::start();
    let read = java.read(&registry.schema(id), READ, &good[5..]);
    assert_eq!((&read["customer"], &read["amount"]), (&json!({"string": "Zoë"}), &json!("\u{ff}\u{6a}")));
    assert_eq!(read["at"], json!(1_769_860_800_500_i64));
    assert_eq!(read["next"]["shop.Order"]["country"], json!("DE"), "{read}");
    let (code, out, errors) = site.pipeline(&["check", file_name, "--connect"]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        out.contains(&format!("values are written with the schema {id} of the subject {}-value", site.sink)),
        "{out}"
    );
    drop(worker);

    // What Java has written, as JSON.
    let group = format!("source.group={}-2", site.source);
    let site = site.with(&[&group]);
    let schema = registry.register("orders-value", "AVRO", WRITTEN);
    let inner = |id, state| json!({"shop.Order": order(id, state, Value::Null)});
    let java_wrote = |java: &mut JavaFormats, value: Value| framed(schema, &java.write(WRITTEN, &value));
    let mine = java_wrote(&mut java, order(1, "PAID", inner(2, "LOST")));
    let avro_in = format!("format = 'avro'\n[source.avro]\n{of_registry}");
    fs::write(&file, pipeline(&avro_in, "format = 'json'\n")).unwrap();
    producer.send("mine", Some(&mine), None);
    producer.send("unknown", Some(&framed(4_000_000, &mine[5..])), None);
    producer.send("unframed", Some(&mine[5..]), None);
    producer.send("cut", Some(&mine[..mine.len() - 3]), None);
    producer.flush();
    let _worker = site.start(&["run", file_name], &[]);
    let read = records_until(&site.servers, &site.sink, LIMIT, all_of(["mine".to_owned()]));
    let value: Value = serde_json::from_slice(&by_key(&read, "mine")).unwrap();
    assert_eq!(value, expected(1.0, "PAID", expected(2.0, "OTHER", Value::Null)));
    let wrong = ["unknown", "unframed", "cut"].map(str::to_owned);
    let letters = records_until(&site.servers, &site.dead_letters, LIMIT, all_of(wrong));
    assert_eq!(by_key(&letters, "unknown"), framed(4_000_000, &mine[5..]), "as it came");

    // What may not follow.
    registry.demand(&format!("{}-value", site.sink), "BACKWARD");
    fs::write(
        folder.path().join("order.avsc"),
        READ.replace("\"default\":\"DE\"", "\"doc\":\"\"").replace("country", "land"),
    )
    .unwrap();
    fs::write(&file, pipeline(json_in, &avro_out)).unwrap();
    let (code, _, errors) = site.pipeline(&["check", file_name, "--connect"]);
    assert_eq!(code, 2);
    assert!(errors.contains("may not follow the newest one of the subject"), "{errors}");
}
