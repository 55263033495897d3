//! A cluster of nodes on this machine, started and stopped together or one by one.

use std::{
    fs::{self, File, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    BrokerError, Jars,
    error::last_lines,
    guard::{Guarded, TemporaryFolder},
    jars::xdg_folder,
    ports::Ports,
    properties::server_properties,
};

/// How long a start may take; on two idle cores it takes about 8 s.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long a node may take to stop gracefully before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What a node logs once it serves its clients.
const STARTED: &[u8] = b"Kafka Server started";

/// How many nodes a cluster has, each a broker and a controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nodes {
    /// One node: nothing is replicated.
    One,
    /// Three nodes: three replicas, of which two must be in sync.
    Three,
}

impl Nodes {
    /// The number.
    pub fn count(self) -> u16 {
        match self {
            Nodes::One => 1,
            Nodes::Three => 3,
        }
    }
}

/// Where a cluster keeps its data.
#[derive(Clone, Debug)]
pub enum Data {
    /// In this folder, which is created if missing, and reused by the next start.
    Kept(PathBuf),
    /// In a temporary folder, removed when the cluster or this process ends.
    Temporary,
}

/// How to start a cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of nodes.
    pub nodes: Nodes,
    /// Where the data is.
    pub data: Data,
    /// The first node's port for clients, with the next ones for the others; `None`: free ports.
    pub port: Option<u16>,
    /// Each node's Java heap, in MiB.
    pub heap_mib: u32,
    /// Additional or different lines for `server.properties`.
    pub properties: Vec<(String, String)>,
}

/// A running cluster; ends when dropped, or with this process, however that ends.
pub struct LocalCluster {
    nodes: Vec<Node>,
    // Dropped after the nodes, so that it is removed once they have ended.
    temporary: Option<TemporaryFolder>,
    /// Locked as long as the data is in use.
    _lock: File,
}

struct Node {
    id: usize,
    folder: PathBuf,
    address: SocketAddr,
    /// The address at which its proxy reaches it.
    proxied: Option<SocketAddr>,
    command: Vec<std::ffi::OsString>,
    running: Option<Guarded>,
}

impl LocalCluster {
    /// Starts a cluster and waits until every node is ready.
    ///
    /// # Errors
    /// A port is taken, the data belongs to a cluster of another size, or a node did not become ready (with
    /// the last lines of its log).
    pub fn start(jars: &Jars, settings: &Settings) -> Result<Self, BrokerError> {
        LocalCluster::start_behind(jars, settings, &[])
    }

