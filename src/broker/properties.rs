//! A node's `server.properties`.

use std::{fmt::Write, net::SocketAddr};

use super::ports::Ports;

/// The settings of node `node` (from 1), overridden by `extra`. With a proxy there is one more listener,
/// `PROXIED`, which advertises the proxy.
///
/// `data` is relative to the node's folder, in which Java runs: an absolute path would need escaping for
/// Kafka.
pub(super) fn server_properties(
    node: usize,
    ports: &Ports,
    proxy: Option<SocketAddr>,
    extra: &[(String, String)],
) -> String {
    let nodes = ports.client.len();
    let voters: Vec<String> =
        (1..).zip(&ports.controller).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
    let (client, controller) = (ports.client[node - 1], ports.controller[node - 1]);
    let in_sync = if nodes > 1 { 2 } else { 1 };
    let [listener, advertised] = match (ports.proxied.get(node - 1), proxy) {
        (Some(port), Some(proxy)) => [format!(",PROXIED://127.0.0.1:{port}"), format!(",PROXIED://{proxy}")],
        _ => [String::new(), String::new()],
    };
    let mut text = format!(
        "\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
# Loopback alone: there is no authentication.
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{client}{advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs=data
num.partitions=2
default.replication.factor={nodes}
min.insync.replicas={in_sync}
offsets.topic.num.partitions=8
offsets.topic.replication.factor={nodes}
transaction.state.log.num.partitions=8
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={nodes}
share.coordinator.state.topic.min.isr={in_sync}
# A group of one, as at a first look, has its partitions at once instead of after 3 s.
group.initial.rebalance.delay.ms=0
# What a dead worker's transaction holds back is free a second after its time is over, not up to ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# message.max.bytes stays as Kafka has it, 1048588: what fits here fits where nobody changed it either.
# For a laptop: 128 MiB segments instead of 1 GiB, 16 MiB for the cleaner instead of 128.
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
",
        voters = voters.join(","),
    );
    for (name, value) in extra {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_three_knows_the_others_and_keeps_three_replicas() {
        let ports =
            Ports { client: vec![9092, 9093, 9094], controller: vec![20001, 20002, 20003], proxied: vec![] };
        let extra = [("num.partitions".to_owned(), "7".to_owned())];
        let text = server_properties(2, &ports, None, &extra);
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:20001,2@127.0.0.1:20002,3@127.0.0.1:20003",
            "listeners=PLAINTEXT://127.0.0.1:9093,CONTROLLER://127.0.0.1:20002",
            "default.replication.factor=3",
            "min.insync.replicas=2",
        ] {
            assert!(lines.contains(&line), "{line} is missing in:\n{text}");
        }
        assert_eq!(
            lines.last(),
            Some(&"num.partitions=7"),
            "what the caller asks for comes last, and so wins"
        );
    }

    #[test]
    fn a_node_behind_a_proxy_sends_its_clients_there_and_the_other_nodes_to_itself() {
        let ports = Ports { client: vec![9092], controller: vec![20001], proxied: vec![20002] };
        let proxy = Some(SocketAddr::from(([127, 0, 0, 1], 30_000)));
        let text = server_properties(1, &ports, proxy, &[]);
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:20001,PROXIED://127.0.0.1:20002",
            "advertised.listeners=PLAINTEXT://127.0.0.1:9092,PROXIED://127.0.0.1:30000",
            "inter.broker.listener.name=PLAINTEXT",
        ] {
            assert!(lines.contains(&line), "{line} is missing in:\n{text}");
        }
    }
}
