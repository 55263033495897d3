//! Protobuf messages as values and back, and in Confluent's wire format.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    cpu_time::cpu_time,
    format::Format,
    registry::{SubjectStrategy, fake::Fake},
    value::write_json,
};

const ORDER: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    message Order {
        int64 id = 1;
        optional string customer = 2;
        google.protobuf.Timestamp at = 3;
        State state = 4;
        repeated Item items = 5;
        map<string, double> tags = 6;
        oneof payment { string card = 7; uint64 invoice = 8; }
        google.protobuf.StringValue note = 9;
        bytes raw = 10;
        Order parent = 11;
        message Item { string sku = 1; sint32 count = 2; }
    }
    enum State { NEW = 0; PAID = 1; }
    message Other { message Inner { int32 n = 1; } }
"#;
const AN_ORDER: &str = r#"{"id":7,"customer":"eu","at":"2026-01-31T12:00:00.500Z","state":"PAID","items":[{"sku":"a","count":2},{"sku":"b","count":-1}],"tags":{"x":1.5,"y":2.0},"invoice":18446744073709551615,"note":"hi","raw":"AQI=","parent":{"id":6,"state":"NEW","items":[],"tags":{},"raw":""}}"#;

fn message(name: Option<&str>) -> Message {
    Message::parse(ORDER, &[], name).unwrap()
}

fn order() -> Protobuf {
    Protobuf::new(message(None))
}

fn value(text: &str) -> Value {
    Value::Json(text.to_owned().into())
}

