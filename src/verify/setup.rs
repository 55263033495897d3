//! Sets up a run: brokers, its own topics and group, and the workers' command line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::ClientConfig;

use super::{
    ProxiedCluster,
    judge::Expected,
    names::Names,
    plan::FaultKind,
    recording::{Asking, Recording},
    requests::Requests,
    workers::{WorkerCommand, Workers},
    world::World,
};
use crate::{
    broker::{self, Data, Jars, Nodes},
    config::{Override, Pipeline, TopicSettings},
    kafka::{
        Admin, settings,
        verify::{Changes, Lag},
    },
    load::Interrupt,
    record::Record,
    testing::TestDriver,
};

/// Partitions of each topic: a few for each of four workers.
pub const PARTITIONS: i32 = 6;
/// The user that the workers authenticate as, through the proxies.
const USER: &str = "verify";
/// The variable with that user's password, which is new for each run.
const PASSWORD_VARIABLE: &str = "PIPELINE_VERIFY_PASSWORD";
/// Each node's Java heap, in MiB.
const HEAP: u32 = 320;

/// What to verify, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pipeline's file, as on the workers' command line.
    pub file: String,
    /// Settings that override the file's.
    pub overrides: Vec<Override>,
    /// The pipeline that both define.
    pub pipeline: Pipeline,
    /// Which kinds of faults happen.
    pub kinds: Vec<FaultKind>,
    /// How long faults happen.
    pub time: Duration,
    /// The interval between the faults' beginnings; `None`: random.
    pub every: Option<Duration>,
    /// The seed.
    pub seed: u64,
    /// How many workers run while nothing is broken.
    pub workers: usize,
    /// The nodes of the cluster to start; `None` if brokers are given.
    pub nodes: Option<Nodes>,
    /// Requests a second.
    pub rate: u32,
    /// Values of the requests; empty: numbers.
    pub samples: Vec<String>,
    /// The folder for reports, logs and data.
    pub folder: PathBuf,
}

impl Settings {
    /// The address of a store beside the reports, where the pipeline has one: what is made here belongs into nobody's bucket.
    pub fn store(&self) -> Result<Option<String>, String> {
        if self.pipeline.store().is_none() {
            return Ok(None);
        }
        let folder = std::path::absolute(self.folder.join("store")).map_err(|error| error.to_string())?;
        Ok(Some(format!("file://{}", folder.display())))
    }
}

/// Everything that a run works with.
pub struct Setup {
    /// Everything that faults act on.
    pub world: World,
    /// The configuration of the verifier's own clients, which bypass the proxies.
    pub config: ClientConfig,
    /// The topics and the group.
    pub names: Names,
}

/// Starts the brokers if none are given, and creates the topics. No worker runs yet.
///
/// # Errors
/// What could not be set up, in words.
pub fn set_up(settings: &Settings, interrupt: Arc<Interrupt>) -> Result<Setup, String> {
    if !settings.pipeline.takes_each_record_alone() {
        return Err("`verify` knows what becomes of each record alone, and not what an operator makes of several or of a table: take `aggregate`, `deduplicate` and `join` out"
            .to_owned());
    }
    if settings.pipeline.source.deduplication.is_some() {
        return Err("`verify` sends the same values many times, and does not know which of them `[source.deduplicate]` leaves out: \
                    verify a copy of the file without that table"
            .to_owned());
    }
    let password = format!("{:032x}", fastrand::u128(..));
    let cluster = settings.nodes.map(|nodes| start(nodes, &settings.folder, &password)).transpose()?;
    let mut config = settings::client("verify", [&settings.pipeline.kafka]);
    if let Some(cluster) = &cluster {
        config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.nodes.bootstrap_servers());
    }
    // Reports why no broker answers, which the other clients do not.
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
    let proxies = cluster.as_ref().map(ProxiedCluster::bootstrap_servers);
    let command = WorkerCommand {
        arguments: arguments(settings, &names, settings.store()?, proxies),
        variables: vec![(PASSWORD_VARIABLE.to_owned(), password)],
        logs: settings.folder.join("workers"),
    };
    let workers = Workers::new(command).map_err(|error| format!("{}: {error}", settings.folder.display()))?;
    let recording = Arc::new(Recording::default());
    let world = World {
        workers,
        cluster,
        changes,
        names: names.clone(),
        results_configs: results_configs(&settings.pipeline),
        requests_config: settings.pipeline.source.topic().config.clone(),
        requests_replicas: replicas(settings, settings.pipeline.source.topic().replication),
        begin_asking: begin_asking(settings, &names, &config, &recording)?,
        asking: None,
        recording,
        interrupt,
        ended: Vec::new(),
        samples: Vec::new(),
        next_sample: Instant::now(),
        lag: Lag::new(&config, &names.group, names.read())?,
        deleted: Vec::new(),
        made_again: Vec::new(),
        smallest_limit: None,
        refused_until: None,
    };
    Ok(Setup { world, config, names })
}

type BeginAsking = Box<dyn Fn() -> Result<Asking, String>>;

