//! `pipeline broker`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::broker::{Data, Jars, KAFKA_VERSION, LocalCluster, Nodes, Settings, data_folder};

/// Where every command looks for a broker by default.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9092";

/// Start a real Apache Kafka on this machine, and keep its data
///
/// Needs Java 17 or later, and Maven for the first start, which fetches about 45 MB. Listens on 127.0.0.1
/// only, without authentication, until it is stopped with Ctrl-C or SIGTERM.
#[derive(Args, Debug)]
pub struct Broker {
    /// The number of nodes; with three, everything is replicated three times
    #[arg(long, value_enum, default_value = "1")]
    nodes: NodeCount,
    /// The data folder [default: $XDG_DATA_HOME/pipeline/broker, or the same in ~/.local/share; with -3
    /// appended for three nodes]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port for clients; with three nodes, the others use the next two
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// Each node's Java heap in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    heap: u32,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum NodeCount {
    #[value(name = "1")]
    One,
    #[value(name = "3")]
    Three,
}

impl Broker {
    /// Runs the broker until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// It could not be started, or a node ended by itself.
    pub fn run(self) -> Result<(), Failure> {
        let nodes = match self.nodes {
            NodeCount::One => Nodes::One,
            NodeCount::Three => Nodes::Three,
        };
        let folder = self.data.map_or_else(|| data_folder(nodes), Ok).map_err(Failure::failed)?;
        eprintln!(
            "starting Apache Kafka {KAFKA_VERSION} with its data in {} (the first start fetches it, about 45 MB)",
            folder.display()
        );
        let settings = Settings {
            nodes,
            data: Data::Kept(folder),
            port: Some(self.port),
            heap_mib: self.heap,
            properties: Vec::new(),
        };
        let jars = Jars::fetch().map_err(Failure::failed)?;
        let mut cluster = LocalCluster::start(&jars, &settings).map_err(Failure::failed)?;
        announce(&cluster.bootstrap_servers());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        runtime.block_on(until_stopped(&mut cluster))?;
        eprintln!("stopping; the data stays");
        cluster.stop();
        Ok(())
    }
}

fn announce(address: &str) {
    println!("ready at {address}");
    if address == DEFAULT_ADDRESS {
        println!("  nothing to configure: `pipeline` looks there by default; stop it with Ctrl-C");
    } else {
        println!("  export PIPELINE_BOOTSTRAP_SERVERS={address}");
    }
}

async fn until_stopped(cluster: &mut LocalCluster) -> Result<(), Failure> {
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            _ = look.tick() => cluster.check().map_err(Failure::failed)?,
        }
    }
}
