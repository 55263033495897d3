//! Formats without a schema.

use super::{Bad, Tried, cut, longer};
use crate::harness::{Site, factorial};

fn bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn tried(name: &str, tried: &Tried<'_>) {
    tried.holds(&Site::new(name), &tempfile::tempdir().unwrap());
}

const TEXT: &[Bad] = &[
    ("empty", |_| bytes(b"")),
    ("tombstone", |_| None),
    ("negative", |good| bytes(&[b"-", good].concat())),
    ("above-max", |_| bytes(b"200001")),
    ("above-max", |_| bytes(b"18446744073709551616")),
    ("above-max", |_| Some(vec![b'9'; 10_000])),
    ("not-a-number", |good| bytes(&[good, b";120"].concat())),
    ("not-a-number", |good| bytes(&[good, b"\n"].concat())),
    ("not-a-number", |good| bytes(&[b" ", good].concat())),
    ("not-a-number", |good| bytes(&[good, b"\0"].concat())),
    ("not-a-number", |_| bytes(b"5.0")),
    ("not-a-number", |_| bytes(b"NaN")),
    ("not-a-number", |_| bytes("\u{663}".as_bytes())),
    ("not-a-number", |_| Some(vec![b'['; 10_000])),
    ("not-utf8", |good| bytes(&[good, b"\xff"].concat())),
    ("not-utf8", |_| bytes(b"\xd9")),
];

#[test]
fn text() {
    let good = |id: usize| {
        let n = id % 40;
        let value = if id.is_multiple_of(7) { format!("00{n}") } else { n.to_string() };
        (Some(value.into()), Some(format!("{n};{}", factorial(n as u64)).into()))
    };
    tried("bad-text", &Tried { file: "[operators.factorial]", count: 20_000, good: &good, bad: TEXT });
}

