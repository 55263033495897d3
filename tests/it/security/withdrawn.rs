//! Credentials that are refused while a worker runs.

use std::{collections::BTreeMap, time::Duration};

use super::{PASSWORD, allow_all, scram_user, secured, set_password, topics, trusting};
use crate::{
    gateway::factorial,
    harness::{Names, Producer, Worker, records_until},
};

#[test]
fn a_password_that_is_refused_for_a_while_is_said_and_nothing_is_lost() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let names = Names::new("withdrawn");
    set_password(&broker.plain(), "rotated", PASSWORD);
    topics(broker, &names);
    allow_all(broker, &names, "rotated");
    let trusting = trusting(&broker.authority, &folder, "SASL_SSL");
    let settings = [names.settings(), trusting, scram_user("rotated")].concat();
    let worker = Worker::start_with(&broker.scram(), &settings, &[("PASSWORD", PASSWORD)]);
    worker.says(&["rebalance: assign"]);
    let requests = Producer::existing(&broker.plain(), &names.source);
    let ask = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|n| requests.send(&format!("id-{n}"), Some(n.to_string().as_bytes()), None));
        requests.flush();
    };
    let mut answers = BTreeMap::new();
    let mut answered = |count: usize| {
        records_until(&broker.plain(), &names.sink, Duration::from_secs(90), |result| {
            answers.insert(result.key().to_owned(), result.value().to_owned());
            answers.len() == count
        });
        let right = (0..count as u64).map(|n| (format!("id-{n}"), format!("{n};{}", factorial(n)))).collect();
        assert_eq!(answers, right);
    };
    ask(0..100);
    answered(100);
    // The broker asks again every 4 seconds.
    set_password(&broker.plain(), "rotated", "hunter3");
    worker.says(&["not let in", "SCRAM-SHA-512"]);
    ask(100..200);
    set_password(&broker.plain(), "rotated", PASSWORD);
    answered(200);
    let (status, log) = worker.terminate();
    assert!(status.success() && !log.contains("hunter"), "{log}");
}
