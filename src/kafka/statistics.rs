//! The useful part of librdkafka's statistics (librdkafka STATISTICS.md).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::statistics::{Broker, Partition, Statistics};

use crate::{
    record::TopicPartition,
    telemetry::{BrokerState, ClientStatistics, Stable},
};

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
        stable: stable(statistics),
    }
}

/// Where the partitions that are fetched stand, as the last answers to fetches have said it. Who reads what is not committed is told of
/// no last stable offset, and is held back by nothing.
fn stable(statistics: &Statistics) -> BTreeMap<TopicPartition, Stable> {
    let mut all = BTreeMap::new();
    for topic in statistics.topics.values() {
        let name: Arc<str> = Arc::from(topic.topic.as_str());
        // -1 is the partition of records that have none yet.
        let known = |of: &&Partition| of.partition >= 0 && of.fetch_state == "active" && of.ls_offset >= 0;
        for of in topic.partitions.values().filter(known) {
            let stable = Stable { offset: of.ls_offset, end: of.hi_offset, next: of.next_offset };
            all.insert(TopicPartition::new(name.clone(), of.partition), stable);
        }
    }
    all
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
    use rdkafka::statistics::{Topic, Window};

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
    fn a_partition_that_is_fetched_has_a_last_stable_offset_unless_all_is_read() {
        let partition = |partition, fetch_state: &str, ls_offset| Partition {
            partition,
            fetch_state: fetch_state.to_owned(),
            ls_offset,
            hi_offset: 9,
            next_offset: 5,
            ..Partition::default()
        };
        let of = [(0, "active", 5), (1, "none", 5), (2, "active", -1001), (-1, "active", 5)];
        let partitions = of.map(|(number, state, stable)| (number, partition(number, state, stable)));
        let topic = Topic { topic: "t".to_owned(), partitions: partitions.into(), ..Topic::default() };
        let statistics = Statistics { topics: [("t".to_owned(), topic)].into(), ..Statistics::default() };
        let expected = (TopicPartition::new("t", 0), Stable { offset: 5, end: 9, next: 5 });
        assert_eq!(read(&statistics).stable, [expected].into());
    }

    #[test]
    fn errors_are_added_up_and_times_are_in_seconds() {
        let state = state_of(&broker(1, "a", "learned", "UP").1);
        assert_eq!(state, BrokerState { up: true, rtt: Some(Duration::from_micros(1_500)), errors: 7 });
    }
}
