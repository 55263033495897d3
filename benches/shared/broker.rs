//! The broker that benches run on: PIPELINE_BOOTSTRAP_SERVERS, or one that is started here and ends with the bench.

use std::env;

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

pub struct Broker {
    pub servers: String,
    _local: Option<LocalCluster>,
}

impl Broker {
    pub fn start() -> Broker {
        if let Ok(servers) = env::var("PIPELINE_BOOTSTRAP_SERVERS") {
            return Broker { servers, _local: None };
        }
        let jars = Jars::fetch().unwrap();
        let settings = Settings {
            nodes: Nodes::One,
            data: Data::Temporary,
            port: None,
            heap_mib: 1024,
            properties: Vec::new(),
        };
        let local = LocalCluster::start(&jars, &settings).unwrap();
        Broker { servers: local.bootstrap_servers(), _local: Some(local) }
    }

    /// Creates a topic, and gives the settings of a client.
    pub fn topic(&self, name: &str, partitions: i32) -> ClientConfig {
        create(&self.servers, name, partitions, 1)
    }
}

/// Creates a topic with so many replicas, -1 for as many as the brokers think right, and gives the settings of a client.
pub fn create(servers: &str, name: &str, partitions: i32, replicas: i32) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topics = [NewTopic::new(name, partitions, TopicReplication::Fixed(replicas))];
    for created in futures::executor::block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap() {
        created.unwrap();
    }
    config
}
