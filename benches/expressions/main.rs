//! What expressions cost a record, beside the same done by hand with `serde_json`, in one thread and without a Kafka:
//! `cargo bench --bench expressions`. Each figure is a record's CPU time in the fastest of several rounds, and how much of that
//! comes on top of `identity`, in nanoseconds.

use std::{fs, hint::black_box};

use bytes::Bytes;
use pipeline::{
    format::{Format, Formats, Keys},
    operator::{Operator, Output, registry},
    record::Record,
};
use serde::Deserialize;
use serde_json::{Value, json};

const RECORDS: usize = 20_000;
const ROUNDS: usize = 7;
/// How often a round goes through the records, so that it is much longer than what its clock is good to.
const PASSES: usize = 2;
const JSON: Formats =
    Formats { input: Format::Json, output: Format::Json, keys: Keys { input: None, output: None } };

fn main() {
    for fields in [0, 40] {
        let records: Vec<Record> = (0..RECORDS).map(|n| order(n, fields)).collect();
        let bytes = records[0].value.as_ref().map_or(0, Bytes::len);
        println!("{:41} CPU  on top of identity", format!("orders of {bytes} bytes"));
        let bench = Bench { records: &records, identity: measure(&records, operator(None)) };
        println!("  {:36} {:4.0} ns", "identity", bench.identity);
        bench.report("filter by key", "filter", "when = \"key.startsWith('k-1')\"");
        bench.report("filter by one field", "filter", "when = 'value.amount > 100'");
        bench.by_hand(|value| {
            #[derive(Deserialize)]
            struct Order {
                amount: f64,
            }
            let order: Order = serde_json::from_slice(value).unwrap();
            (order.amount > 100.0).then(|| value.clone())
        });
        bench.report(
            "filter by two fields and the key",
            "filter",
            "when = \"value.amount > 100 && value.to.city == 'Ulm' && key.startsWith('k-1')\"",
        );
        bench.report(
            "filter by a macro, interpreted",
            "filter",
            "when = \"value.tags.exists(t, t == 'eu')\"",
        );
        bench.report("key by a field", "key", "to = 'value.to.city'");
        bench.report(
            "map: set one, remove one",
            "map",
            "set.total = 'value.amount * value.count'\nremove = ['card']",
        );
        bench.by_hand(|value| {
            let mut order: Value = serde_json::from_slice(value).unwrap();
            let total = order["amount"].as_f64().unwrap() * order["count"].as_f64().unwrap();
            let fields = order.as_object_mut().unwrap();
            fields.insert("total".to_owned(), total.into());
            fields.shift_remove("card");
            Some(serde_json::to_vec(&order).unwrap().into())
        });
        bench.report("map: a new value", "map", "value = \"{'id': value.id, 'city': value.to.city}\"");
        bench.by_hand(|value| {
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

struct Bench<'a> {
    records: &'a [Record],
    identity: f64,
}

impl Bench<'_> {
    fn report(&self, what: &str, name: &str, settings: &str) {
        self.print(what, measure(self.records, operator(Some((name, settings)))));
    }

    fn by_hand(&self, apply: impl Fn(&Bytes) -> Option<Bytes>) {
        let nanos = measure(self.records, |record| {
            let value = apply(record.value.as_ref().unwrap());
            black_box(value.map(|value| Record { value: Some(value), ..record.clone() }).is_some() as usize)
        });
        self.print("  by hand", nanos);
    }

    fn print(&self, what: &str, nanos: f64) {
        println!("  {what:35} {nanos:5.0} ns  {:5.0} ns", nanos - self.identity);
    }
}

/// What an operator does with a record; `None` copies it.
fn operator(operator: Option<(&str, &str)>) -> impl FnMut(&Record) -> usize {
    let operator: Option<Box<dyn Operator>> = operator.map(|(name, settings)| {
        let factory = registry().iter().find(|factory| factory.name == name).unwrap();
        (factory.build)(settings.parse().unwrap(), JSON).map_err(|error| error.to_string()).unwrap()
    });
    let mut out = Output::default();
    move |record| {
        match &operator {
            Some(operator) => operator.apply(record.clone(), &mut out).unwrap(),
            None => out.push(record.clone()),
        }
        black_box(out.drain().count())
    }
}

/// Nanoseconds a record.
fn measure(records: &[Record], mut apply: impl FnMut(&Record) -> usize) -> f64 {
    let mut round = || {
        let begun = cpu_nanos();
        for _ in 0..PASSES {
            black_box(records.iter().map(&mut apply).sum::<usize>());
        }
        (cpu_nanos() - begun) as f64 / (PASSES * records.len()) as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// This thread's time on a core, from proc(5): what the machine does beside it hardly counts. The kernel brings it up to date when
/// it schedules.
fn cpu_nanos() -> u64 {
    std::thread::yield_now();
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}
