//! A real broker for the whole run, real workers, and clients that are not `pipeline`'s own.

mod acl;
mod clients;
mod command;
mod dashboards;
mod prometheus;
mod watch;
mod worker;

use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};

pub use acl::{allow, allow_groups, allow_transactions};
pub use clients::{
    Consumed, Producer, create_topic, read_committed, read_uncommitted, records_until, records_within,
};
pub use command::pipeline;
pub use dashboards::Dashboard;
pub use prometheus::{Prometheus, series};
pub use watch::Watch;
pub use worker::Worker;

/// The broker of this test run. It ends with the process, whatever ends that, and its data with it.
static BROKER: OnceLock<RwLock<LocalCluster>> = OnceLock::new();

fn cluster() -> &'static RwLock<LocalCluster> {
    BROKER.get_or_init(|| {
        let jars = Jars::fetch().unwrap();
        // Failures are noticed quickly, so that tests of them do not take minutes.
        let properties = [
            ("group.min.session.timeout.ms", "1000"),
            // Requests carry timestamps of long ago, and would be deleted for their age.
            ("log.retention.ms", "-1"),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
            ("auto.create.topics.enable", "true"),
            // Who has which right is kept, and everybody has all to what nothing is said of.
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("allow.everyone.if.no.acl.found", "true"),
            ("num.partitions", "2"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let settings =
            Settings { nodes: Nodes::One, data: Data::Temporary, port: None, heap_mib: 768, properties };
        RwLock::new(LocalCluster::start(&jars, &settings).unwrap())
    })
}

/// The shared broker, for a test that leaves it as it is.
pub fn broker() -> RwLockReadGuard<'static, LocalCluster> {
    cluster().read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The shared broker, for a test that stops it: no other test runs meanwhile.
pub fn broker_exclusively() -> RwLockWriteGuard<'static, LocalCluster> {
    cluster().write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Names that no other test has: of topics, and of the consumer group.
pub struct Names {
    pub source: String,
    pub sink: String,
    pub dead_letters: String,
}

impl Names {
    pub fn new(test: &str) -> Names {
        let unique = format!("{test}-{:08x}", fastrand::u32(..));
        Names {
            source: format!("{unique}-in"),
            sink: format!("{unique}-out"),
            dead_letters: format!("{unique}-in.dlq"),
        }
    }

    /// The settings that make `factorial.toml` work on these topics, and notice a death soon.
    pub fn settings(&self) -> Vec<String> {
        vec![
            format!("source.topic={}", self.source),
            format!("source.group={}", self.source),
            format!("sink.topic={}", self.sink),
            "source.kafka.session.timeout.ms=2000".to_owned(),
            "source.kafka.heartbeat.interval.ms=500".to_owned(),
            "sink.kafka.transaction.timeout.ms=3000".to_owned(),
        ]
    }
}
