//! Brokers that know the workers' credentials no more, for a while.

use std::{collections::BTreeMap, thread, time::Duration};

use pipeline::verify::{
    ProxiedCluster,
    proxy::{Api, Effect, SASL_AUTHENTICATION_FAILED},
};

use crate::harness::{Site, all_of, start_behind_proxies};

fn cluster() -> ProxiedCluster {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required user_worker=\"secret\";";
    start_behind_proxies(&[
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:SASL_PLAINTEXT"),
        ("listener.name.proxied.sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.proxied.plain.sasl.jaas.config", login),
    ])
}

#[test]
fn a_worker_goes_on_when_its_credentials_are_right_again() {
    let cluster = cluster();
    let (direct, proxy) = (cluster.nodes.bootstrap_servers(), &cluster.proxies()[0]);
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = Site::at(&direct, "credentials")
            .through(&cluster.bootstrap_servers())
            .with(&[
                &format!("guarantee={guarantee}"),
                "kafka.security.protocol=SASL_PLAINTEXT",
                "kafka.sasl.mechanism=PLAIN",
                "kafka.sasl.username=worker",
                "kafka.sasl.password=${env:WORKER_PASSWORD}",
            ])
            .env("WORKER_PASSWORD", "secret");
        let producer = site.producer(2);
        let ids = |which: &'static str| (0..200).map(move |id| format!("{which}-{id}"));
        let ask = |which| {
            ids(which).for_each(|id| producer.send(&id, Some(b"10"), None));
            producer.flush();
        };
        let worker = site.worker(&[]);
        ask("before");
        site.results(all_of(ids("before")));

        // With connections that are not librdkafka's, too.
        let (code, transactions, stderr) = site.pipeline(&["transactions", "list", "factorial.toml"]);
        assert!(
            code == 0 && stderr.is_empty() && transactions.contains("were asked"),
            "{transactions}{stderr}"
        );

        proxy.disturb(Some(Api::SaslAuthenticate), Effect::Refuse(SASL_AUTHENTICATION_FAILED));
        ask("meanwhile");
        proxy.cut_all();
        thread::sleep(Duration::from_secs(6));
        proxy.calm();
        ask("after");
        site.results(all_of(ids("meanwhile")));
        site.results(all_of(ids("after")));
        // The same process, which ends in order.
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
        assert!(!log.contains("secret"), "{log}");

        let mut found = BTreeMap::<String, usize>::new();
        for record in site.read(&site.sink) {
            *found.entry(record.key().to_owned()).or_default() += 1;
        }
        assert_eq!(found.len(), 600);
        let double: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(guarantee == "at-least-once" || double.is_empty(), "{double:?}\n{log}");
    }
}
