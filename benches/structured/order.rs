//! The orders that all contenders read.

use std::{fs, path::PathBuf, time::Duration};

use apache_avro::{Schema, writer::datum::GenericDatumWriter};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::{Deserialize, Serialize};

use crate::{PARTITIONS, beside, broker::Broker};

#[derive(Deserialize, Serialize)]
pub struct Order {
    pub id: String,
    pub amount: f64,
    pub count: i64,
    pub card: String,
    pub to: Address,
    pub tags: Vec<String>,
}

#[derive(Deserialize, Serialize)]
pub struct Address {
    name: String,
    street: String,
    pub city: String,
}

const CITIES: [&str; 3] = ["Ulm", "Rennes", "Porto"];

fn order(n: u64) -> Order {
    let text = |text: &str| text.to_owned();
    Order {
        id: format!("o-{n}"),
        amount: (n % 200) as f64 + 0.5,
        count: (n % 7) as i64,
        card: text("4111111111111111"),
        to: Address {
            name: text("A. Person"),
            street: text("Long Street 1"),
            city: text(CITIES[n as usize % 3]),
        },
        tags: vec![text("new"), text("eu")],
    }
}

pub fn schema_file() -> PathBuf {
    beside("order.avsc")
}

pub fn schema() -> Schema {
    Schema::parse_str(&fs::read_to_string(schema_file()).unwrap()).unwrap()
}

/// Fills a topic.
pub fn produce(broker: &Broker, topic: &str, records: u64, avro: bool) {
    let schema = schema();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let producer: BaseProducer = broker.topic(topic, PARTITIONS).set("linger.ms", "50").create().unwrap();
    for n in 0..records {
        let order = order(n);
        let value =
            if avro { writer.write_ser_to_vec(&order).unwrap() } else { serde_json::to_vec(&order).unwrap() };
        let key = format!("k-{n}");
        let mut record =
            BaseRecord::to(topic).key(&key).payload(&value).partition((n % PARTITIONS as u64) as i32);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}
