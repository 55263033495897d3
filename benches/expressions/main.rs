//! What expressions cost a record, beside the same done by hand with `serde_json`, in one thread and without a Kafka:
//! `cargo bench --bench expressions`. Each figure is the fastest of several rounds, in nanoseconds.

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use pipeline::{
    format::{Format, Formats},
    operator::{Operator, Output, registry},
    record::Record,
};
use serde::Deserialize;
use serde_json::{Value, json};

const RECORDS: usize = 20_000;
const ROUNDS: usize = 7;
const JSON: Formats = Formats { input: Format::Json, output: Format::Json };

fn main() {
    for fields in [0, 40] {
        let records: Vec<Record> = (0..RECORDS).map(|n| order(n, fields)).collect();
        let bytes = records[0].value.as_ref().map_or(0, Bytes::len);
        println!("orders of {bytes} bytes");
        report("identity", &records, None);
        report("filter by key", &records, Some(("filter", "when = \"key.startsWith('k-1')\"")));
        report("filter by one field", &records, Some(("filter", "when = 'value.amount > 100'")));
        by_hand("  by hand", &records, |value| {
            #[derive(Deserialize)]
            struct Order {
                amount: f64,
            }
            let order: Order = serde_json::from_slice(value).unwrap();
            (order.amount > 100.0).then(|| value.clone())
        });
        report(
            "map: set one, remove one",
            &records,
            Some(("map", "set.total = 'value.amount * value.count'\nremove = ['card']")),
        );
        by_hand("  by hand", &records, |value| {
            let mut order: Value = serde_json::from_slice(value).unwrap();
            let total = order["amount"].as_f64().unwrap() * order["count"].as_f64().unwrap();
            let fields = order.as_object_mut().unwrap();
            fields.insert("total".to_owned(), total.into());
            fields.shift_remove("card");
            Some(serde_json::to_vec(&order).unwrap().into())
        });
        report(
            "map: a new value",
            &records,
            Some(("map", "value = \"{'id': value.id, 'city': value.to.city}\"")),
        );
        by_hand("  by hand", &records, |value| {
            let order: Value = serde_json::from_slice(value).unwrap();
            Some(serde_json::to_vec(&json!({"id": order["id"], "city": order["to"]["city"]})).unwrap().into())
        });
        println!();
    }
}

fn order(n: usize, fields: usize) -> Record {
    let mut order = json!({
        "id": format!("o-{n}"), "amount": (n % 200) as f64 + 0.5, "count": n % 7, "card": "4111111111111111",
        "to": {"name": "A. Person", "street": "Long Street 1", "city": "Ulm"}, "tags": ["new", "eu"],
    });
    for field in 0..fields {
        order[format!("field_{field}")] = json!(format!("value {field}"));
    }
    let value = serde_json::to_vec(&order).unwrap();
    Record { key: Some(format!("k-{n}").into()), value: Some(value.into()), ..Record::default() }
}

/// How long an operator takes; `None` copies the record.
fn report(name: &str, records: &[Record], operator: Option<(&str, &str)>) {
    let operator: Option<Box<dyn Operator>> = operator.map(|(name, settings)| {
        let factory = registry().iter().find(|factory| factory.name == name).unwrap();
        (factory.build)(settings.parse().unwrap(), JSON).map_err(|error| error.to_string()).unwrap()
    });
    let mut out = Output::default();
    measure(name, records, |record| {
        match &operator {
            Some(operator) => operator.apply(record.clone(), &mut out).unwrap(),
            None => out.push(record.clone()),
        }
        black_box(out.drain().count())
    });
}

fn by_hand(name: &str, records: &[Record], apply: impl Fn(&Bytes) -> Option<Bytes>) {
    measure(name, records, |record| {
        let value = apply(record.value.as_ref().unwrap());
        black_box(value.map(|value| Record { value: Some(value), ..record.clone() }).is_some() as usize)
    });
}

fn measure(name: &str, records: &[Record], mut apply: impl FnMut(&Record) -> usize) {
    let round = |apply: &mut dyn FnMut(&Record) -> usize| {
        let begun = Instant::now();
        let made: usize = records.iter().map(apply).sum();
        black_box(made);
        begun.elapsed().as_nanos() as f64 / records.len() as f64
    };
    let best = (0..ROUNDS).map(|_| round(&mut apply)).fold(f64::INFINITY, f64::min);
    println!("  {name:28} {best:7.0} ns");
}
