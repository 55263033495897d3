//! Any Kafka client may say where it wants its reply, and until when.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use crate::harness::{Site, factorial};

fn send(servers: &str, topic: &str, requests: &[(&str, &[(&str, &str)])]) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    for (value, headers) in requests {
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(*value) })
        });
        let record = BaseRecord::<str, str>::to(topic).key("always the same").payload(value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

#[test]
fn a_reply_goes_where_its_request_says_and_a_wish_that_cannot_be_is_no_error() {
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = Site::new(&format!("replies-{guarantee}")).with_topics(5);
        let worker = site.worker(&[&format!("guarantee={guarantee}"), "operators.factorial.max_n=100"]);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let (past, future) = ((now - 1).to_string(), (now + 600_000).to_string());
        let wishes: [(&str, &[(&str, &str)]); 10] = [
            ("10", &[("pipeline.reply-partition", "0")]),
            ("11", &[("pipeline.reply-partition", "4")]),
            ("12", &[("pipeline.reply-partition", "5")]),
            ("13", &[("pipeline.reply-partition", "99999999999")]),
            ("14", &[("pipeline.reply-partition", "-1")]),
            ("15", &[("pipeline.reply-partition", "one")]),
            ("16", &[]),
            ("17", &[("pipeline.deadline", &past), ("pipeline.reply-partition", "0")]),
            ("18", &[("pipeline.deadline", &future), ("pipeline.reply-partition", "3")]),
            ("101", &[("pipeline.reply-partition", "2"), ("correlation-id", "mine")]),
        ];
        send(&site.servers, &site.source, &wishes);
        let mut read = 0;
        let results = site.results(|_| {
            read += 1;
            read == 9
        });
        let (told, results): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.value().is_empty());
        let [told] = told[..] else { panic!("{told:?}") };
        assert_eq!((told.partition, told.header("correlation-id")), (2, Some("mine")));
        assert_eq!(told.header("pipeline.error.class"), Some("above-max"));
        assert_eq!(told.header("pipeline.error.message"), Some("101 is above `max_n`, which is 100"));
        let by_number: BTreeMap<u64, _> = results
            .iter()
            .map(|result| {
                let (n, digits) = result.value().split_once(';').unwrap();
                let n = n.parse().unwrap();
                assert_eq!(digits, factorial(n));
                (n, *result)
            })
            .collect();
        assert_eq!(by_number.keys().copied().collect::<Vec<_>>(), [10, 11, 12, 13, 14, 15, 16, 18]);
        let partition = |n: u64| by_number[&n].partition;
        assert_eq!((partition(10), partition(11), partition(18)), (0, 4, 3));
        // Where the wish is no partition, the key decides as if there were none.
        for n in 12..=15 {
            assert_eq!(partition(n), partition(16), "{n}");
        }
        let signed: Vec<u64> = by_number
            .iter()
            .filter(|(_, result)| result.header("pipeline.worker").is_some())
            .map(|(n, _)| *n)
            .collect();
        assert_eq!(signed, [10, 11, 12, 18], "those that name a partition");
        worker.says(&["requests were dropped", &site.source, "\"first_offset\":7"]);
        assert!(worker.terminate().0.success());
    }
}

#[test]
fn where_records_are_no_requests_their_headers_change_nothing_and_a_gateway_says_what_is_missing() {
    let site = Site::new("no-requests").with_topics(5);
    let worker = site.worker(&["source.requests=false", "operators.factorial.max_n=100"]);
    let past = "1732500000";
    let ours: [(&str, &str); 2] = [("pipeline.deadline", past), ("pipeline.reply-partition", "3")];
    send(
        &site.servers,
        &site.source,
        &[("10", &[("deadline", past)]), ("11", &ours), ("12", &[]), ("101", &ours)],
    );
    let (mut read, mut dead) = (BTreeMap::new(), Vec::new());
    site.letters(|letter| {
        dead.push(letter.value().to_owned());
        true
    });
    site.results(|result| {
        let (n, digits) = result.value().split_once(';').expect("nobody is told of a dead letter");
        assert_eq!(digits, factorial(n.parse().unwrap()));
        assert_eq!(result.header("pipeline.worker"), None, "{n} is signed");
        read.insert(n.to_owned(), result.partition);
        read.len() == 3
    });
    assert_eq!(dead, ["101"]);
    assert_eq!((read["10"], read["11"]), (read["12"], read["12"]), "the key decides");
    assert!(worker.scrape().contains("pipeline_records_expired_total{pipeline=\"factorial\"} 0"));

    // One gateway has all partitions, so the reply is found; with a second one it may not be.
    let gateway = site.gateway(&[]);
    (20..40).for_each(|n| assert_eq!(gateway.get(&format!("/factorial/{n}")).text(), factorial(n)));
    gateway.process.says(&["not in the partition that its request asked for", "requests = true"]);
}
