//! A cluster on this machine with a proxy in front of each node.

use std::{io, net::TcpListener};

use thiserror::Error;

use super::proxy::Proxy;
use crate::broker::{BrokerError, Jars, LocalCluster, Settings};

/// Why the cluster did not start.
#[derive(Error, Debug)]
pub enum ClusterError {
    /// A node failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A proxy failed.
    #[error("cannot start the proxy in front of a broker: {0}")]
    Proxy(#[from] io::Error),
}

/// A running cluster and the proxies in front of its nodes; stopped when dropped.
pub struct ProxiedCluster {
    // Dropped before the nodes, so that connections through the proxies end first.
    proxies: Vec<Proxy>,
    /// The nodes, which can also be reached without the proxies, at [`LocalCluster::bootstrap_servers`].
    pub nodes: LocalCluster,
}

impl ProxiedCluster {
    /// Starts the nodes, and their proxies.
    ///
    /// # Errors
    /// A node or a proxy did not come up.
    pub fn start(jars: &Jars, settings: &Settings) -> Result<Self, ClusterError> {
        // The proxies listen first: the nodes advertise their addresses.
        let listeners = (0..settings.nodes.count())
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let nodes = LocalCluster::start_behind(jars, settings, &addresses)?;
        let proxies = listeners
            .into_iter()
            .zip(nodes.proxied())
            .map(|(listener, node)| Proxy::start(listener, node))
            .collect::<io::Result<_>>()?;
        Ok(ProxiedCluster { proxies, nodes })
    }

    /// The proxies' addresses, for `bootstrap.servers`: a client that starts there reaches every node through
    /// its proxy.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        addresses.join(",")
    }

    /// The proxy of each node, in order.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }
}
