//! The bare loop: each job as short and as fast as it is written by hand with `serde_json` and `apache-avro`.

use apache_avro::{reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    bare, clients,
    job::{Job, Topics},
    order::{Order, schema},
};

#[derive(Deserialize)]
struct Amount {
    amount: f64,
}

#[derive(Deserialize)]
struct Place<'a> {
    amount: f64,
    #[serde(borrow)]
    to: City<'a>,
}

#[derive(Deserialize)]
struct City<'a> {
    city: &'a str,
}

pub fn run(job: Job, servers: &str, topics: &Topics, records: u64, exactly_once: bool) {
    let (consumer, producer) = clients::configs(servers, &topics.to, exactly_once);
    let written = topics.written(job);
    let schema = schema();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    bare::run(&consumer, &producer, &topics.from, records, exactly_once, |value, out| {
        let topic = match job {
            Job::Filter => {
                let order: Amount = serde_json::from_slice(value).unwrap();
                if order.amount <= 100.0 {
                    return None;
                }
                out.extend_from_slice(value);
                0
            }
            Job::Map => {
                let mut order: Value = serde_json::from_slice(value).unwrap();
                let total = order["amount"].as_f64().unwrap() * order["count"].as_f64().unwrap();
                let fields = order.as_object_mut().unwrap();
                fields.insert("total".to_owned(), total.into());
                fields.shift_remove("card");
                serde_json::to_writer(out, &order).unwrap();
                0
            }
            Job::JsonToAvro => {
                let order: Order = serde_json::from_slice(value).unwrap();
                writer.write_ser(out, &order).unwrap();
                0
            }
            Job::AvroToJson => {
                let order: Order = reader.read_deser(&mut &value[..]).unwrap();
                serde_json::to_writer(out, &order).unwrap();
                0
            }
            Job::OneRoute => {
                let order: Amount = serde_json::from_slice(value).unwrap();
                out.extend_from_slice(value);
                usize::from(order.amount >= 150.0)
            }
            Job::ThreeRoutes => {
                let order: Place = serde_json::from_slice(value).unwrap();
                out.extend_from_slice(value);
                match order.to.city {
                    _ if order.amount >= 150.0 => 1,
                    "Ulm" => 2,
                    "Rennes" => 3,
                    _ => 0,
                }
            }
        };
        Some(&written[topic])
    });
}
