//! A cluster on this machine whose clients reach each node through a proxy of its own.

use std::{io, net::TcpListener};

use thiserror::Error;

use super::proxy::Proxy;
use crate::broker::{BrokerError, Jars, LocalCluster, Settings};

/// Why there is no such cluster.
#[derive(Error, Debug)]
pub enum ClusterError {
    /// The nodes.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The proxies.
    #[error("cannot start the proxy in front of a broker: {0}")]
    Proxy(#[from] io::Error),
}

/// A running cluster and the proxies in front of its nodes; all end with this value.
pub struct ProxiedCluster {
    // Before the nodes: what comes through them goes on for as long as they are there.
    proxies: Vec<Proxy>,
    /// The nodes, which can be reached past the proxies too, at [`LocalCluster::bootstrap_servers`].
    pub nodes: LocalCluster,
}

impl ProxiedCluster {
    /// Starts the nodes, and their proxies.
    ///
    /// # Errors
    /// A node or a proxy did not come up.
    pub fn start(jars: &Jars, settings: &Settings) -> Result<Self, ClusterError> {
        // They listen before the nodes are there, as those must know the addresses that they tell.
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

    /// The proxies' addresses, as `bootstrap.servers` wants them: who begins there never reaches a node but through
    /// its proxy.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        addresses.join(",")
    }

    /// The proxy of each node, in their order.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }
}
