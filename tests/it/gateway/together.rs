//! Several gateways share the results, and many callers share a request.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::harness::{Gateway, LIMIT, Pending, Producer, Site, ensure, eventually, factorial};

/// Waits until all gateways together own all partitions of the results, each at least one.
fn until_shared(gateways: &[&Gateway], partitions: usize) {
    eventually(LIMIT, || {
        let owned: Vec<BTreeSet<i32>> = gateways.iter().map(|gateway| owned(gateway)).collect();
        let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
        let sum: usize = owned.iter().map(BTreeSet::len).sum();
        let shared = owned.iter().all(|owned| !owned.is_empty());
        ensure(all.len() == partitions && sum == partitions && shared, || format!("{owned:?}"))
    });
}

/// The partitions that a gateway owns, by what it has said.
fn owned(gateway: &Gateway) -> BTreeSet<i32> {
    let mut owned = BTreeSet::new();
    for line in gateway.process.log().lines() {
        let numbers = || -> Vec<i32> {
            let list = line.split("\"partitions\":\"[").nth(1).unwrap().split(']').next().unwrap();
            list.split(", ").filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect()
        };
        if line.contains("results of these partitions are ours") {
            owned.extend(numbers());
        } else if line.contains("results of these partitions are not ours any more") {
            numbers().iter().for_each(|partition| assert!(owned.remove(partition)));
        }
    }
    owned
}

#[test]
fn two_hundred_clients_that_ask_fifty_numbers_make_fifty_requests_and_get_two_hundred_right_answers() {
    let site = Site::new("gateway-crowd").with_topics(4);
    let gateway = site.gateway(&[]);
    let asked: Vec<(u64, Pending)> = (0..200).map(|i| (500 + i % 50, gateway.ask(500 + i % 50))).collect();
    gateway.until_in_flight(200);
    let _worker = site.worker(&[]);
    let expected: BTreeMap<u64, String> = (500..550).map(|n| (n, factorial(n))).collect();
    for (n, pending) in asked {
        let response = pending.response();
        assert_eq!((response.status, response.text()), (200, expected[&n].as_str()), "{n}");
    }
    let mut requests: Vec<u64> = site.read(&site.source).iter().map(|r| r.value().parse().unwrap()).collect();
    requests.sort_unstable();
    assert_eq!(requests, (500..550).collect::<Vec<_>>());
    assert_eq!(gateway.metric("pipeline_requests_coalesced_total"), 150.0);
    assert_eq!(gateway.metric("pipeline_requests_in_flight"), 0.0);
}

#[test]
fn a_gateway_that_is_killed_takes_nobody_with_it_and_one_that_joins_disturbs_nobody() {
    let site = Site::new("gateway-killed").with_topics(6);
    let one = site.gateway(&[]);
    let two = site.gateway(&[]);
    until_shared(&[&one, &two], 6);
    // 500 pending at each: no worker is there yet.
    let at_one: Vec<Pending> = (0..500).map(|n| one.ask(n)).collect();
    let at_two: Vec<(u64, Pending)> = (500..1_000).map(|n| (n, two.ask(n))).collect();
    for gateway in [&one, &two] {
        gateway.until_in_flight(500);
    }
    one.process.kill();
    for pending in at_one {
        assert!(pending.finish().is_none(), "a closed connection, and nothing else");
    }
    // Its partitions go to the other; a third joins and gets some, while 500 are pending.
    let three = site.gateway(&[]);
    until_shared(&[&two, &three], 6);
    let _worker = site.worker(&[]);
    for (n, pending) in at_two {
        let response = pending.response();
        assert_eq!((response.status, response.text()), (200, factorial(n).as_str()), "{n}");
    }
    for n in 1_000..1_050 {
        let gateway = if n % 2 == 0 { &two } else { &three };
        assert_eq!(gateway.get(&format!("/factorial/{n}")).text(), factorial(n));
    }
    // Each reads its own share: a request names a partition of the gateway that sent it, and its result is there.
    let shares = [owned(&two), owned(&three)];
    for result in site.read(&site.sink) {
        let n: usize = result.value().split(';').next().unwrap().parse().unwrap();
        if n >= 1_000 {
            assert!(shares[n % 2].contains(&result.partition), "{n} is at {}", result.partition);
            assert_eq!(
                result.header("pipeline.reply-partition"),
                Some(result.partition.to_string().as_str())
            );
        }
    }
}

#[test]
fn a_gateway_without_a_partition_says_so_and_takes_over_where_another_goes() {
    let site = Site::new("gateway-spare").with_topics(1);
    let _worker = site.worker(&[]);
    let one = site.gateway(&[]);
    let spare = site.gateway_unready(&[]);
    spare.process.says(&["results of these partitions are ours", "[]"]);
    // Whichever of the two has the partition.
    let (owner, spare) = if owned(&one).is_empty() { (spare, one) } else { (one, spare) };
    owner.wait_until_ready();
    let ready = spare.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("no partition of the result topic is left"), "{}", ready.text());
    let refused = spare.get("/factorial/10");
    assert_eq!(refused.problem(), (503, "unavailable".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(owner.get("/factorial/10").text(), "3628800");
    assert!(owner.terminate().0.success());
    spare.wait_until_ready();
    assert_eq!(spare.get("/factorial/11").text(), "39916800");
}

#[test]
fn a_partition_that_comes_back_is_read_from_near_its_end_and_not_from_where_it_was_left() {
    let site = Site::new("gateway-back").with_topics(2);
    let _worker = site.worker(&[]);
    let one = site.gateway(&["cache.preload=20"]);
    assert_eq!(one.get("/factorial/10").text(), factorial(10));
    let two = site.gateway(&[]);
    until_shared(&[&one, &two], 2);

    // Results that nobody asked for, each with digits by which it is known; far more than are read at a start.
    let [away] = owned(&two).into_iter().collect::<Vec<_>>()[..] else { panic!("it has one") };
    let results = Producer::existing(&site.servers, &site.sink);
    for n in 1_000..2_000 {
        results.send("", Some(format!("{n};7").as_bytes()), Some(away));
    }
    results.flush();
    assert!(two.terminate().0.success());
    until_shared(&[&one], 2);
    // Asking for one that is not known makes it known, so each is asked for once.
    let read = (1_980..2_000).rev().any(|n| {
        std::thread::sleep(Duration::from_millis(500));
        one.get(&format!("/factorial/{n}")).text() == "7"
    });
    assert!(read, "the last results are not read");
    // They were read in order, so what is not known now was passed over.
    assert_eq!(one.get("/factorial/1000").text(), factorial(1_000), "it was read from where it was left");
    for n in 2_000..2_020 {
        assert_eq!(one.get(&format!("/factorial/{n}")).text(), factorial(n), "from both partitions");
    }
}
