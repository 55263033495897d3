use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    time::{Duration, Instant},
};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};

use super::{Gateway, Pending, factorial, topics};
use crate::harness::{Names, Worker, broker, broker_exclusively, read_committed};

#[test]
fn without_workers_requests_end_at_their_limits_in_flat_memory_and_all_is_well_when_they_are_back() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("gateway-alone");
    topics(&servers, &names, 4);
    let gateway = Gateway::start(&servers, &names, &["http.timeout=\"1 s\"", "limits.in_flight=100"]);
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
    let worker = Worker::start(&servers, &names.settings());
    worker.says(&["rebalance: assign"]);
    let (deadline, mut late) = (Instant::now() + Duration::from_secs(30), 0);
    while gateway.get("/factorial/20").status != 200 {
        late += 1;
        assert!(Instant::now() < deadline, "it does not recover");
    }
    assert_eq!(gateway.get("/factorial/20").text(), factorial(20));
    // Each partition comes to its end on its own.
    let expired = || -> u32 {
        let text = worker.scrape();
        let line = text.lines().find(|line| line.starts_with("pipeline_records_expired_total{")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    while expired() < asked {
        assert!(Instant::now() < deadline, "{} of {asked} were dropped", expired());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(expired() <= asked + late, "{} of {asked} and {late}", expired());
    for result in read_committed(&servers, &names.sink) {
        assert_eq!(result.value(), format!("20;{}", factorial(20)));
    }
}

/// Eight users ask one number after the other, while `disturb` does its worst: every answer is right, or a reason why
/// there is none.
fn under_load(gateway: &Gateway, disturb: impl FnOnce()) {
    let expected: Vec<String> = (0..2_000).map(factorial).collect();
    let (answered, refused, stop) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for user in 0..8 {
            let (expected, answered, refused, stop) = (&expected, &answered, &refused, &stop);
            scope.spawn(move || {
                for n in (user..2_000).step_by(8).cycle() {
                    if stop.load(SeqCst) {
                        break;
                    }
                    let response = gateway.ask(n as u64).response();
                    match response.status {
                        200 => {
                            assert_eq!(response.text(), expected[n], "{n}");
                            answered.fetch_add(1, SeqCst);
                        }
                        503 | 504 => {
                            response.problem();
                            refused.fetch_add(1, SeqCst);
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        other => panic!("{other}: {}", response.text()),
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(2));
        disturb();
        gateway.wait_until_ready();
        // Everybody goes on by himself.
        let before = answered.load(SeqCst);
        let deadline = Instant::now() + Duration::from_secs(60);
        while answered.load(SeqCst) < before + 200 {
            assert!(Instant::now() < deadline, "{before} before, and then {answered:?}; {refused:?} refused");
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn a_broker_that_restarts_under_load_costs_no_wrong_answer_and_it_goes_on_by_itself() {
    let mut broker = broker_exclusively();
    let servers = broker.bootstrap_servers();
    let names = Names::new("gateway-bounce");
    topics(&servers, &names, 4);
    let _worker = Worker::start(&servers, &names.settings());
    // Without answers that are known already, which need no broker.
    let gateway = Gateway::start(&servers, &names, &["cache.memory=0"]);
    under_load(&gateway, || broker.restart().unwrap());
}

#[test]
fn one_of_three_nodes_that_is_killed_under_load_costs_no_wrong_answer() {
    let settings = Settings {
        nodes: Nodes::Three,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: vec![("broker.session.timeout.ms".to_owned(), "4000".to_owned())],
    };
    let mut cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let servers = cluster.bootstrap_servers();
    let names = Names::new("gateway-three");
    let three = ["request", "result"].map(|side| format!("routes.factorial.{side}.replication=3"));
    // It creates the topics.
    let session = "kafka.session.timeout.ms=6000";
    let gateway = Gateway::start(&servers, &names, &["cache.memory=0", session, &three[0], &three[1]]);
    let mut settings = names.settings();
    settings.retain(|setting| !setting.contains("timeout.ms") && !setting.contains("heartbeat"));
    let _worker = Worker::start(&servers, &settings);
    assert_eq!(gateway.get("/factorial/10").text(), "3628800");
    under_load(&gateway, || cluster.kill_node(1));
}
