//! What librdkafka's statistics say of each broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A Kafka client of a pipeline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Client {
    /// The source's.
    Consumer,
    /// The sink's.
    Producer,
}

/// What a client knows of a broker.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct BrokerState {
    /// Whether it is connected.
    pub up: bool,
    /// The average time of a request since the last statistics; `None` where there was none.
    pub rtt: Option<Duration>,
    /// Failed or unanswered requests and broken connections so far.
    pub errors: u64,
}

/// What a client tells of itself now and then.
#[derive(Clone, Default, Debug)]
pub struct ClientStatistics {
    /// By address, `host:port`: the brokers that it has to do with.
    pub brokers: BTreeMap<String, BrokerState>,
    /// Consumer: records fetched ahead.
    pub fetch_queue: u64,
    /// Consumer: why the group was rebalanced last.
    pub rebalance_reason: String,
}

/// The statistics of all clients, as last told.
#[derive(Default)]
pub struct Clients(BTreeMap<Client, ClientStatistics>);

impl Clients {
    pub fn tell(&mut self, client: Client, mut statistics: ClientStatistics) {
        // Where nothing was sent since, the last time is still the best that is known.
        let before = self.0.remove(&client).unwrap_or_default();
        for (name, broker) in &mut statistics.brokers {
            broker.rtt = broker.rtt.or_else(|| before.brokers.get(name)?.rtt);
        }
        self.0.insert(client, statistics);
    }

    /// The clients are gone.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Each broker: connected by any client, the producer's round trip, the errors of all.
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
        clients.tell(Client::Consumer, statistics(true, Some(500), 1));
        clients.tell(Client::Producer, statistics(false, Some(2), 3));
        let two = Some(Duration::from_millis(2));
        assert_eq!(clients.brokers()["a:9092"], BrokerState { up: true, rtt: two, errors: 4 });
        clients.tell(Client::Producer, statistics(false, None, 3));
        assert_eq!(clients.brokers()["a:9092"].rtt, two, "the last is kept while nothing is sent");
        clients.tell(Client::Consumer, statistics(false, None, 5));
        assert_eq!(clients.brokers()["a:9092"], BrokerState { up: false, rtt: two, errors: 8 });
        clients.clear();
        assert!(clients.brokers().is_empty());
    }
}
