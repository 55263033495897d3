//! Avro with a registry that the test answers for.

use super::{
    tests::{json, schema},
    *,
};
use crate::registry::{SubjectStrategy, fake::Fake};

fn registered(fake: &Fake, own: Option<&str>, register: bool) -> Avro {
    let own = own.map(|text| (text.to_owned(), schema(text)));
    let subject = Subject { strategy: SubjectStrategy::Topic, topic: "t".into(), key: false, register };
    Avro::registered(fake.registry(), own, Some(subject))
}

const POINT: &str =
    r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"},{"name":"y","type":"int"}]}"#;

#[test]
fn a_value_is_read_with_the_schema_of_its_id_as_ones_own_says() {
    let fake = Fake::start();
    fake.answers("GET /schemas/ids/258", 200, serde_json::json!({ "schema": POINT }));
    let bytes = Bytes::from_static(&[0, 0, 0, 1, 2, 2, 4]);
    let read = |own: Option<&str>, bytes: &Bytes| {
        let read = registered(&fake, own, false).read(bytes, &Wanted::All, Others::Kept);
        read.map(|value| json(&value)).map_err(|error| (error.class(), error.to_string()))
    };
    assert_eq!(read(None, &bytes), Ok(r#"{"x":1,"y":2}"#.into()));
    let own = r#"{"type":"record","name":"P","fields":[{"name":"y","type":"double"},{"name":"z","type":"int","default":3}]}"#;
    assert_eq!(read(Some(own), &bytes), Ok(r#"{"y":2.0,"z":3}"#.into()));
    let (class, message) = read(None, &Bytes::from_static(&[0, 0, 0, 1, 3, 2, 4])).unwrap_err();
    assert_eq!(class, "unknown-schema", "{message}");
    let (class, message) = read(None, &Bytes::from_static(&[1, 0, 0, 1, 2, 2, 4])).unwrap_err();
    assert_eq!(class, "not-avro");
    assert!(message.ends_with("its first byte is 1, and must be 0"), "{message}");
    fake.answers(
        "GET /schemas/ids/9",
        200,
        serde_json::json!({"schema": "message P {}", "schemaType": "PROTOBUF"}),
    );
    let (class, message) = read(None, &Bytes::from_static(&[0, 0, 0, 0, 9])).unwrap_err();
    assert_eq!(
        (class, &*message),
        ("unknown-schema", "the schema 9 cannot be used: it is of the kind PROTOBUF, and Avro is needed")
    );
    fake.answers("GET /schemas/ids/10", 500, "");
    let away = registered(&fake, None, false).read(
        &Bytes::from_static(&[0, 0, 0, 0, 10]),
        &Wanted::All,
        Others::Kept,
    );
    assert!(matches!(away, Err(ValueError::Away(_))), "{away:?}");
    let avro = registered(&fake, None, false);
    assert!(!avro.is_at_hand(&bytes) && avro.is_at_hand(&"x".into()));
    avro.read(&bytes, &Wanted::All, Others::Kept).unwrap();
    assert!(avro.is_at_hand(&bytes));
}

#[test]
fn a_value_is_written_with_the_id_of_its_schema() {
    let fake = Fake::start();
    let point = Value::Json(r#"{"x":1,"y":2}"#.into());
    let refused = registered(&fake, Some(POINT), false).write(&point).unwrap_err();
    assert!(matches!(refused, ValueError::Refused(_)), "{refused}");
    fake.answers("POST /subjects/t-value/versions", 200, serde_json::json!({"id": 7}));
    let registers = registered(&fake, Some(POINT), true);
    assert_eq!(registers.write(&point).unwrap().as_ref(), [0, 0, 0, 0, 7, 2, 4]);
    let asked = fake.asked().len();
    let bytes = registers.write(&point).unwrap();
    assert_eq!(json(&registers.read(&bytes, &Wanted::All, Others::Kept).unwrap()), r#"{"x":1,"y":2}"#);
    assert_eq!(fake.asked().len(), asked, "neither the id nor its schema is asked for again");
    fake.answers(
        "GET /subjects/t-value/versions/latest",
        200,
        serde_json::json!({"subject": "t-value", "id": 5, "version": 2, "schema": POINT}),
    );
    assert_eq!(registered(&fake, None, false).write(&point).unwrap()[..5], [0, 0, 0, 0, 5]);
    assert!(registered(&fake, None, false).survey().unwrap().unwrap().contains("the schema 5"));
}