fn begin_asking(
    settings: &Settings,
    names: &Names,
    config: &ClientConfig,
    recording: &Arc<Recording>,
) -> Result<BeginAsking, String> {
    let requests = Requests::new(&settings.pipeline, settings.seed, settings.samples.clone())?;
    let (pipeline, rate) = (settings.pipeline.clone(), settings.rate);
    let (topic, config, recording) = (names.requests.clone(), config.clone(), recording.clone());
    Ok(Box::new(move || {
        let mut operators = TestDriver::new(&pipeline);
        let silent = move |request: &Record| Expected::of(&mut operators, request).is_silent();
        Asking::start(&config, &topic, rate, requests.clone(), &recording, silent)
    }))
}

/// The workers authenticate, so that their credentials can be refused.
fn start(nodes: Nodes, folder: &Path, password: &str) -> Result<ProxiedCluster, String> {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let properties = [
        // A deleted topic stays deleted until the fault recreates it.
        ("auto.create.topics.enable", "false"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT"),
        ("listener.name.proxied.sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.proxied.plain.sasl.jaas.config",
            &format!("{login} required user_{USER}=\"{password}\";"),
        ),
    ];
    let settings = broker::Settings {
        nodes,
        data: Data::Kept(folder.join("cluster")),
        port: None,
        heap_mib: HEAP,
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    };
    let jars = Jars::fetch().map_err(|error| error.to_string())?;
    ProxiedCluster::start(&jars, &settings).map_err(|error| error.to_string())
}

fn create_topics(changes: &Changes, settings: &Settings, names: &Names) -> Result<(), String> {
    let source = settings.pipeline.source.topic();
    // Room for a dead letter's headers.
    let dead_letters =
        BTreeMap::from([append_time(), ("max.message.bytes".to_owned(), "1200000".to_owned())]);
    let others = [(&names.requests, &source.config), (&names.written.dead_letters, &dead_letters)];
    for (topic, config) in others {
        changes.create(topic, PARTITIONS, replicas(settings, source.replication), config)?;
    }
    let results = settings.pipeline.result_topics();
    let configs = results_configs(&settings.pipeline);
    for ((topic, config), asked) in names.written.results.iter().zip(&configs).zip(results) {
        changes.create(topic, PARTITIONS, replicas(settings, asked.replication), config)?;
    }
    Ok(())
}

/// The timestamp of each result and dead letter is when it was written, not when it was requested.
fn append_time() -> (String, String) {
    ("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())
}

/// The result topics' settings.
fn results_configs(pipeline: &Pipeline) -> Vec<BTreeMap<String, String>> {
    let config = |topic: &TopicSettings| topic.config.clone().into_iter().chain([append_time()]).collect();
    pipeline.result_topics().into_iter().map(config).collect()
}

/// The broker's default number of replicas, unless the brokers are given.
fn replicas(settings: &Settings, asked: Option<i32>) -> i32 {
    if settings.nodes.is_some() { -1 } else { asked.unwrap_or(-1) }
}

/// A worker's command line, after the program's name.
fn arguments(
    settings: &Settings,
    names: &Names,
    store: Option<String>,
    proxies: Option<String>,
) -> Vec<String> {
    let mut sets: Vec<(String, String)> =
        settings.overrides.iter().map(|set| (set.path.clone(), set.value.clone())).collect();
    let mut set = |path: &str, value: &str| sets.push((path.to_owned(), value.to_owned()));
    // Whatever the file reads, all requests are in one topic here.
    set("source.topic", &names.requests);
    set("source.group", &names.group);
    set("sink.topic", &names.written.results[0]);
    set("dead_letters.topic", &names.written.dead_letters);
    if let Some((name, _)) = &names.retries {
        set("retry.topic", name);
    }
    if let Some(store) = store {
        set("sink.store", &store);
    }
    if settings.pipeline.state.is_some() {
        set("state.folder", &settings.folder.join("state").display().to_string());
    }
    for (place, route) in settings.pipeline.routes.iter().enumerate() {
        for (name, topic) in &route.topics {
            let key = if route.by.is_some() { format!("topics.{name}") } else { "topic".to_owned() };
            set(&format!("routes.{place}.{key}"), &names.own(&topic.topic));
        }
    }
    // So that new partitions are soon read and written; librdkafka's default is five minutes.
    set("kafka.topic.metadata.refresh.interval.ms", "3000");
    // A free port for each.
    set("metrics.listen", "127.0.0.1:0");
    if let Some(servers) = proxies {
        set("kafka.bootstrap.servers", &servers);
        set("kafka.security.protocol", "sasl_plaintext");
        set("kafka.sasl.mechanisms", "PLAIN");
        set("kafka.sasl.username", USER);
        set("kafka.sasl.password", &format!("${{env:{PASSWORD_VARIABLE}}}"));
    }
    let sets = sets.into_iter().map(|(path, value)| format!("--set={path}={value}"));
    ["run".to_owned(), settings.file.clone()].into_iter().chain(sets).collect()
}
