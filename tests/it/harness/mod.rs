//! A real broker for the whole run, real workers and gateways, and clients that are not `pipeline`'s own.

mod acl;
mod beside;
mod broker;
mod browser;
mod clients;
mod command;
mod dashboards;
mod eventually;
mod gateway;
mod java;
mod keda;
mod prometheus;
mod raw;
mod registry;
mod s3;
mod site;
mod worker;

use std::time::Duration;

pub use acl::{allow, allow_group, allow_groups, allow_transactions};
pub use beside::beside;
pub use broker::{broker_exclusively, broker_settings, start_behind_proxies, start_broker, three_nodes};
pub use browser::Browser;
pub use clients::{
    Consumed, Producer, all_of, alter_topic, create_replicated, create_topic, delete_records, delete_topic,
    forget_group, read_committed, read_uncommitted, records_until, records_within,
};
pub use command::{MINE, finish, pipeline, pipeline_offline, python};
pub use dashboards::Dashboard;
pub use eventually::{ensure, eventually};
pub use gateway::{Gateway, Pending, Response};
pub use java::{JavaClients, JavaFormats};
pub use keda::Keda;
pub use prometheus::{Prometheus, series};
pub use raw::{Forged, forge};
pub use registry::{SchemaRegistry, free_port};
pub use s3::S3;
pub use site::Site;
pub use worker::Worker;

/// How long whatever must come may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// n! by another way than the workers': one multiplication after the other.
pub fn factorial(n: u64) -> String {
    let mut product = num_bigint::BigUint::from(1_u32);
    (2..=n).for_each(|factor| product *= factor);
    product.to_string()
}
