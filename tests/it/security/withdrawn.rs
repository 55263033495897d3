//! Credentials that are refused while a worker runs.

use std::collections::BTreeMap;

use super::{PASSWORD, allow_all, create_topics, scram_user, secured, set_password, site, trusting};
use crate::harness::{Producer, factorial};

#[test]
fn a_password_that_is_refused_for_a_while_is_said_and_nothing_is_lost() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let way = [trusting(&broker.authority, &folder, "SASL_SSL"), scram_user("rotated")].concat();
    let site = site("withdrawn", &broker.scram(), &way, PASSWORD);
    set_password(&site.servers, "rotated", PASSWORD);
    create_topics(&site);
    allow_all(&site, "rotated");
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    let requests = Producer::existing(&site.servers, &site.source);
    let ask = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|n| requests.send(&format!("id-{n}"), Some(n.to_string().as_bytes()), None));
        requests.flush();
    };
    let mut answers = BTreeMap::new();
    let mut answered = |count: usize| {
        site.results(|result| {
            answers.insert(result.key().to_owned(), result.value().to_owned());
            answers.len() == count
        });
        let right = (0..count as u64).map(|n| (format!("id-{n}"), format!("{n};{}", factorial(n)))).collect();
        assert_eq!(answers, right);
    };
    ask(0..100);
    answered(100);
    // The broker asks again every 4 seconds.
    set_password(&site.servers, "rotated", "hunter3");
    worker.says(&["does not accept this client", "SCRAM-SHA-512"]);
    ask(100..200);
    set_password(&site.servers, "rotated", PASSWORD);
    answered(200);
    let (status, log) = worker.terminate();
    assert!(status.success() && !log.contains("hunter"), "{log}");
}
