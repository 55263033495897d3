//! What tests on a real Kafka stand on: one broker for the whole run, the binary as a child process, a
//! producer, and a verifier that shares nothing with what it verifies.
//!
//! Must not know the engine: a test sees what a user sees. Nothing that is started here outlives the test
//! process, however that ends. Where the broker cannot start, each test that asks for it fails.

mod producer;
mod program;
mod verifier;

pub use producer::{Producer, Record, unique_id};
pub use program::{Finished, Program, Worker, pipeline};
pub use verifier::{Found, read, read_until};

use std::{
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use futures::executor::block_on;
use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

/// Long enough for anything that happens at all while four cores' worth of tests share two.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The broker, shared with the tests that run beside this one. To be held as long as it is used, and asked
/// for once a test: a second time would wait for ever behind a test that waits to have it alone.
pub fn broker() -> RwLockReadGuard<'static, LocalCluster> {
    the_broker().read().unwrap_or_else(PoisonError::into_inner)
}

/// The broker for a test that stops it: no other test uses it meanwhile.
pub fn broker_exclusively() -> RwLockWriteGuard<'static, LocalCluster> {
    the_broker().write().unwrap_or_else(PoisonError::into_inner)
}

fn the_broker() -> &'static RwLock<LocalCluster> {
    static BROKER: OnceLock<Result<RwLock<LocalCluster>, String>> = OnceLock::new();
    let started = BROKER.get_or_init(|| {
        let jars = Jars::fetch().map_err(|error| error.to_string())?;
        LocalCluster::start(&jars, &settings()).map(RwLock::new).map_err(|error| error.to_string())
    });
    started.as_ref().unwrap_or_else(|error| panic!("this test needs a broker: {error}"))
}

fn settings() -> Settings {
    // A worker that was killed is to be missed after a second or two, and a broker after four, not after
    // Kafka's usual 45 and 9.
    let quick = [
        ("group.min.session.timeout.ms", "1000"),
        ("broker.session.timeout.ms", "4000"),
        ("broker.heartbeat.interval.ms", "500"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
        ("auto.create.topics.enable", "true"),
        ("num.partitions", "2"),
    ];
    Settings {
        nodes: Nodes::One,
        data: Data::Temporary,
        port: None,
        heap_mib: 512,
        properties: quick.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    }
}

/// A name that no other test, and no other run, has: `requests` becomes `requests-5f0c33a1`.
pub fn topic(name: &str) -> String {
    format!("{name}-{:08x}", fastrand::u32(..))
}

/// Creates a topic with settings of its own.
pub fn create_topic(servers: &str, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client(servers).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let new = config.iter().fold(new, |new, (name, value)| new.set(name, value));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for result in block_on(admin.create_topics(&[new], &options)).unwrap() {
        result.unwrap_or_else(|(topic, code)| panic!("could not create {topic}: {code}"));
    }
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}
