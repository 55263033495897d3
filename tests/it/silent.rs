//! A connection that is silent, and does not say that it is gone.

use std::time::{Duration, Instant};

use pipeline::verify::proxy::{Api, Held};

use crate::harness::{Site, records_within, start_behind_proxies};

const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_request_that_is_never_answered_holds_the_work_up_for_10_s() {
    let cluster = start_behind_proxies(&[]);
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    for api in [Api::Fetch, Api::Produce] {
        let site = Site::at(&direct, "silent").through(&cluster.bootstrap_servers());
        let producer = site.producer(1);
        let worker = site.worker(&[]);
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
        let found = records_within(&site.servers, &site.sink, LIMIT, |record| record.key() == "a");
        let took = begun.elapsed();
        assert!(found.is_some(), "{api}:\n{}", worker.log());
        eprintln!("{api}: {took:?}");
        assert!(took < Duration::from_secs(20), "{api}: {took:?}\n{}", worker.log());
    }
}
