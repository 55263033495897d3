//! The useful part of librdkafka's statistics (librdkafka STATISTICS.md).

use std::{collections::BTreeMap, time::Duration};

use rdkafka::statistics::{Broker, Statistics};

use crate::telemetry::{BrokerState, ClientStatistics};

/// How often the clients report statistics, in milliseconds, unless the file says otherwise.
pub const INTERVAL: &str = "1000";

/// The brokers that a client has connected to, or has tried to, and how many records it has fetched ahead.
pub fn read(statistics: &Statistics) -> ClientStatistics {
    // A broker that is known from the cluster has a number. The bootstrap addresses have none, and are left
    // out once the cluster is known.
    let learned = |broker: &&Broker| broker.nodeid >= 0 && broker.source == "learned";
    let known = statistics.brokers.values().any(|broker| learned(&broker));
    let mut brokers: BTreeMap<String, BrokerState> = BTreeMap::new();
    for broker in statistics.brokers.values() {
        let counts = if known { learned(&broker) } else { broker.source == "configured" };
        // librdkafka connects to a broker only when it needs it.
        let tried = broker.connects.unwrap_or(0) > 0 || broker.txerrs > 0 || broker.state != "INIT";
        if counts && tried {
            brokers.insert(broker.nodename.clone(), state_of(broker));
        }
    }
    let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
    ClientStatistics {
        brokers,
        fetch_queue: partitions.map(|partition| partition.fetchq_cnt.max(0) as u64).sum(),
        rebalance_reason: statistics
            .cgrp
            .as_ref()
            .map(|group| group.rebalance_reason.clone())
            .unwrap_or_default(),
    }
}

fn state_of(broker: &Broker) -> BrokerState {
    let rtt = broker.rtt.as_ref().filter(|window| window.cnt > 0);
    BrokerState {
        up: broker.state == "UP",
        rtt: rtt.map(|window| Duration::from_micros(window.avg.max(0) as u64)),
        errors: broker.txerrs + broker.rxerrs + broker.req_timeouts,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Window;

    use super::*;

    fn broker(nodeid: i32, name: &str, source: &str, state: &str) -> (String, Broker) {
        let broker = Broker {
            nodeid,
            nodename: name.to_owned(),
            source: source.to_owned(),
            state: state.to_owned(),
            txerrs: 1,
            rxerrs: 2,
            req_timeouts: 4,
            rtt: Some(Window { avg: 1_500, cnt: 3, ..Window::default() }),
            ..Broker::default()
        };
        (format!("{name}/{nodeid}"), broker)
    }

    fn names(brokers: Vec<(String, Broker)>) -> Vec<(String, bool)> {
        let statistics = Statistics { brokers: brokers.into_iter().collect(), ..Statistics::default() };
        read(&statistics).brokers.into_iter().map(|(name, state)| (name, state.up)).collect()
    }

    #[test]
    fn where_one_begins_counts_only_until_the_cluster_is_known() {
        let begin = broker(-1, "kafka:9092", "configured", "DOWN");
        let coordinator = broker(-1, "10.0.0.1:9092", "logical", "UP");
        assert_eq!(names(vec![begin.clone(), coordinator.clone()]), [("kafka:9092".to_owned(), false)]);
        let learned = broker(1, "10.0.0.1:9092", "learned", "UP");
        assert_eq!(names(vec![begin, coordinator, learned]), [("10.0.0.1:9092".to_owned(), true)]);
    }

    #[test]
    fn a_broker_that_was_never_needed_is_not_away() {
        let (name, mut idle) = broker(2, "b:9092", "learned", "INIT");
        idle.txerrs = 0;
        assert_eq!(names(vec![(name, idle)]), []);
    }

    #[test]
    fn errors_are_added_up_and_times_are_in_seconds() {
        let state = state_of(&broker(1, "a", "learned", "UP").1);
        assert_eq!(state, BrokerState { up: true, rtt: Some(Duration::from_micros(1_500)), errors: 7 });
    }
}
