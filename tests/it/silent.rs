//! A connection that is silent, and does not say that it is gone.

use std::time::{Duration, Instant};

use pipeline::{
    broker::{Data, Jars, Nodes, Settings},
    verify::{
        ProxiedCluster,
        proxy::{Api, Held},
    },
};

use crate::harness::{Names, Producer, Worker, records_within};

const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_request_that_is_never_answered_holds_the_work_up_for_10_s() {
    let properties = vec![("group.min.session.timeout.ms".to_owned(), "1000".to_owned())];
    let (nodes, data) = (Nodes::One, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 384, properties };
    let cluster = ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    for api in [Api::Fetch, Api::Produce] {
        let names = Names::new("silent");
        let producer = Producer::new(&direct, &names.source, 1, &[]);
        let worker = Worker::start(&cluster.bootstrap_servers(), &names.settings());
        worker.says(&["rebalance: assign"]);
        let held = Held::new();
        proxy.hold_next(api, &held);
        if api == Api::Fetch {
            // The one that is at the broker already would bring it.
            assert!(held.caught(SOON), "{}", worker.log());
        }
        producer.send("a", Some(b"10"), None);
        producer.flush();
        assert!(held.caught(SOON), "{api}: {}", worker.log());
        let begun = Instant::now();
        let found = records_within(&direct, &names.sink, LIMIT, |record| record.key() == "a");
        let took = begun.elapsed();
        assert!(found.is_some(), "{api}:\n{}", worker.log());
        eprintln!("{api}: {took:?}");
        assert!(took < Duration::from_secs(20), "{api}: {took:?}\n{}", worker.log());
    }
}
