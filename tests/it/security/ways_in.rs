//! With the right credentials everything works, and with wrong ones it is said what is wrong with them.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    Authority, PASSWORD, allow_all, create_topics, ends, scram_user, secured, set_password, site, trusting,
};
use crate::harness::{Producer, factorial};

/// Where a user of that name is let in, and its settings: by password, and by certificate.
fn ways_in(folder: &TempDir, user: &str) -> [(String, Vec<String>); 2] {
    let broker = secured();
    set_password(&broker.plain(), user, PASSWORD);
    let mut scram = trusting(&broker.authority, folder, "SASL_SSL");
    scram.extend(scram_user(user));
    let mut mutual = trusting(&broker.authority, folder, "SSL");
    mutual.extend(broker.authority.sign(user, false).settings(folder.path(), user));
    [(broker.scram(), scram), (broker.mutual(), mutual)]
}

#[test]
fn workers_gateways_and_who_asks_are_let_in_by_password_or_certificate_and_no_secret_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    for (servers, way) in ways_in(&folder, "good") {
        let site = site("let-in", &servers, &way, PASSWORD).env("RUST_LOG", "debug");
        let site = site.with(&["guarantee=exactly-once"]);
        create_topics(&site);
        allow_all(&site, "good");
        let worker = site.worker(&[]);
        let requests = Producer::existing(&site.servers, &site.source);
        (0..50).for_each(|n| requests.send(&format!("id-{n}"), Some(n.to_string().as_bytes()), None));
        requests.flush();
        let mut answers = BTreeMap::new();
        site.results(|result| {
            answers.insert(result.key().to_owned(), result.value().to_owned());
            answers.len() == 50
        });
        let right = (0..50).map(|n| (format!("id-{n}"), format!("{n};{}", factorial(n)))).collect();
        assert_eq!(answers, right);

        // They know each other's way.
        let gateway = site.gateway(&way.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(gateway.get("/factorial/60").text(), factorial(60));
        let (code, stdout, asking) = site.pipeline(&["request", "61"]);
        assert_eq!((code, stdout), (0, format!("61;{}\n", factorial(61))), "{asking}");
        let (code, checked, stderr) = site.pipeline(&["check", "factorial.toml", "--connect"]);
        assert_eq!((code, checked.contains("may be joined")), (0, true), "{checked}{stderr}");

        // By connections that are not librdkafka's.
        let (code, transactions, stderr) = site.pipeline(&["transactions", "list", "factorial.toml"]);
        let asked = format!("partitions were asked: {}", site.source);
        assert_eq!((code, transactions.contains(&asked), stderr.as_str()), (0, true, ""), "{transactions}");

        // Wherever anybody may look.
        let metrics = [worker.scrape(), gateway.process.scrape()].concat();
        let explained = ureq::get(format!("{}/explain", worker.metrics())).call().unwrap();
        let explained = explained.into_body().read_to_string().unwrap();
        let (line, gateways) = (worker.command_line(), gateway.process.command_line());
        assert!(line.contains("${env:PASSWORD}") || !way.concat().contains("password"), "{line}");
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
        for text in [
            log,
            gateway.process.log(),
            line,
            gateways,
            metrics,
            explained,
            asking,
            checked,
            stderr,
            transactions,
        ] {
            assert!(!text.contains("hunter2"), "the password is seen in {text}");
            assert!(!text.contains("PRIVATE KEY"), "the key is seen in {text}");
        }
    }
}

#[test]
fn whoever_is_not_let_in_is_told_why_in_a_sentence() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let [(scram, by_password), (mutual, by_certificate)] = ways_in(&folder, "refused");
    let other = Authority::new("another authority");
    let elsewhere = tempfile::tempdir().unwrap();
    let with = |settings: &[String], more: Vec<String>| [settings.to_vec(), more].concat();
    let stranger = with(&by_password, vec!["kafka.sasl.username=stranger".to_owned()]);
    let untrusting = with(&by_password, vec![trusting(&other, &elsewhere, "SASL_SSL").remove(1)]);
    let expired =
        with(&by_certificate, broker.authority.sign("refused", true).settings(folder.path(), "old"));
    let unknown = with(&by_certificate, other.sign("refused", false).settings(folder.path(), "unknown"));
    let nameless = by_certificate[..2].to_vec();
    let (password, user) = ("invalid credentials", "`sasl.password` in [kafka]");
    let (theirs, ours) = ("their certificate cannot be verified", "they refuse this client's certificate");
    let speaks = "does `security.protocol` in [kafka] say what that port speaks?";
    let cases = [
        ("a wrong password", &scram, &by_password, "hunter2-guessed", [password, user]),
        ("an unknown user", &scram, &stranger, PASSWORD, [password, user]),
        ("an unknown authority", &scram, &untrusting, PASSWORD, [theirs, "`ssl.ca.location`"]),
        ("an expired broker", &broker.expired(), &by_certificate, PASSWORD, [theirs, "it has expired"]),
        ("an expired client", &mutual, &expired, PASSWORD, [ours, "`ssl.certificate.location`"]),
        ("a client of another authority", &mutual, &unknown, PASSWORD, [ours, "`ssl.certificate.location`"]),
        ("no certificate", &mutual, &nameless, PASSWORD, [ours, "is there one"]),
        ("plain text to TLS", &mutual, &vec![], PASSWORD, ["no Kafka broker answers at", speaks]),
        (
            "TLS to plain text",
            &broker.plain(),
            &by_certificate,
            PASSWORD,
            ["no Kafka broker answers at", speaks],
        ),
    ];
    thread::scope(|scope| {
        for (what, servers, settings, password, parts) in cases {
            scope.spawn(move || {
                let site = site("not-let-in", servers, settings, password);
                let start = Instant::now();
                let error = ends(&site, password);
                assert!(parts.iter().all(|part| error.contains(part)), "{what}: {error}");
                assert!(error.contains(servers), "{what}: where? {error}");
                assert!(start.elapsed() < Duration::from_secs(40), "{what}: {:?}", start.elapsed());
                let (code, _, checked) = site.pipeline(&["check", "factorial.toml", "--connect"]);
                assert_eq!(code, 2, "{what}: {checked}");
                assert!(checked.contains(parts[0]) && !checked.contains(password), "{what}: {checked}");
            });
        }
    });
}
