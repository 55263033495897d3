//! Avro against the crate `apache-avro`, and against bytes of any kind.

use proptest::prelude::*;

use super::{
    tests::{ORDER, avro, json},
    *,
};

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
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = avro(ORDER).read(&bytes.into(), &Wanted::All, Others::Kept);
    }
}
