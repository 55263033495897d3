//! Protobuf.

use super::{Bad, Tried, cut, varint};
use crate::harness::Site;

const SCHEMA: &str = r#"
    syntax = "proto3";
    message Order {
        int64 id = 1;
        optional string who = 2;
        repeated int32 counts = 3;
        double price = 4;
        State state = 5;
        Order next = 6;
        bytes raw = 7;
    }
    enum State { NEW = 0; PAID = 1; }
"#;

/// A field that is a number.
fn number(field: u64, n: u64) -> Vec<u8> {
    [varint(field << 3), varint(n)].concat()
}

/// A field of so many bytes.
fn block(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn price(price: f64) -> Vec<u8> {
    [&[4 << 3 | 1], &price.to_le_bytes()[..]].concat()
}

/// A good value with something behind it.
fn and(good: &[u8], more: &[u8]) -> Option<Vec<u8>> {
    Some([good, more].concat())
}

const BAD: &[Bad] = &[
    ("not-protobuf", cut),
    ("not-protobuf", |good| and(good, &[8])),
    ("not-protobuf", |good| and(good, &[8, 0xff])),
    ("not-protobuf", |good| and(good, &[&[8], &[0xff; 11][..]].concat())),
    // There is no field 0, and there are no wire types 6 and 7.
    ("not-protobuf", |good| and(good, &[0, 1])),
    ("not-protobuf", |good| and(good, &[8 | 6, 1])),
    ("not-protobuf", |good| and(good, &[8 | 7, 1])),
    // A known field that is written as another type.
    ("not-protobuf", |good| and(good, &block(1, b"5"))),
    ("not-protobuf", |good| and(good, &number(2, 5))),
    ("not-protobuf", |good| and(good, &block(2, b"\xff"))),
    ("not-protobuf", |good| and(good, &[2 << 3 | 2, 100])),
    ("not-protobuf", |good| and(good, &[&[7 << 3 | 2], &varint(u64::MAX)[..]].concat())),
    ("not-protobuf", |good| and(good, &block(3, &[1, 0x80]))),
    ("not-protobuf", |good| and(good, &block(6, &[8]))),
    // A group that does not end, and the end of one that did not begin.
    ("not-protobuf", |good| and(good, &[9 << 3 | 3])),
    ("not-protobuf", |good| and(good, &[9 << 3 | 4])),
    ("not-protobuf", |_| Some((0..200).fold(Vec::new(), |inner, _| block(6, &inner)))),
    ("not-protobuf", |_| Some(br#"{"id":5}"#.to_vec())),
    ("not-writable", |good| and(good, &price(f64::NAN))),
    ("not-writable", |good| and(good, &price(f64::INFINITY))),
];

#[test]
fn protobuf() {
    let good = |id: usize| {
        if id.is_multiple_of(97) {
            return (None, None);
        }
        // A message without a byte has its defaults.
        let mut value = Vec::new();
        let mut result = r#"{"id":0,"counts":[],"price":0.0,"state":"NEW","raw":""}"#.to_owned();
        if !id.is_multiple_of(89) {
            value = [
                number(1, id as u64),
                block(2, format!("é{id}").as_bytes()),
                // In one block, and one by one.
                block(3, &[1, 2]),
                number(3, 3),
                price(0.5),
                number(5, 1),
                block(7, &[0xff]),
                // A field that a newer schema has.
                block(100, b"new"),
            ]
            .concat();
            result = format!(
                r#"{{"id":{id},"who":"é{id}","counts":[1,2,3],"price":0.5,"state":"PAID","raw":"/w=="}}"#
            );
        }
        (Some(value), Some(result.into_bytes()))
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("order.proto"), SCHEMA).unwrap();
    let file = "source.format = 'protobuf'\nsource.protobuf.schema = 'order.proto'\nsink.format = 'json'";
    Tried { file, count: 10_000, good: &good, bad: BAD }.holds(&Site::new("bad-protobuf"), &folder);
}
