//! Protobuf through a registry, beside Java's.

use std::fs;

use serde_json::{Value, json};

use super::framed;
use crate::harness::{JavaFormats, SchemaRegistry, Site, free_port};

const SCHEMA: &str = r#"syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message First { int32 n = 1; }
message Order {
    int64 id = 1;
    optional string who = 2;
    repeated sint32 counts = 3;
    map<string, double> tags = 4;
    oneof payment { string card = 5; uint64 invoice = 6; }
    State state = 7;
    google.protobuf.Timestamp at = 8;
    bytes raw = 9;
    Order next = 10;
    float price = 11;
    fixed64 large = 12;
    repeated Item items = 13;
    message Item { string sku = 1; bool paid = 2; }
}
enum State { NEW = 0; PAID = 1; }
message Other {
    message Deep { message Deeper { string note = 1; } }
    message Inner { sfixed32 n = 1; }
}
"#;

fn order(id: u64) -> Value {
    json!({
        "id": id.to_string(), "who": format!("Zoë {id}"), "counts": [-1, 0, 150], "tags": {"a": 0.5, "b": -1.0},
        "invoice": "18446744073709551615", "state": "PAID", "at": "2026-01-31T12:00:00.500Z", "raw": "/wA=",
        "price": 0.25, "large": "9223372036854775808", "items": [{"sku": "x", "paid": true}, {}],
        "next": {"id": "-1", "who": "", "card": "", "next": {}},
    })
}

/// A name within the package, and a value of that message by its number.
type Messages = (&'static str, fn(u64) -> Value);

const MESSAGES: [Messages; 4] = [
    ("First", |id| json!({ "n": id })),
    ("Order", order),
    ("Other.Inner", |id| json!({ "n": -(id as i64) })),
    ("Other.Deep.Deeper", |id| json!({ "note": format!("é {id}") })),
];

#[test]
fn messages_that_java_writes_are_read_and_what_is_written_java_reads_wherever_they_are_in_their_file() {
    let port = free_port();
    let registry = SchemaRegistry::start(port);
    let mut java = JavaFormats::start();
    let folder = tempfile::tempdir().unwrap();
    // The sink's has other fields' places, and is another one for the registry.
    let ours = format!("{SCHEMA}message Last {{ int32 n = 1; }}\n");
    fs::write(folder.path().join("order.proto"), &ours).unwrap();
    let (file, url) = (folder.path().join("p.toml"), SchemaRegistry::url(port));
    for (name, value) in MESSAGES {
        let site = Site::new("messages");
        let producer = site.producer(1);
        let id = registry.register(&format!("{}-value", site.source), "PROTOBUF", SCHEMA);
        let sent: Vec<Vec<u8>> = (0..20).map(|id| java.message(SCHEMA, name, &value(id))).collect();
        for (number, bytes) in sent.iter().enumerate() {
            producer.send(&number.to_string(), Some(&framed(id, bytes)), None);
        }
        producer.flush();
        let text = format!(
            "name = 'messages'\n[source]\nformat = 'protobuf'\n[source.protobuf]\nregistry = '{url}'\n\
             [sink]\nformat = 'protobuf'\n[sink.protobuf]\nregistry = '{url}'\nschema = 'order.proto'\n\
             message = 'shop.{name}'\nregister = true\n"
        );
        fs::write(&file, text).unwrap();
        let (code, _, log) = site.pipeline(&["run", file.to_str().unwrap(), "--drain"]);
        assert_eq!(code, 0, "{log}");
        let results = site.read(&site.sink);
        assert_eq!(results.len(), sent.len(), "{name}: {:?}", site.read(&site.dead_letters));
        for result in results {
            let (sent, written) = (&sent[result.key().parse::<usize>().unwrap()], result.value.unwrap());
            let own = u32::from_be_bytes(written[1..5].try_into().unwrap());
            assert!(written[0] == 0 && own != id);
            let expected = java.message_of(SCHEMA, sent);
            assert_eq!(expected.0, format!("shop.{name}"));
            assert_eq!(java.message_of(&registry.schema(own), &written[5..]), expected, "{name}");
        }
    }
}
