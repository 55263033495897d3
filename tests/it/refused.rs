//! What the broker refuses for what it is becomes a dead letter, and holds up nobody.

use std::{collections::BTreeSet, time::SystemTime};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, Worker, alter_topic, create_topic, ensure, eventually, factorial,
};

/// Reads results and dead letters until what is there satisfies `done`.
fn read_both(
    site: &Site,
    worker: &Worker,
    done: impl Fn(&[Consumed], &[Consumed]) -> bool,
) -> (Vec<Consumed>, Vec<Consumed>) {
    eventually(LIMIT, || {
        let (results, letters) = (site.read(&site.sink), site.read(&site.dead_letters));
        let said = || format!("{} results, {letters:?}\n{}", results.len(), worker.log());
        ensure(done(&results, &letters), said).map(|()| (results, letters))
    })
}

fn requests(site: &Site) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", &site.servers).set("linger.ms", "50").create().unwrap()
}

fn keys(records: &[Consumed]) -> BTreeSet<String> {
    records.iter().map(|record| record.key().to_owned()).collect()
}

fn ids(prefix: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|id| format!("{prefix}{id}")).collect()
}

#[test]
fn a_record_without_a_key_in_front_of_a_compacted_topic_is_a_dead_letter_and_its_neighbours_are_results() {
    for (guarantee, name) in [("at-least-once", "keyless-alo"), ("exactly-once", "keyless-eos")] {
        let site = Site::new(name);
        create_topic(&site.servers, &site.source, 1, &[]);
        create_topic(&site.servers, &site.sink, 1, &[("cleanup.policy", "compact")]);
        let producer = requests(&site);
        for id in 0..40 {
            let key = format!("id-{id}");
            let record = BaseRecord::<str, str>::to(&site.source).payload("5");
            producer.send(if id == 7 { record } else { record.key(&key) }).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        let worker = site.worker(&[&format!("guarantee={guarantee}")]);
        let (results, letters) =
            read_both(&site, &worker, |results, letters| keys(results).len() == 39 && !letters.is_empty());
        let mut expected = ids("id-", 40);
        expected.remove("id-7");
        assert_eq!(keys(&results), expected, "{guarantee}");
        assert!(guarantee == "at-least-once" || results.len() == 39, "double: {results:?}");
        let [letter] = &letters[..] else { panic!("{guarantee}: {letters:?}") };
        assert_eq!((letter.key.as_deref(), letter.value()), (None, "5"));
        assert_eq!(letter.header("pipeline.error.class"), Some("result-refused"));
        assert_eq!(letter.header("pipeline.error.offset"), Some("7"));
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn a_request_from_the_future_is_a_dead_letter_and_the_others_are_results() {
    for (guarantee, name) in [("at-least-once", "future-alo"), ("exactly-once", "future-eos")] {
        let site = Site::new(name);
        create_topic(
            &site.servers,
            &site.source,
            1,
            &[("message.timestamp.after.max.ms", "9223372036854775807")],
        );
        let producer = requests(&site);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
        for id in 0..10 {
            let key = format!("id-{id}");
            let at = if id == 3 { now + 3 * 3_600_000 } else { now };
            let record = BaseRecord::<str, str>::to(&site.source).key(&key).payload("5").timestamp(at);
            producer.send(record).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        let worker = site.worker(&[&format!("guarantee={guarantee}")]);
        let (results, letters) =
            read_both(&site, &worker, |results, letters| keys(results).len() == 9 && !letters.is_empty());
        let mut expected = ids("id-", 10);
        expected.remove("id-3");
        assert_eq!(keys(&results), expected, "{guarantee}");
        let [letter] = &letters[..] else { panic!("{guarantee}: {letters:?}") };
        assert_eq!((letter.key(), letter.value()), ("id-3", "5"));
        assert_eq!(letter.header("pipeline.error.class"), Some("result-refused"));
        let timestamp = (now + 3 * 3_600_000).to_string();
        assert_eq!(letter.header("pipeline.error.timestamp"), Some(&timestamp[..]));
    }
}

#[test]
fn a_dead_letter_that_does_not_fit_its_topic_is_cut_and_says_so() {
    let site = Site::new("cut");
    let producer = Producer::new(&site.servers, &site.source, 1, &[("max.message.bytes", "2000000")]);
    create_topic(&site.servers, &site.dead_letters, 1, &[("max.message.bytes", "100000")]);
    producer.send("large", Some(&vec![b'x'; 1_500_000]), None);
    producer.send("good", Some(b"5"), None);
    producer.flush();
    let worker = site.worker(&[]);
    let (results, letters) =
        read_both(&site, &worker, |results, letters| !results.is_empty() && !letters.is_empty());
    assert_eq!(keys(&results), BTreeSet::from(["good".to_owned()]));
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.key(), letter.header("pipeline.error.class")), ("large", Some("not-a-number")));
    assert!(letter.header("pipeline.error.cut").is_some_and(|said| said.contains("1500")), "{letter:?}");
    let kept = letter.value();
    assert!((90_000..100_000).contains(&kept.len()) && kept.bytes().all(|byte| byte == b'x'));
}

#[test]
fn at_least_once_nothing_overtakes_what_is_refused() {
    const COUNT: usize = 5_000;
    let site = Site::new("overtaken");
    create_topic(&site.servers, &site.source, 1, &[]);
    create_topic(&site.servers, &site.sink, 1, &[("cleanup.policy", "compact")]);
    let producer = requests(&site);
    for id in 0..COUNT {
        let key = format!("{id}");
        let record = BaseRecord::<str, str>::to(&site.source).payload("5");
        // Some of them, so that more is queued behind one of them than what is with it in its batch.
        producer.send(if id % 1_000 == 7 { record } else { record.key(&key) }).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let worker = site.worker(&[]);
    let (results, _) =
        read_both(&site, &worker, |results, letters| keys(results).len() == COUNT - 5 && letters.len() >= 5);
    let (mut seen, mut first_times) = (BTreeSet::new(), Vec::new());
    for result in &results {
        let id: usize = result.key().parse().unwrap();
        if seen.insert(id) {
            first_times.push(id);
        }
    }
    let expected: Vec<usize> = (0..COUNT).filter(|id| id % 1_000 != 7).collect();
    assert!(first_times == expected, "{first_times:?}\n{}", worker.log());
    let (status, log) = worker.terminate();
    assert!(status.success(), "{log}");
}

#[test]
fn a_limit_that_is_raised_again_is_noticed() {
    for (guarantee, name) in [("at-least-once", "raised-alo"), ("exactly-once", "raised-eos")] {
        let site = Site::new(name).with_topics(1);
        let producer = Producer::existing(&site.servers, &site.source);
        let worker = site.worker(&[&format!("guarantee={guarantee}")]);
        producer.send_now("before", b"1000");
        site.results(|result| result.key() == "before");
        // Its clients are created anew for a limit that the next result does not fit.
        alter_topic(&site.servers, &site.sink, &[("max.message.bytes", "2000")]);
        producer.send_now("low", b"1000");
        let letters = site.letters(|letter| letter.key() == "low");
        assert_eq!(letters.last().unwrap().header("pipeline.error.class"), Some("result-too-large"));
        alter_topic(&site.servers, &site.sink, &[]);
        let mut asked = 0;
        eventually(LIMIT, || {
            asked += 1;
            let key = format!("raised-{asked}");
            producer.send_now(&key, b"1000");
            let (results, letters) = read_both(&site, &worker, |results, letters| {
                keys(results).union(&keys(letters)).any(|id| *id == key)
            });
            let result = results.into_iter().find(|result| result.key() == key);
            let result = result.ok_or_else(|| format!("{letters:?}\n{}", worker.log()))?;
            ensure(result.value() == format!("1000;{}", factorial(1_000)), || format!("{result:?}"))
        });
        assert!(worker.log().contains("a topic takes more or less again"), "{}", worker.log());
        let (status, log) = worker.terminate();
        assert!(status.success(), "{log}");
    }
}
