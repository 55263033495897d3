//! Why a broker could not be started.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::KAFKA_VERSION;

/// Why a broker could not be started; each message names the cause and what to do.
#[derive(Error, Debug)]
pub enum BrokerError {
    /// A required program is not installed.
    #[error(
        "`{program}` was not found, and {purpose} needs it: install it (Debian: apt-get install {package})"
    )]
    Missing {
        /// The program's name.
        program: String,
        /// What needs it.
        purpose: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The Java that was found cannot run this Kafka.
    #[error(
        "`{program}` is Java {found}, and Apache Kafka {KAFKA_VERSION} needs 17 or later: install one (Debian: \
         apt-get install default-jre-headless) or set JAVA_HOME to it"
    )]
    OldJava {
        /// The Java program.
        program: String,
        /// Its version.
        found: String,
    },
    /// Neither the XDG variable nor `HOME` is set.
    #[error("neither {variable} nor HOME is set, so there is no folder to keep {what} in: set one of them")]
    NoHome {
        /// The XDG variable.
        variable: &'static str,
        /// What would be kept there.
        what: &'static str,
    },
    /// Maven could not fetch the jars.
    #[error(
        "Maven could not fetch Apache Kafka {KAFKA_VERSION}; is its repository reachable? It said:\n{output}"
    )]
    Fetch {
        /// The last lines of Maven's output.
        output: String,
    },
    /// An operation on a file, folder or process failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another cluster runs on the data.
    #[error(
        "another `pipeline broker` runs on the data in {}: stop that one, or name another folder with --data",
        folder.display()
    )]
    InUse {
        /// Where the data is.
        folder: PathBuf,
    },
    /// A port is taken.
    #[error(
        "127.0.0.1:{port} is in use already, by another broker perhaps: stop that, or choose another port"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// No port is free.
    #[error("found no free port on 127.0.0.1 between 20000 and 32000: is something using them up?")]
    NoFreePort,
    /// The ports would end above 65535.
    #[error(
        "port {port} leaves no room for the {nodes} nodes, which listen on consecutive ports: choose a lower one"
    )]
    PortTooHigh {
        /// The first port.
        port: u16,
        /// How many nodes there are.
        nodes: u16,
    },
    /// The data folder belongs to a cluster of another size.
    #[error(
        "{} holds the data of a cluster of {found} node(s), not {asked}: ask for {found}, or name another folder",
        folder.display()
    )]
    OtherSize {
        /// The data folder.
        folder: PathBuf,
        /// How many nodes have data in it.
        found: usize,
        /// The requested number.
        asked: usize,
    },
    /// A node's data folder could not be prepared.
    #[error("Kafka's StorageTool could not prepare {}; it said:\n{output}", folder.display())]
    Format {
        /// The node's folder.
        folder: PathBuf,
        /// The last lines that it printed.
        output: String,
    },
    /// A node ended by itself.
    #[error("Kafka node {node} ended by itself; the last lines of {}:\n{lines}", log.display())]
    Ended {
        /// The node's id.
        node: usize,
        /// The node's log, whose last lines say why.
        log: PathBuf,
        /// The log's last lines.
        lines: String,
    },
    /// A node did not become ready.
    #[error("Kafka node {node} was not ready after {seconds} s; the last lines of {}:\n{lines}", log.display())]
    NotReady {
        /// The node's id.
        node: usize,
        /// How long it had.
        seconds: u64,
        /// The node's log.
        log: PathBuf,
        /// The log's last lines.
        lines: String,
    },
}

impl BrokerError {
    /// For `map_err`: makes [`BrokerError::Io`] from what was tried, and on what.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| BrokerError::Io { action, path, source }
    }
}

/// The last lines of a program's output, few enough for a screen.
pub(super) fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
