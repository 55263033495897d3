//! What librdkafka's statistics report on each broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::held::Stable;
use crate::record::TopicPartition;

/// A Kafka client of a pipeline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Client {
    /// The source's.
    Consumer,
    /// The sink's.
    Producer,
}

/// What a client's statistics report on one broker.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct BrokerState {
    /// Whether the client is connected to it.
    pub up: bool,
    /// The average time of a request since the last statistics; `None` where there was none.
    pub rtt: Option<Duration>,
    /// Failed or unanswered requests and broken connections so far.
    pub errors: u64,
}

/// One report of a client's statistics.
#[derive(Clone, Default, Debug)]
pub struct ClientStatistics {
    /// The brokers that the client uses, by address (`host:port`).
    pub brokers: BTreeMap<String, BrokerState>,
    /// Consumer: records fetched ahead.
    pub fetch_queue: u64,
    /// Consumer: the reason for the group's last rebalance.
    pub rebalance_reason: String,
    /// Consumer: where the partitions that it fetches stand for readers of what is committed.
    pub stable: BTreeMap<TopicPartition, Stable>,
}

/// The latest statistics of each client.
#[derive(Default)]
pub struct Clients(BTreeMap<Client, ClientStatistics>);

impl Clients {
    pub fn report(&mut self, client: Client, mut statistics: ClientStatistics) {
        // Where nothing was sent since, the last round-trip time is still the best one known.
        let before = self.0.remove(&client).unwrap_or_default();
        for (name, broker) in &mut statistics.brokers {
            broker.rtt = broker.rtt.or_else(|| before.brokers.get(name)?.rtt);
        }
        self.0.insert(client, statistics);
    }

    /// The clients were closed: forgets their statistics.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Each broker: up if any client is connected; the producer's round trip; all clients' errors.
    pub fn brokers(&self) -> BTreeMap<&str, BrokerState> {
        let names: BTreeSet<&str> =
            self.0.values().flat_map(|client| client.brokers.keys().map(String::as_str)).collect();
        names
            .into_iter()
            .map(|name| {
                let states = || self.0.values().filter_map(|client| client.brokers.get(name));
                let producer = self.0.get(&Client::Producer).and_then(|client| client.brokers.get(name));
                let state = BrokerState {
                    up: states().any(|broker| broker.up),
                    rtt: producer.and_then(|broker| broker.rtt),
                    errors: states().map(|broker| broker.errors).sum(),
                };
                (name, state)
            })
            .collect()
    }

    pub fn fetch_queue(&self) -> u64 {
        self.0.get(&Client::Consumer).map_or(0, |consumer| consumer.fetch_queue)
    }

    pub fn rebalance_reason(&self) -> &str {
        self.0.get(&Client::Consumer).map_or("", |consumer| &consumer.rebalance_reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(up: bool, rtt: Option<u64>, errors: u64) -> ClientStatistics {
        let broker = BrokerState { up, rtt: rtt.map(Duration::from_millis), errors };
        ClientStatistics { brokers: [("a:9092".to_owned(), broker)].into(), ..Default::default() }
    }

    #[test]
    fn a_broker_is_up_while_any_client_is_connected_and_its_round_trip_is_the_producers() {
        let mut clients = Clients::default();
        clients.report(Client::Consumer, statistics(true, Some(500), 1));
        clients.report(Client::Producer, statistics(false, Some(2), 3));
        let two = Some(Duration::from_millis(2));
        assert_eq!(clients.brokers()["a:9092"], BrokerState { up: true, rtt: two, errors: 4 });
        clients.report(Client::Producer, statistics(false, None, 3));
        assert_eq!(clients.brokers()["a:9092"].rtt, two, "the last is kept while nothing is sent");
        clients.report(Client::Consumer, statistics(false, None, 5));
        assert_eq!(clients.brokers()["a:9092"], BrokerState { up: false, rtt: two, errors: 8 });
        clients.clear();
        assert!(clients.brokers().is_empty());
    }
}