    /// The same, with one more listener for each node, `PROXIED`, which advertises that node's proxy: a
    /// client that starts there reaches every node through its proxy. The proxies must pass on to
    /// [`proxied`](Self::proxied).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_behind(
        jars: &Jars,
        settings: &Settings,
        proxies: &[SocketAddr],
    ) -> Result<Self, BrokerError> {
        let nodes = settings.nodes.count();
        let ports = Ports::choose(nodes, settings.port, nodes.min(proxies.len() as u16))?;
        let (folder, temporary) = match &settings.data {
            Data::Kept(folder) => {
                fs::create_dir_all(folder).map_err(BrokerError::io("create", folder))?;
                // Absolute, since each node runs in its own folder.
                (folder.canonicalize().map_err(BrokerError::io("open", folder))?, None)
            }
            Data::Temporary => {
                let made = TemporaryFolder::create()
                    .map_err(BrokerError::io("create a folder in", std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let lock = lock(&folder)?;
        let cluster_id = cluster_id(&folder, settings.nodes)?;
        let nodes = (1..=usize::from(nodes))
            .map(|id| Node::prepare(jars, settings, &folder, id, &ports, proxies.get(id - 1).copied()))
            .collect::<Result<_, _>>()?;
        let mut cluster = LocalCluster { nodes, temporary, _lock: lock };
        cluster.format(jars, &cluster_id)?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// The nodes' addresses, for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address.to_string()).collect();
        addresses.join(",")
    }

    /// The addresses at which the nodes listen for their proxies; empty without proxies.
    pub fn proxied(&self) -> Vec<SocketAddr> {
        self.nodes.iter().filter_map(|node| node.proxied).collect()
    }

    /// Stops every node gracefully, and waits; one that takes more than 20 s is killed.
    pub fn stop(&mut self) {
        // All at once: the last ones of a quorum could not stop gracefully alone.
        for guarded in self.nodes.iter_mut().filter_map(|node| node.running.as_mut()) {
            guarded.signal("TERM");
        }
        let deadline = Instant::now() + STOP_LIMIT;
        for node in &mut self.nodes {
            if let Some(mut guarded) = node.running.take() {
                guarded.ended_within(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Restarts every node, on the same ports and data.
    ///
    /// # Errors
    /// A node did not become ready again.
    pub fn restart(&mut self) -> Result<(), BrokerError> {
        self.stop();
        self.start_all()
    }

    /// Kills a node, counted from 1, with SIGKILL; does nothing if it is not running.
    ///
    /// # Panics
    /// If there is no such node; the next methods do too.
    pub fn kill_node(&mut self, node: usize) {
        self.nodes[node - 1].running = None;
    }

    /// Stops a node gracefully, or kills it after 20 s.
    pub fn stop_node(&mut self, node: usize) {
        if let Some(mut guarded) = self.nodes[node - 1].running.take() {
            guarded.signal("TERM");
            guarded.ended_within(STOP_LIMIT);
        }
    }

    /// Stops a node with SIGSTOP.
    pub fn freeze_node(&mut self, node: usize) {
        self.signal_node(node, "STOP");
    }

    /// Continues a node stopped with SIGSTOP.
    pub fn thaw_node(&mut self, node: usize) {
        self.signal_node(node, "CONT");
    }

    fn signal_node(&mut self, node: usize, signal: &str) {
        if let Some(guarded) = &mut self.nodes[node - 1].running {
            guarded.signal(signal);
        }
    }

    /// Starts a node that was stopped or killed, and waits until it is ready.
    ///
    /// # Errors
    /// It did not become ready.
    pub fn start_node(&mut self, node: usize) -> Result<(), BrokerError> {
        self.nodes[node - 1].start()?;
        self.nodes[node - 1].wait_until_ready()
    }

    /// Checks that no node has ended by itself.
    ///
    /// # Errors
    /// The node that has ended, with the last lines of its log.
    pub fn check(&mut self) -> Result<(), BrokerError> {
        self.nodes.iter_mut().try_for_each(Node::check)
    }

    fn start_all(&mut self) -> Result<(), BrokerError> {
        self.nodes.iter_mut().try_for_each(Node::start)?;
        self.nodes.iter_mut().try_for_each(Node::wait_until_ready)
    }

    /// Prepares the new data folders in parallel: each needs its own Java process.
    fn format(&self, jars: &Jars, cluster_id: &str) -> Result<(), BrokerError> {
        thread::scope(|scope| {
            let new = self.nodes.iter().filter(|node| !node.folder.join("data/meta.properties").exists());
            let formats: Vec<_> = new.map(|node| scope.spawn(|| node.format(jars, cluster_id))).collect();
            // A join fails only if the thread panicked; passes the panic on.
            formats
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // Temporary data needs no graceful stop.
        if self.temporary.is_none() {
            self.stop();
        }
    }
}

impl Node {
    fn prepare(
        jars: &Jars,
        settings: &Settings,
        cluster: &Path,
        id: usize,
        ports: &Ports,
        proxy: Option<SocketAddr>,
    ) -> Result<Self, BrokerError> {
        let folder = node_folder(cluster, id);
        fs::create_dir_all(&folder).map_err(BrokerError::io("create", &folder))?;
        let properties = server_properties(id, ports, proxy, &settings.properties);
        for (name, content) in [
            ("server.properties", properties.as_str()),
            ("log4j2.properties", include_str!("log4j2.properties")),
        ] {
            let file = folder.join(name);
            fs::write(&file, content).map_err(BrokerError::io("write", file))?;
        }
        let heap = settings.heap_mib;
        let options = [
            format!("-Xms{heap}m"),
            format!("-Xmx{heap}m"),
            "-XX:+UseG1GC".to_owned(),
            "-Xshare:auto".to_owned(),
            "-Djava.awt.headless=true".to_owned(),
        ];
        let command = jars.command(&options, "kafka.Kafka", &["server.properties"]);
        let local = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        let (address, proxied) = (local(&ports.client[id - 1]), ports.proxied.get(id - 1).map(local));
        Ok(Node { id, folder, address, proxied, command, running: None })
    }

    fn format(&self, jars: &Jars, cluster_id: &str) -> Result<(), BrokerError> {
        // Half a second of work: the optimizing compiler would not pay off.
        let options = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog.level=warn"];
        let command = jars.command(
            &options.map(str::to_owned),
            "kafka.tools.StorageTool",
            &["format", "--cluster-id", cluster_id, "--config", "server.properties"],
        );
        let output = Command::new(&command[0])
            .args(&command[1..])
            .current_dir(&self.folder)
            .output()
            .map_err(BrokerError::io("run", &command[0]))?;
        if !output.status.success() {
            let output = last_lines(&[output.stdout, output.stderr].concat());
            return Err(BrokerError::Format { folder: self.folder.clone(), output });
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), BrokerError> {
        if self.running.is_none() {
            // The log of an earlier run also says that the server started.
            fs::write(self.log(), "").map_err(BrokerError::io("write", self.log()))?;
            let guarded =
                Guarded::start(&self.folder, &self.command).map_err(BrokerError::io("run", "sh"))?;
            self.running = Some(guarded);
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<(), BrokerError> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let log = fs::read(self.log()).unwrap_or_default();
            let started = log.windows(STARTED.len()).any(|window| window == STARTED);
            if started && TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            if begun.elapsed() > START_LIMIT {
                let (log, lines) = (self.log(), last_lines(&log));
                return Err(BrokerError::NotReady {
                    node: self.id,
                    seconds: START_LIMIT.as_secs(),
                    log,
                    lines,
                });
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn check(&mut self) -> Result<(), BrokerError> {
        if let Some(guarded) = &mut self.running
            && guarded.ended_within(Duration::ZERO)
        {
            let lines = last_lines(&fs::read(self.log()).unwrap_or_default());
            return Err(BrokerError::Ended { node: self.id, log: self.log(), lines });
        }
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

/// Locks the data: two clusters on it would stop each other, or worse. The system releases the lock when this
/// process ends, however it ends.
fn lock(folder: &Path) -> Result<File, BrokerError> {
    let path = folder.join("in-use");
    let file = File::create(&path).map_err(BrokerError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BrokerError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BrokerError::io("lock", &path)(error)),
    }
}

/// The default folder for the data of a cluster of this size:
/// `$XDG_DATA_HOME/pipeline/broker` (`~/.local/share` if that is not set), with `-3` for three nodes.
///
/// # Errors
/// Neither `XDG_DATA_HOME` nor `HOME` is set.
pub fn data_folder(nodes: Nodes) -> Result<PathBuf, BrokerError> {
    let name = match nodes {
        Nodes::One => "broker",
        Nodes::Three => "broker-3",
    };
    Ok(xdg_folder("XDG_DATA_HOME", ".local/share", "the broker's data")?.join("pipeline").join(name))
}

fn node_folder(cluster: &Path, id: usize) -> PathBuf {
    cluster.join(format!("node{id}"))
}

/// The cluster's id, from its folder or new.
fn cluster_id(folder: &Path, nodes: Nodes) -> Result<String, BrokerError> {
    let asked = usize::from(nodes.count());
    let found = (1..=9).filter(|id| node_folder(folder, *id).exists()).count();
    if found != 0 && found != asked {
        return Err(BrokerError::OtherSize { folder: folder.to_owned(), found, asked });
    }
    let file = folder.join("cluster.id");
    if let Ok(id) = fs::read_to_string(&file) {
        return Ok(id.trim().to_owned());
    }
    // 'L' first: Kafka's tools would take an id that begins with a dash as an option.
    let id = format!("L{}", &URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes())[1..]);
    fs::write(&file, &id).map_err(BrokerError::io("write", file))?;
    Ok(id)
}
