//! Avro against the crate `apache-avro`, and against bytes of any kind.

use proptest::prelude::*;

use super::{
    tests::{ORDER, avro, json},
    *,
};
use crate::format::Format;

/// Random values of the schema, as JSON.
fn orders() -> impl Strategy<Value = String> {
    let one = |parent: String| {
        let scalars = (
            any::<i64>(),
            proptest::option::of("[a-zé]{0,9}"),
            -999_999_999_i64..1_000_000_000,
            -1_000_000_000_000_i64..1_000_000_000_000,
            any::<bool>(),
        );
        let items = proptest::collection::vec(("[a-z]{0,5}", any::<i32>()), 0..4);
        (scalars, items, proptest::collection::hash_map("[a-z]{1,3}", -1e9..1e9, 0..3)).prop_map(
            move |((id, customer, cents, at, paid), items, tags)| {
                let items: Vec<_> = items.into_iter().map(|(sku, count)| serde_json::json!({"sku": sku, "count": count})).collect();
                let sign = if cents < 0 { "-" } else { "" };
                let cents = cents.abs();
                let at = crate::value::timestamp_text(&logical::timestamp(at, schema::Unit::Millis).unwrap());
                format!(
                    r#"{{"id":{id},"customer":{},"amount":{sign}{}.{:02},"at":"{at}","state":"{}","items":{},"tags":{},"parent":{parent}}}"#,
                    serde_json::json!(customer), cents / 100, cents % 100, if paid { "PAID" } else { "NEW" },
                    serde_json::json!(items), serde_json::json!(tags),
                )
            },
        )
    };
    let parent = prop_oneof![Just("null".to_owned()), one("null".to_owned())];
    parent.prop_flat_map(one)
}

proptest! {
    #[test]
    fn the_crate_of_apache_reads_what_is_written_and_writes_the_same(order in orders()) {
        let ours = avro(ORDER).write(&Value::Json(order.clone().into())).unwrap();
        let theirs = apache_avro::Schema::parse_str(ORDER).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&theirs).build().unwrap();
        let read = reader.read_value(&mut &ours[..]).unwrap();
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&theirs).build().unwrap();
        let written = writer.write_value_to_vec(read).unwrap();
        let again = avro(ORDER).read(&written.into(), &Wanted::All, Others::Kept).unwrap();
        let value: serde_json::Value = serde_json::from_str(&order).unwrap();
        let again: serde_json::Value = serde_json::from_str(&json(&again)).unwrap();
        prop_assert_eq!(value, again);
    }

    #[test]
    fn what_is_converted_at_once_is_what_values_would_give(order in orders(), edit in edits()) {
        let format = Format::Avro(avro(ORDER).into());
        prop_assert!(avro(ORDER).of_json(&order.clone().into()).is_some(), "{}", order);
        let (at, bytes) = edit;
        for text in [reversed(&order), order.clone().into(), spoilt(order.as_bytes(), at, &bytes)] {
            let text = Bytes::from(text);
            let slowly = Format::Json.read(&text, &Wanted::All, Others::Kept).and_then(|value| format.write(&value));
            prop_assert_eq!(Format::Json.convert(&text, &format), slowly);
        }
        let written = format.write(&Value::Json(order.into())).unwrap();
        prop_assert!(avro(ORDER).as_json(&written).is_some());
        for bytes in [written.clone(), spoilt(&written, at, &bytes).into()] {
            let slowly = format.read(&bytes, &Wanted::All, Others::Kept).and_then(|value| Format::Json.write(&value));
            prop_assert_eq!(format.convert(&bytes, &Format::Json), slowly);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = avro(ORDER).read(&bytes.clone().into(), &Wanted::All, Others::Kept);
        let _ = avro(ORDER).as_json(&bytes.clone().into());
        let _ = avro(ORDER).of_json(&bytes.into());
    }
}

/// Where something is changed, and what stands there then.
fn edits() -> impl Strategy<Value = (prop::sample::Index, Vec<u8>)> {
    let json = prop_oneof![
        Just(""),
        Just(" "),
        Just("\""),
        Just("\\"),
        Just("\\u00e9"),
        Just("null"),
        Just("1.5"),
        Just("-"),
        Just("{}"),
        Just("1e400"),
    ];
    let bytes = prop_oneof![
        json.prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..3)
    ];
    (any::<prop::sample::Index>(), bytes)
}

/// One byte is replaced by others.
fn spoilt(text: &[u8], at: prop::sample::Index, by: &[u8]) -> Vec<u8> {
    let at = at.index(text.len());
    [&text[..at], by, &text[at + 1..]].concat()
}

/// The fields the other way round.
fn reversed(order: &str) -> Vec<u8> {
    let order: serde_json::Map<String, serde_json::Value> = serde_json::from_str(order).unwrap();
    let fields: Vec<String> = order.iter().rev().map(|(name, value)| format!("{name:?}: {value}")).collect();
    format!("{{{}}}", fields.join(", ")).into_bytes()
}