fn json_of(value: &Value) -> String {
    let mut text = Vec::new();
    write_json(value, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_message_with_all_kinds_of_fields_comes_back_as_it_was() {
    let bytes = order().write(&value(AN_ORDER)).unwrap();
    assert_eq!(json_of(&order().read(&bytes, &Wanted::All, Others::Kept).unwrap()), AN_ORDER);
    let empty = order().read(&Bytes::new(), &Wanted::All, Others::Kept).unwrap();
    assert_eq!(json_of(&empty), r#"{"id":0,"state":"NEW","items":[],"tags":{},"raw":""}"#);
    let mut wanted = Wanted::Nothing;
    wanted.add(&["state"]);
    wanted.add(&["parent", "id"]);
    let read = order().read(&bytes, &wanted, Others::Dropped).unwrap();
    assert_eq!(json_of(&read), r#"{"state":"PAID","parent":{"id":6}}"#);
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let text = "syntax = \"proto3\"; message Test1 { int32 a = 1; string b = 2; }";
    let format = Protobuf::new(Message::parse(text, &[], None).unwrap());
    assert_eq!(
        format.write(&value(r#"{"b":"testing","a":150}"#)).unwrap().as_ref(),
        b"\x08\x96\x01\x12\x07testing"
    );
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let says = |text: &str| {
        let error = order().write(&value(text)).unwrap_err();
        assert_eq!(error.class(), "not-writable");
        error.to_string().replace("the value does not fit the schema: ", "")
    };
    assert_eq!(says("5"), "a message `shop.Order` is needed, and this is an integer");
    assert_eq!(says(r#"{"more":1}"#), "the message `shop.Order` has no field `more`");
    assert_eq!(says(r#"{"id":1.5}"#), "`id`: an integer is needed, and this is a floating-point number");
    assert_eq!(says(r#"{"items":[{"count":3000000000}]}"#), "`items.count`: 3000000000 does not fit sint32");
    assert_eq!(says(r#"{"state":"LOST"}"#), "`state`: `LOST` is none of the values of `shop.State`");
    assert_eq!(says(r#"{"items":{}}"#), "`items`: an array is needed, and this is an object");
    assert_eq!(
        says(r#"{"at":"soon"}"#),
        "`at`: a timestamp such as \"2026-01-31T12:00:00Z\" is needed, and this is a string"
    );
}

#[test]
fn bytes_that_are_no_message_are_refused_fast() {
    for fill in [0, 1, 0x5a, 0x7f, 0x80, 0xff] {
        let start = cpu_time();
        let error = order().read(&vec![fill; 10 << 20].into(), &Wanted::All, Others::Kept).unwrap_err();
        assert_eq!(error.class(), "not-protobuf");
        assert!(error.to_string().len() < 300, "{error}");
        let took = cpu_time() - start;
        assert!(took < Duration::from_secs(2), "{fill} {took:?}");
    }
    let mut deep = Bytes::new();
    for _ in 0..200 {
        let mut outer = vec![0x5a];
        prost_reflect::prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend_from_slice(&deep);
        deep = outer.into();
    }
    assert_eq!(order().read(&deep, &Wanted::All, Others::Kept).unwrap_err().class(), "not-protobuf");
}

#[test]
fn a_schema_is_checked() {
    let wrong = |text: &str, name| Message::parse(text, &[], name).unwrap_err();
    assert!(wrong("message {", None).contains("expected"), "{}", wrong("message {", None));
    assert_eq!(wrong("syntax = \"proto3\";", None), "there is no message in it");
    assert_eq!(wrong(ORDER, Some("shop.Nothing")), "there is no message `shop.Nothing`");
    assert!(wrong("syntax = \"proto3\"; import \"a.proto\"; message M {}", None).contains("a.proto"));
    let imports = [("a.proto".to_owned(), "syntax = \"proto3\"; message A { int32 n = 1; }".to_owned())];
    let text = "syntax = \"proto3\"; import \"a.proto\"; message M { A a = 1; }";
    let format = Protobuf::new(Message::parse(text, &imports, None).unwrap());
    assert_eq!(format.write(&value(r#"{"a":{"n":5}}"#)).unwrap().as_ref(), [10, 2, 8, 5]);
}

fn registered(fake: &Fake, own: Option<&str>) -> Protobuf {
    let subject =
        Subject { strategy: SubjectStrategy::Topic, topic: "t".into(), key: false, register: false };
    Protobuf::registered(fake.registry(), own.map(|name| message(Some(name))), Some(subject))
}

#[test]
fn a_value_says_which_message_of_its_schema_it_is() {
    let fake = Fake::start();
    let schema =
        json!({"schema": ORDER, "schemaType": "PROTOBUF", "id": 258, "subject": "t-value", "version": 1});
    fake.answers("GET /schemas/ids/258", 200, &schema);
    fake.answers("POST /subjects/t-value", 200, &schema);
    fake.answers("GET /subjects/t-value/versions/latest", 200, &schema);
    let first = registered(&fake, None);
    let bytes = first.write(&value(r#"{"id":5}"#)).unwrap();
    assert_eq!(bytes.as_ref(), [0, 0, 0, 1, 2, 0, 8, 5], "the first one is a single zero");
    assert_eq!(json_of(&first.read(&bytes, &Wanted::All, Others::Kept).unwrap())[..7], r#"{"id":5"#[..7]);
    let inner = registered(&fake, Some("shop.Other.Inner"));
    let bytes = inner.write(&value(r#"{"n":5}"#)).unwrap();
    assert_eq!(bytes.as_ref(), [0, 0, 0, 1, 2, 4, 2, 0, 8, 5], "two places: 1, then 0");
    for format in [&inner, &first] {
        assert_eq!(json_of(&format.read(&bytes, &Wanted::All, Others::Kept).unwrap()), r#"{"n":5}"#);
    }
    let refused = |bytes: &'static [u8]| {
        let error = inner.read(&Bytes::from_static(bytes), &Wanted::All, Others::Kept).unwrap_err();
        (error.class(), error.to_string())
    };
    assert!(
        refused(&[0, 0, 0, 1, 2, 0, 8, 5])
            .1
            .ends_with("it is the message shop.Order, and shop.Other.Inner is wanted")
    );
    assert!(refused(&[0, 0, 0, 1, 2, 2, 18, 8, 5]).1.ends_with("its schema has no message at [9]"));
    assert!(refused(&[0, 0, 0, 1, 2, 0xfe, 0xff, 0xff, 0xff, 0x0f]).1.contains("places"));
    assert_eq!(refused(&[0, 0, 0, 1, 2]).0, "not-protobuf");
    assert_eq!(refused(&[0, 0, 0, 1, 3, 0]).0, "unknown-schema");
    assert_eq!(refused(&[8, 5]).0, "not-protobuf");
}

#[test]
fn the_factorial_is_in_messages_with_fields_of_its_names() {
    let text = "syntax = \"proto3\"; message Number { uint64 n = 1; string result = 2; }";
    let format = Format::Protobuf(Protobuf::new(Message::parse(text, &[], None).unwrap()).into());
    assert_eq!(format.encode_request(30), Ok(vec![8, 30]));
    assert_eq!(format.decode_request(&[8, 30]), Ok(30));
    assert_eq!(format.decode_request(b"30").unwrap_err().class(), "not-protobuf");
    let factorial = crate::factorial::factorial(30);
    let value = format.encode_result(30, &factorial).unwrap();
    assert_eq!(format.decode_result(&value), Ok((30, factorial.to_string())));
}
