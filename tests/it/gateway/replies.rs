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

use super::{factorial, topics};
use crate::harness::{Names, Worker, broker, records_until};

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
        let broker = broker();
        let servers = broker.bootstrap_servers();
        let names = Names::new(&format!("replies-{guarantee}"));
        topics(&servers, &names, 5);
        let mut settings = names.settings();
        settings.extend([format!("guarantee={guarantee}"), "operators.factorial.max_n=100".to_owned()]);
        let worker = Worker::start(&servers, &settings);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let (past, future) = ((now - 1).to_string(), (now + 600_000).to_string());
        let wishes: [(&str, &[(&str, &str)]); 10] = [
            ("10", &[("reply-partition", "0")]),
            ("11", &[("reply-partition", "4")]),
            ("12", &[("reply-partition", "5")]),
            ("13", &[("reply-partition", "99999999999")]),
            ("14", &[("reply-partition", "-1")]),
            ("15", &[("reply-partition", "one")]),
            ("16", &[]),
            ("17", &[("deadline", &past), ("reply-partition", "0")]),
            ("18", &[("deadline", &future), ("reply-partition", "3")]),
            ("101", &[("reply-partition", "2"), ("correlation-id", "mine")]),
        ];
        send(&servers, &names.source, &wishes);
        let mut read = 0;
        let results = records_until(&servers, &names.sink, Duration::from_secs(60), |_| {
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
        assert!(worker.terminate().0.success());
    }
}
