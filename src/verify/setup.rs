//! What a run needs: brokers, topics and a group of its own, and how a worker is started.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rdkafka::ClientConfig;

use super::{
    ProxiedCluster,
    plan::Kind,
    workers::{WorkerCommand, Workers},
    world::{Stop, World},
};
use crate::{
    broker::{self, Data, Jars, Nodes},
    config::{Override, Pipeline},
    kafka::{Admin, settings, verify::Changes},
};

/// Partitions of each topic: a few for each of four workers.
pub const PARTITIONS: i32 = 6;
/// Each node's Java heap, in MiB.
const HEAP: u32 = 320;

/// What is to be verified, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pipeline's file, as workers are told it.
    pub file: String,
    /// Settings that win over the file's.
    pub overrides: Vec<Override>,
    /// What both say.
    pub pipeline: Pipeline,
    /// Which kinds of faults happen.
    pub kinds: Vec<Kind>,
    /// How long faults happen.
    pub time: Duration,
    /// What chance begins from.
    pub seed: u64,
    /// How many workers run while nothing is broken.
    pub workers: usize,
    /// The nodes of the cluster that is started; `None` where brokers are given.
    pub nodes: Option<Nodes>,
    /// Requests a second.
    pub rate: u32,
    /// Values to ask for; numbers where there are none.
    pub samples: Vec<String>,
    /// The folder for all that is left.
    pub folder: PathBuf,
}

/// The topics and the group of a run.
#[derive(Clone, Debug)]
pub struct Names {
    /// Where requests go.
    pub requests: String,
    /// Where results come from.
    pub results: String,
    /// Where dead letters come from.
    pub dead_letters: String,
    /// The workers' group.
    pub group: String,
}

impl Names {
    fn new(pipeline: &Pipeline, run: u32) -> Names {
        let own = |name: &str| format!("{name}.verify-{run:08x}");
        Names {
            requests: own(&pipeline.source.topic.topic),
            results: own(&pipeline.sink.topic.topic),
            dead_letters: own(&pipeline.dead_letters),
            group: own(&pipeline.source.group),
        }
    }
}

/// All that a run works with.
pub struct Setup {
    /// What is broken.
    pub world: World,
    /// For the clients of the verifier itself: past the proxies.
    pub config: ClientConfig,
    /// The topics and the group.
    pub names: Names,
}

/// Starts the brokers where none are given, and creates the topics. No worker runs yet.
///
/// # Errors
/// What cannot be had, in words.
pub fn set_up(settings: &Settings, stop: Arc<Stop>) -> Result<Setup, String> {
    let cluster = settings.nodes.map(|nodes| start(nodes, &settings.folder)).transpose()?;
    let mut config = settings::client("verify", &settings.pipeline.kafka);
    if let Some(cluster) = &cluster {
        config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.nodes.bootstrap_servers());
    }
    // Says what is wrong where no broker answers, which the other clients do not.
    let admin = Admin::new(&config).map_err(|error| error.to_string())?;
    if admin.is_embedded() {
        return Err(format!(
            "{} is an embedded broker, which keeps no promise that could be verified",
            admin.servers()
        ));
    }
    let names = Names::new(&settings.pipeline, fastrand::u32(..));
    let changes = Changes::new(&config).map_err(|error| error.to_string())?;
    create_topics(&changes, settings, &names)?;
    let command = WorkerCommand {
        arguments: arguments(settings, &names, cluster.as_ref().map(ProxiedCluster::bootstrap_servers)),
        variables: Vec::new(),
        logs: settings.folder.join("workers"),
    };
    let workers = Workers::new(command).map_err(|error| format!("{}: {error}", settings.folder.display()))?;
    let world = World { workers, cluster, changes, group: names.group.clone(), stop, ended: Vec::new() };
    Ok(Setup { world, config, names })
}

fn start(nodes: Nodes, folder: &Path) -> Result<ProxiedCluster, String> {
    let settings = broker::Settings {
        nodes,
        data: Data::Kept(folder.join("cluster")),
        port: None,
        heap_mib: HEAP,
        // A topic that was deleted stays so until it is made again.
        properties: vec![("auto.create.topics.enable".to_owned(), "false".to_owned())],
    };
    let jars = Jars::fetch().map_err(|error| error.to_string())?;
    ProxiedCluster::start(&jars, &settings).map_err(|error| error.to_string())
}

/// Each record of results and dead letters tells when it was written, not when it was asked for.
fn create_topics(changes: &Changes, settings: &Settings, names: &Names) -> Result<(), String> {
    let append_time = || ("message.timestamp.type".to_owned(), "LogAppendTime".to_owned());
    let (source, sink) = (&settings.pipeline.source.topic, &settings.pipeline.sink.topic);
    let mut results = sink.config.clone();
    results.extend([append_time()]);
    let dead_letters =
        BTreeMap::from([append_time(), ("max.message.bytes".to_owned(), "1200000".to_owned())]);
    for (topic, replicas, config) in [
        (&names.requests, source.replication, &source.config),
        (&names.results, sink.replication, &results),
        (&names.dead_letters, source.replication, &dead_letters),
    ] {
        // As many replicas as the brokers think right, where they are ours.
        let replicas = if settings.nodes.is_some() { -1 } else { replicas.unwrap_or(-1) };
        changes.create(topic, PARTITIONS, replicas, config)?;
    }
    Ok(())
}

fn arguments(settings: &Settings, names: &Names, proxies: Option<String>) -> Vec<String> {
    let mut sets: Vec<(String, String)> =
        settings.overrides.iter().map(|set| (set.path.clone(), set.value.clone())).collect();
    let mut set = |path: &str, value: &str| sets.push((path.to_owned(), value.to_owned()));
    set("source.topic", &names.requests);
    set("source.group", &names.group);
    set("sink.topic", &names.results);
    set("dead_letters.topic", &names.dead_letters);
    // A port of its own for each.
    set("metrics.listen", "127.0.0.1:0");
    if let Some(servers) = proxies {
        set("kafka.bootstrap.servers", &servers);
    }
    let sets = sets.into_iter().map(|(path, value)| format!("--set={path}={value}"));
    ["run".to_owned(), settings.file.clone()].into_iter().chain(sets).collect()
}
