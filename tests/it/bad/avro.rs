//! Avro, with a schema from a file and from a registry.

use super::{Bad, Tried, cut, longer, varint};
use crate::harness::{SchemaRegistry, Site, free_port};

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},
    {"name":"who","type":["null","string"]},
    {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},
    {"name":"tags","type":{"type":"array","items":"string"}},
    {"name":"paid","type":"boolean"},
    {"name":"count","type":"int"},
    {"name":"price","type":"double"},
    {"name":"next","type":["null","Order"]}]}"#;
/// What is written of it through the registry.
const WRITTEN: &str = r#"{"type":"record","name":"Written","fields":[
    {"name":"who","type":["null","string"]},{"name":"id","type":"int"}]}"#;

fn long(n: i64) -> Vec<u8> {
    varint((n << 1 ^ n >> 63) as u64)
}

fn text(text: &[u8]) -> Vec<u8> {
    [&long(text.len() as i64), text].concat()
}

/// An order, part for part.
struct Order {
    id: Vec<u8>,
    who: Vec<u8>,
    state: Vec<u8>,
    tags: Vec<u8>,
    paid: u8,
    count: Vec<u8>,
    price: f64,
    next: Vec<u8>,
}

fn order(id: i64) -> Order {
    Order {
        id: long(id),
        who: [long(1), text(format!("é{id}").as_bytes())].concat(),
        state: long(1),
        // A block that says its size in bytes, too.
        tags: [long(-2), long(4), text(b"a"), text(b"b"), long(0)].concat(),
        paid: 1,
        count: long(-1),
        price: 0.5,
        next: long(0),
    }
}

impl Order {
    fn bytes(self) -> Vec<u8> {
        let Order { id, who, state, tags, paid, count, price, next } = self;
        [id, who, state, tags, vec![paid], count, price.to_le_bytes().to_vec(), next].concat()
    }
}

fn with(change: impl Fn(&mut Order)) -> Option<Vec<u8>> {
    let mut order = order(5);
    change(&mut order);
    Some(order.bytes())
}

/// So many orders within each other.
fn deep(levels: usize) -> Vec<u8> {
    (0..levels)
        .fold(order(0).bytes(), |inner, _| Order { next: [long(1), inner].concat(), ..order(0) }.bytes())
}

const FILE: &[Bad] = &[
    ("not-avro", |_| Some(Vec::new())),
    ("not-avro", cut),
    ("not-avro", longer),
    ("not-avro", |good| Some(good[..good.len() / 2].to_vec())),
    ("not-avro", |_| Some(br#"{"id":5}"#.to_vec())),
    ("not-avro", |_| with(|order| order.id = vec![0xff; 11])),
    ("not-avro", |_| with(|order| order.who = long(2))),
    ("not-avro", |_| with(|order| order.who = long(-1))),
    ("not-avro", |_| with(|order| order.who = [long(1), text(b"\xff")].concat())),
    ("not-avro", |_| with(|order| order.who = [long(1), long(-1)].concat())),
    ("not-avro", |_| with(|order| order.who = [long(1), long(i64::MAX)].concat())),
    ("not-avro", |_| with(|order| order.state = long(2))),
    ("not-avro", |_| with(|order| order.state = long(-1))),
    ("not-avro", |_| with(|order| order.tags = [long(1 << 40), text(b"a")].concat())),
    ("not-avro", |_| with(|order| order.tags = [long(i64::MIN), long(i64::MAX), text(b"a")].concat())),
    ("not-avro", |_| with(|order| order.paid = 2)),
    ("not-avro", |_| with(|order| order.count = long(1 << 31))),
    ("not-avro", |_| Some(deep(200))),
    ("not-writable", |_| with(|order| order.price = f64::NAN)),
    ("not-writable", |_| with(|order| order.price = f64::NEG_INFINITY)),
];

#[test]
fn avro_of_a_file() {
    let good = |id: usize| {
        let result = format!(
            r#"{{"id":{id},"who":"é{id}","state":"PAID","tags":["a","b"],"paid":true,"count":-1,"price":0.5,"next":null}}"#
        );
        if id.is_multiple_of(97) {
            (None, None)
        } else {
            (Some(order(id as i64).bytes()), Some(result.into()))
        }
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("order.avsc"), SCHEMA).unwrap();
    let file = "source.format = 'avro'\nsource.avro.schema = 'order.avsc'\nsink.format = 'json'";
    Tried { file, count: 15_000, good: &good, bad: FILE }.holds(&Site::new("bad-avro"), &folder);
}

/// A value behind the id of its schema.
fn framed(id: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], bytes].concat()
}

/// The same order, with something else behind its schema's id.
fn behind(good: &[u8], order: Option<Vec<u8>>) -> Option<Vec<u8>> {
    Some([&good[..5], &order?].concat())
}

const REGISTRY: &[Bad] = &[
    ("expression-failed", |_| None),
    ("not-avro", |_| Some(Vec::new())),
    ("not-avro", |good| Some(good[..4].to_vec())),
    ("not-avro", |good| Some(good[..5].to_vec())),
    ("not-avro", |good| Some(good[5..].to_vec())),
    ("not-avro", |good| Some([&[1], &good[1..]].concat())),
    ("not-avro", |_| Some(br#"{"id":5}"#.to_vec())),
    ("not-avro", cut),
    ("not-avro", longer),
    ("not-avro", |good| behind(good, with(|order| order.who = [long(1), text(b"\xff")].concat()))),
    ("not-avro", |good| behind(good, with(|order| order.tags = long(1 << 40)))),
    ("not-avro", |good| behind(good, Some(deep(200)))),
    ("unknown-schema", |good| Some(framed(4_000_000, &good[5..]))),
    ("unknown-schema", |good| Some(framed(u32::MAX, &good[5..]))),
    ("not-writable", |good| behind(good, with(|order| order.id = long(1 << 40)))),
];

#[test]
fn avro_of_a_registry() {
    let (site, port) = (Site::new("bad-registry"), free_port());
    let registry = SchemaRegistry::start(port);
    let (read, written) = (
        registry.register(&format!("{}-value", site.source), "AVRO", SCHEMA),
        registry.register(&format!("{}-value", site.sink), "AVRO", WRITTEN),
    );
    let good = |id: usize| {
        let Order { who, id: n, .. } = order(id as i64);
        let value = framed(read, &order(id as i64).bytes());
        (Some(value), Some(framed(written, &[who, n].concat())))
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("written.avsc"), WRITTEN).unwrap();
    let url = SchemaRegistry::url(port);
    let file = format!(
        "[source]\nformat = 'avro'\n[source.avro]\nregistry = '{url}'\n\
         [operators.map]\nvalue = \"{{'id': value.id, 'who': value.who}}\"\n\
         [sink]\nformat = 'avro'\n[sink.avro]\nregistry = '{url}'\nschema = 'written.avsc'\n"
    );
    Tried { file: &file, count: 10_000, good: &good, bad: REGISTRY }.holds(&site, &folder);
}
