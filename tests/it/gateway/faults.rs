//! What goes wrong around a gateway costs no wrong answer.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{
    Gateway, LIMIT, Pending, Site, beside, broker_exclusively, ensure, eventually, factorial, three_nodes,
};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn without_workers_requests_end_at_their_limits_in_flat_memory_and_all_is_well_when_they_are_back() {
    let site = Site::new("gateway-alone").with_topics(4);
    let gateway = site.gateway(&["http.timeout=\"1 s\"", "limits.in_flight=100"]);
    let mut next = 1_000;
    let mut round = || {
        let (mut in_time, mut too_many) = (0, 0);
        let pending: Vec<Pending> = (next..next + 150).map(|n| gateway.ask(n)).collect();
        next += 150;
        for pending in pending {
            let response = pending.response();
            match response.problem() {
                (504, kind) => {
                    assert_eq!(kind, "timeout");
                    in_time += 1;
                }
                (429, kind) => {
                    assert_eq!((kind.as_str(), response.header("retry-after")), ("too-many", "1"));
                    too_many += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(in_time >= 100 && too_many > 0 && in_time + too_many == 150, "{in_time} and {too_many}");
        in_time
    };
    let mut asked = round();
    let before = gateway.process.resident();
    let start = Instant::now();
    (0..10).for_each(|_| asked += round());
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "nobody waits longer than the limit: {:?}",
        start.elapsed()
    );
    let after = gateway.process.resident();
    assert!(after < before + (8 << 20), "{before} bytes, and then {after}");
    assert_eq!(gateway.metric("pipeline_requests_in_flight"), 0.0);

    // What was refused was not produced, and nobody waits for the rest any more: the workers drop them before computing.
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    let mut late = 0;
    eventually(SOON, || {
        let answer = gateway.get("/factorial/20");
        late += u32::from(answer.status != 200);
        ensure(answer.status == 200, || format!("it does not recover: {}", answer.text()))
    });
    assert_eq!(gateway.get("/factorial/20").text(), factorial(20));
    // Each partition comes to its end on its own.
    let expired = || worker.metric("pipeline_records_expired_total") as u32;
    eventually(SOON, || ensure(expired() >= asked, || format!("{} of {asked} were dropped", expired())));
    assert!(expired() <= asked + late, "{} of {asked} and {late}", expired());
    for result in site.read(&site.sink) {
        assert_eq!(result.value(), format!("20;{}", factorial(20)));
    }
}

/// Eight users ask one number after the other, while `disturb` does its worst: every answer is right, or a reason why
/// there is none.
fn under_load(gateway: &Gateway, disturb: impl FnOnce()) {
    let expected: Vec<String> = (0..2_000).map(factorial).collect();
    let (answered, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let user = |user: usize| {
        let (expected, answered, refused) = (&expected, &answered, &refused);
        let mut numbers = (user..2_000).step_by(8).cycle();
        move || {
            let n = numbers.next().unwrap();
            let response = gateway.ask(n as u64).response();
            match response.status {
                200 => {
                    assert_eq!(response.text(), expected[n], "{n}");
                    answered.fetch_add(1, SeqCst);
                }
                503 | 504 => {
                    response.problem();
                    refused.fetch_add(1, SeqCst);
                    thread::sleep(Duration::from_millis(20));
                }
                other => panic!("{other}: {}", response.text()),
            }
        }
    };
    beside((0..8).map(user), || {
        thread::sleep(Duration::from_secs(2));
        disturb();
        gateway.wait_until_ready();
        // All go on by themselves.
        let before = answered.load(SeqCst);
        eventually(LIMIT, || {
            ensure(answered.load(SeqCst) >= before + 200, || {
                format!("{before} before, and then {answered:?}; {refused:?} refused")
            })
        });
    });
}

#[test]
fn a_broker_that_restarts_under_load_costs_no_wrong_answer_and_it_goes_on_by_itself() {
    let mut broker = broker_exclusively();
    let site = Site::at(&broker.bootstrap_servers(), "gateway-bounce").with_topics(4);
    let _worker = site.worker(&[]);
    // Without answers that are known already, which need no broker.
    let gateway = site.gateway(&["cache.memory=0"]);
    under_load(&gateway, || broker.restart().unwrap());
}

#[test]
fn one_of_three_nodes_that_is_killed_under_load_costs_no_wrong_answer() {
    let mut cluster = three_nodes();
    let site = Site::at(&cluster.bootstrap_servers(), "gateway-three").without("kafka.");
    let three = ["request", "result"].map(|side| format!("routes.factorial.{side}.replication=3"));
    // It creates the topics.
    let session = "kafka.session.timeout.ms=6000";
    let gateway = site.gateway(&["cache.memory=0", session, &three[0], &three[1]]);
    let _worker = site.worker(&[]);
    assert_eq!(gateway.get("/factorial/10").text(), "3628800");
    under_load(&gateway, || cluster.kill_node(1));
}
