//! A gateway route's clients: a producer of requests, and a consumer of its share of the results.

mod consumer;
mod pieces;
mod producer;

use std::sync::Arc;

use rdkafka::{ClientConfig, error::KafkaError};
use thiserror::Error;
use tokio::sync::mpsc;

use super::{LargeResults, UnderWayReader, settings};
use crate::{
    config::{Gateway, Route},
    gateway::{Event, Status},
    store::Store,
};

use consumer::Replies;
pub use pieces::KafkaPieces;
pub use producer::KafkaRequestSink;

/// How many events may wait to be taken; beyond that their senders wait.
const EVENTS: usize = 1_024;

/// Why the clients of a gateway cannot be started.
#[derive(Error, Debug)]
pub enum GatewayError {
    /// A client cannot be made.
    #[error("cannot make a Kafka client: {0}")]
    Client(#[from] KafkaError),
    /// The store cannot be opened.
    #[error("{0}")]
    Store(String),
    /// A thread cannot be started.
    #[error("cannot start the thread that reads results: {0}")]
    Thread(std::io::Error),
}

/// The clients of one route. The group is left when this is dropped.
pub struct GatewayClients {
    /// Where requests go.
    pub requests: KafkaRequestSink,
    /// What the clients report.
    pub events: mpsc::Receiver<Event>,
    /// Reads results until it is dropped.
    pub replies: Replies,
    /// Reads the pieces of large ones.
    pub pieces: KafkaPieces,
    /// Reads how far requests are until it is dropped.
    pub under_way: Option<UnderWayReader>,
}

impl GatewayClients {
    /// Joins the group of the route's gateways.
    ///
    /// # Errors
    /// Where a client cannot be made.
    pub fn start(
        gateway: &Gateway,
        route: &Route,
        embedded: bool,
        status: Arc<Status>,
    ) -> Result<Self, GatewayError> {
        let (sender, events) = mpsc::channel(EVENTS);
        let config = settings::of_gateway(gateway);
        let requests =
            KafkaRequestSink::new(&producer_config(&config), route, gateway.http.timeout, sender.clone())?;
        let group = format!("{}-{}", gateway.name, route.name);
        let consumer = consumer_config(&config, &group, embedded);
        let (told, requested) = (sender.clone(), route.request.topic.clone());
        let under_way = route.progress.as_ref().map(|topic| {
            UnderWayReader::start(&config, topic, move |of| {
                // The topic may be shared with other pipelines.
                of.topic != requested || told.blocking_send(Event::UnderWay(of)).is_ok()
            })
        });
        let under_way = under_way.transpose()?;
        let replies = Replies::start(&consumer, &route.result.topic, gateway.preload, sender, status)?;
        let store = route.store.as_deref().map(Store::open).transpose().map_err(GatewayError::Store)?;
        let pieces = KafkaPieces(LargeResults { config, topic: route.result.topic.clone(), store });
        Ok(GatewayClients { requests, events, replies, pieces, under_way })
    }
}

fn producer_config(common: &ClientConfig) -> ClientConfig {
    settings::unless_set(
        common,
        &[
            ("linger.ms", "0"),
            // Each request goes to a random partition, so that workers share them evenly.
            ("sticky.partitioning.linger.ms", "0"),
            ("socket.nagle.disable", "true"),
        ],
    )
}

fn consumer_config(common: &ClientConfig, group: &str, embedded: bool) -> ClientConfig {
    let mut config = match embedded {
        true => settings::for_embedded(common),
        false => common.clone(),
    };
    let defaults = [
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.queue.backoff.ms", "10"),
        ("socket.nagle.disable", "true"),
    ];
    config = settings::unless_set(&config, &defaults);
    if !settings::broker_assigns(&config) {
        let defaults = [
            // Only a gateway's own callers miss it when it is gone, and requests of a slow one are produced
            // again with other partitions: so it may be taken for dead soon.
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "1000"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ];
        config = settings::unless_set(&config, &defaults);
    }
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("enable.partition.eof", "true");
    config
}
