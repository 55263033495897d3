//! Brokers that know the workers' credentials no more, for a while.

use std::{collections::BTreeMap, thread, time::Duration};

use pipeline::{
    broker::{Data, Jars, Nodes, Settings},
    verify::{
        ProxiedCluster,
        proxy::{Api, Effect, SASL_AUTHENTICATION_FAILED},
    },
};

use crate::harness::{Names, Producer, Worker, read_committed, records_until};

const LIMIT: Duration = Duration::from_secs(60);

fn cluster() -> ProxiedCluster {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required user_worker=\"secret\";";
    let properties = [
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT"),
        ("listener.name.proxied.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.proxied.plain.sasl.jaas.config", login),
        ("group.min.session.timeout.ms", "1000"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let (nodes, data) = (Nodes::One, Data::Temporary);
    let settings = Settings { nodes, data, port: None, heap_mib: 384, properties };
    ProxiedCluster::start(&Jars::fetch().unwrap(), &settings).unwrap()
}

#[test]
fn a_worker_goes_on_when_its_credentials_are_right_again() {
    let cluster = cluster();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    for guarantee in ["at-least-once", "exactly-once"] {
        let names = Names::new("credentials");
        let producer = Producer::new(&direct, &names.source, 2, &[]);
        let ask = |which: &str| {
            (0..200).for_each(|id| producer.send(&format!("{which}-{id}"), Some(b"10"), None));
            producer.flush();
        };
        let wait_for = |which: &str| {
            let mut missing: Vec<String> = (0..200).map(|id| format!("{which}-{id}")).collect();
            records_until(&direct, &names.sink, LIMIT, |record| {
                missing.retain(|id| id != record.key());
                missing.is_empty()
            });
        };
        let mut settings = names.settings();
        settings.extend(
            [
                &format!("guarantee={guarantee}"),
                "kafka.security.protocol=SASL_PLAINTEXT",
                "kafka.sasl.mechanism=PLAIN",
                "kafka.sasl.username=worker",
                "kafka.sasl.password=${env:WORKER_PASSWORD}",
            ]
            .map(str::to_owned),
        );
        let secret = [("WORKER_PASSWORD", "secret")];
        let worker = Worker::start_with(&cluster.bootstrap_servers(), &settings, &secret);
        ask("before");
        wait_for("before");

        proxy.disturb(Some(Api::SaslAuthenticate), Effect::Refuse(SASL_AUTHENTICATION_FAILED));
        ask("meanwhile");
        proxy.cut_all();
        thread::sleep(Duration::from_secs(6));
        proxy.calm();
        ask("after");
        wait_for("meanwhile");
        wait_for("after");
        // The same process, which ends in order.
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
        assert!(!log.contains("secret"), "{log}");

        let mut found = BTreeMap::<String, usize>::new();
        for record in read_committed(&direct, &names.sink) {
            *found.entry(record.key().to_owned()).or_default() += 1;
        }
        assert_eq!(found.len(), 600);
        let double: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(guarantee == "at-least-once" || double.is_empty(), "{double:?}\n{log}");
    }
}
