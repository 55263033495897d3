use std::time::{Duration, Instant};

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
        assert_eq!((in_time, too_many), (100, 50));
    };
    round();
    let before = gateway.process.resident();
    let start = Instant::now();
    (0..10).for_each(|_| round());
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "nobody waits longer than the limit: {:?}",
        start.elapsed()
    );
    let after = gateway.process.resident();
    assert!(after < before + (8 << 20), "{before} bytes, and then {after}");
    assert_eq!(gateway.metric("pipeline_requests_in_flight"), 0.0);

    // Nobody waits for these any more: the workers drop them before computing.
    let worker = Worker::start(&servers, &names.settings());
    assert_eq!(gateway.begin("GET /factorial/20\nprefer: wait=1", "").response().text(), factorial(20));
    let expired =
        ureq::get(format!("{}/metrics", worker.metrics())).call().unwrap().body_mut().read_to_string();
    let line = format!("pipeline_records_expired_total{{pipeline=\"factorial\"}} {}", 11 * 100);
    assert!(expired.as_ref().unwrap().lines().any(|found| found == line), "{line} is not in\n{expired:?}");
    let results = read_committed(&servers, &names.sink);
    assert_eq!(results.iter().map(|r| r.value()).collect::<Vec<_>>(), [format!("20;{}", factorial(20))]);
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
    let expected: Vec<String> = (0..2_000).map(factorial).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (answered, refused) = std::thread::scope(|scope| {
        let users: Vec<_> = (0..8_u64)
            .map(|user| {
                let (gateway, expected, stop) = (&gateway, &expected, &stop);
                scope.spawn(move || {
                    let (mut answered, mut refused) = (0_u32, 0_u32);
                    for n in (user..2_000).step_by(8).cycle() {
                        if stop.load(std::sync::atomic::Ordering::Relaxed) {
                            break;
                        }
                        let response = gateway.ask(n).response();
                        match response.status {
                            200 => {
                                assert_eq!(response.text(), expected[n as usize], "{n}");
                                answered += 1;
                            }
                            503 | 504 => {
                                response.problem();
                                refused += 1;
                                std::thread::sleep(Duration::from_millis(20));
                            }
                            other => panic!("{other}: {}", response.text()),
                        }
                    }
                    (answered, refused)
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(2));
        broker.restart().unwrap();
        gateway.wait_until_ready();
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        users.into_iter().map(|user| user.join().unwrap()).fold((0, 0), |(a, r), (b, s)| (a + b, r + s))
    });
    assert!(answered > 100, "{answered} answered, {refused} refused");
    for n in [1_990, 1_991, 1_992] {
        assert_eq!(gateway.get(&format!("/factorial/{n}")).text(), expected[n as usize]);
    }
}