const BINCODE: &[Bad] = &[
    ("empty", |_| bytes(b"")),
    ("tombstone", |_| None),
    ("not-a-number", cut),
    ("not-a-number", longer),
    ("not-a-number", |_| bytes(b"30")),
    ("not-a-number", |_| bytes(&[8])),
    // A length of 64 bits, and of 32; and beginnings that none has.
    ("not-a-number", |_| bytes(&[253, 255, 255, 255, 255, 255, 255, 255, 127, 1])),
    ("not-a-number", |_| bytes(&[252, 255, 255, 255, 255, 1])),
    ("not-a-number", |_| bytes(&[254; 17])),
    ("not-a-number", |_| bytes(&[255])),
    ("above-max", |_| bytes(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
    ("above-max", |_| bytes(&[3, 0x41, 0x0d, 0x03])),
];

#[test]
fn bincode() {
    let good = |id: usize| {
        let n = id as u8 % 39 + 1;
        let result: num_bigint::BigUint = factorial(n.into()).parse().unwrap();
        let result = result.to_bytes_le();
        (Some(vec![1, n]), Some([&[n, result.len() as u8], &result[..]].concat()))
    };
    let file = "[source]\nformat = 'bincode'\n[operators.factorial]\n[sink]\nformat = 'bincode'";
    tried("bad-bincode", &Tried { file, count: 15_000, good: &good, bad: BINCODE });
}

const STRING: &[Bad] = &[
    ("expression-failed", |_| None),
    ("not-utf8", |good| bytes(&[good, b"\xff"].concat())),
    // A character of two bytes that ends too early, one that never began, one that is too long, a surrogate, and one beyond Unicode.
    ("not-utf8", |good| bytes(&[good, b"\xc3"].concat())),
    ("not-utf8", |good| bytes(&[b"\xa9", good].concat())),
    ("not-utf8", |_| bytes(b"\xc0\xaf")),
    ("not-utf8", |_| bytes(b"\xed\xa0\x80")),
    ("not-utf8", |_| bytes(b"\xf4\x90\x80\x80")),
    ("not-utf8", |_| {
        bytes("{}".encode_utf16().flat_map(u16::to_be_bytes).chain([0xd8]).collect::<Vec<u8>>().as_slice())
    }),
];

#[test]
fn string() {
    let good = |id: usize| {
        let text = if id.is_multiple_of(7) { String::new() } else { format!("é\0{id}\u{10ffff}") };
        (Some(text.clone().into()), Some(format!("{text}!").into()))
    };
    let file =
        "[source]\nformat = 'string'\n[operators.map]\nvalue = \"value + '!'\"\n[sink]\nformat = 'string'";
    tried("bad-string", &Tried { file, count: 10_000, good: &good, bad: STRING });
}

const JSON: &[Bad] = &[
    ("empty", |_| bytes(b"")),
    ("not-json", |_| bytes(b" \n")),
    ("not-json", cut),
    ("not-json", longer),
    ("not-json", |good| bytes(&[good, good].concat())),
    ("not-json", |good| bytes(&[b"\xef\xbb\xbf", good].concat())),
    ("not-json", |_| bytes(b"NaN")),
    ("not-json", |_| bytes(br#"{"n":NaN}"#)),
    ("not-json", |_| bytes(br#"{"n":-Infinity}"#)),
    ("not-json", |_| bytes(br#"{"n":01}"#)),
    ("not-json", |_| bytes(br#"{"n":1,}"#)),
    ("not-json", |_| bytes(br#"{"n":1"x":2}"#)),
    ("not-json", |_| bytes(b"{'n':1}")),
    ("not-json", |_| bytes(b"{\"n\":1,\"x\":\"\xff\"}")),
    ("not-json", |_| bytes(b"{\"n\":1,\"\xff\":1}")),
    ("not-json", |_| bytes(b"{\"n\":1,\"x\":\"\n\"}")),
    ("not-json", |_| bytes(br#"{"n":1,"x":"\y"}"#)),
    ("not-json", |_| Some("{\"n\":".repeat(2_000).into())),
    ("not-json", |_| Some(vec![b'['; 10_000])),
    ("expression-failed", |_| bytes(b"{}")),
    ("expression-failed", |_| bytes(b"[1]")),
    ("expression-failed", |_| bytes(b"5")),
    ("expression-failed", |_| bytes(br#"{"n":"five"}"#)),
    ("expression-failed", |_| bytes(br#"{"n":null}"#)),
    ("expression-failed", |_| bytes(br#"{"n":{"n":1}}"#)),
    ("expression-failed", |_| bytes(br#"{"n":"\ud800"}"#)),
    ("expression-failed", |_| bytes(br#"{"n":1e999}"#)),
    ("expression-failed", |_| bytes(br#"{"n":9223372036854775807}"#)),
    ("expression-failed", |_| bytes(br#"{"n":123456789012345678901234567890}"#)),
    ("expression-failed", |_| Some(format!("{{\"n\":{}{}}}", "[".repeat(200), "]".repeat(200)).into())),
];

#[test]
fn json() {
    let good = |id: usize| {
        // What nobody looks into stays as it is, however deep and long it is, and so does a tombstone.
        let deep =
            if id % 100 == 1 { format!("{}{}", "[".repeat(500), "]".repeat(500)) } else { "[ ]".into() };
        let value = format!(
            r#" {{ "n":{id}, "x":1.50, "y":{deep},"z":123456789012345678901234567890,"a":"\u00e9\ud800"}}"#
        );
        let result = format!(
            r#"{{"n":{id},"x":1.50,"y":{deep},"z":123456789012345678901234567890,"a":"\u00e9\ud800","twice":{}}}"#,
            2 * id
        );
        if id.is_multiple_of(97) { (None, None) } else { (Some(value.into()), Some(result.into())) }
    };
    let file =
        "[source]\nformat = 'json'\n[operators.map]\nset.twice = 'value.n * 2'\n[sink]\nformat = 'json'";
    tried("bad-json", &Tried { file, count: 30_000, good: &good, bad: JSON });
}
