//! The brokers of a run: the shared one, and those that a test starts for itself.

use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pipeline::{
    broker::{Data, Jars, LocalCluster, Nodes, Settings},
    verify::ProxiedCluster,
};

/// The broker of this test run. It ends with the process, whatever ends that, and its data with it.
static BROKER: OnceLock<RwLock<LocalCluster>> = OnceLock::new();

/// Failures are noticed quickly, so that tests of them do not take minutes.
const PROPERTIES: [(&str, &str); 3] = [
    ("group.min.session.timeout.ms", "1000"),
    // Requests carry timestamps of long ago, and would be deleted for their age.
    ("log.retention.ms", "-1"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
];

/// One node with its data in a temporary folder, and these properties besides.
pub fn broker_settings(properties: &[(&str, &str)]) -> Settings {
    let properties = PROPERTIES.iter().chain(properties);
    Settings {
        nodes: Nodes::One,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: properties.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

pub fn start_broker(settings: &Settings) -> LocalCluster {
    LocalCluster::start(&Jars::fetch().unwrap(), settings).unwrap()
}

/// Three nodes, of which the others notice soon that one is gone.
pub fn three_nodes() -> LocalCluster {
    let settings = broker_settings(&[("broker.session.timeout.ms", "4000")]);
    start_broker(&Settings { nodes: Nodes::Three, ..settings })
}

/// One node, whose clients can be disturbed.
pub fn start_behind_proxies(properties: &[(&str, &str)]) -> ProxiedCluster {
    let settings = Settings { heap_mib: 384, ..broker_settings(properties) };
    ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

fn shared() -> &'static RwLock<LocalCluster> {
    BROKER.get_or_init(|| {
        let settings = broker_settings(&[
            ("auto.create.topics.enable", "true"),
            // Rights are kept; where nothing is said of something, all users have all rights to it.
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("allow.everyone.if.no.acl.found", "true"),
            ("num.partitions", "2"),
        ]);
        RwLock::new(start_broker(&Settings { heap_mib: 768, ..settings }))
    })
}

/// The shared broker, for a test that leaves it as it is: a `Site` has it.
pub(super) fn broker() -> RwLockReadGuard<'static, LocalCluster> {
    shared().read().unwrap_or_else(PoisonError::into_inner)
}

/// The shared broker, for a test that stops it: no other test runs meanwhile.
pub fn broker_exclusively() -> RwLockWriteGuard<'static, LocalCluster> {
    shared().write().unwrap_or_else(PoisonError::into_inner)
}
