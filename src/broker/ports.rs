//! The ports of the nodes.

use std::net::{Ipv4Addr, TcpListener};

use super::BrokerError;

/// The ports of a cluster's nodes, on 127.0.0.1: node `n` has those at `n - 1`.
pub(super) struct Ports {
    /// For clients and the other nodes.
    pub(super) client: Vec<u16>,
    /// For the controllers' quorum.
    pub(super) controller: Vec<u16>,
    /// For clients that come through a proxy; empty without proxies.
    pub(super) proxied: Vec<u16>,
}

impl Ports {
    /// Chooses ports for the nodes, of which the first `proxied` have a proxy; those for clients begin at
    /// `first`, if given.
    pub(super) fn choose(nodes: u16, first: Option<u16>, proxied: u16) -> Result<Self, BrokerError> {
        let mut client = match first {
            None => Vec::new(),
            Some(port) => {
                let last = port.checked_add(nodes - 1).ok_or(BrokerError::PortTooHigh { port, nodes })?;
                (port..=last).collect()
            }
        };
        if let Some(port) = client.iter().find(|port| !is_free(**port)) {
            return Err(BrokerError::PortInUse { port: *port });
        }
        let mut taken = client.clone();
        let controller = free_ports(nodes, &mut taken)?;
        if client.is_empty() {
            client = free_ports(nodes, &mut taken)?;
        }
        let proxied = free_ports(proxied, &mut taken)?;
        Ok(Ports { client, controller, proxied })
    }
}

/// Finds free ports below the system's ephemeral range: an ephemeral port could be in use by a connection
/// when a node is restarted on it.
fn free_ports(count: u16, taken: &mut Vec<u16>) -> Result<Vec<u16>, BrokerError> {
    let mut ports = Vec::new();
    for _ in 0..count {
        let mut tried = (0..100).map(|_| fastrand::u16(20_000..32_000));
        let port =
            tried.find(|port| !taken.contains(port) && is_free(*port)).ok_or(BrokerError::NoFreePort)?;
        taken.push(port);
        ports.push(port);
    }
    Ok(ports)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = Ports::choose(1, Some(port), 0).err().unwrap().to_string();
        assert!(refused.starts_with(&format!("127.0.0.1:{port} is in use already")), "{refused}");
    }

    #[test]
    fn no_two_nodes_share_a_port() {
        let ports = Ports::choose(3, None, 3).unwrap();
        let mut all = [ports.client, ports.controller, ports.proxied].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn three_nodes_do_not_fit_above_the_last_port() {
        assert!(matches!(
            Ports::choose(3, Some(65_534), 0),
            Err(BrokerError::PortTooHigh { port: 65_534, nodes: 3 })
        ));
    }
}
