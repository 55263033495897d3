//! Dead letters and their way back, for a person at a terminal.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Consumed, LIMIT, Producer, Site, create_topic, ensure, eventually, factorial};

const RECORDS: usize = 3_000;

fn keys(records: &[Consumed]) -> BTreeSet<String> {
    records.iter().map(|record| record.key().to_owned()).collect()
}

#[test]
fn the_letters_of_one_class_are_replayed_once_each_although_the_replay_is_killed() {
    let site = Site::new("replay").with(&["guarantee=exactly-once"]).with_topics(2);
    create_topic(&site.servers, &site.dead_letters, 2, &[]);
    let nothing = site.pipeline(&["dead-letters", "list", "factorial.toml"]);
    assert_eq!(nothing, (0, format!("there is no dead letter in {}\n", site.dead_letters), String::new()));
    let producer = Producer::existing(&site.servers, &site.source);
    for n in 0..RECORDS {
        producer.send(&format!("above-{n}"), Some(b"50"), None);
        if n % 100 == 0 {
            producer.send(&format!("bad-{n}"), Some(b"abc"), None);
        }
    }
    producer.flush();
    // What is wrong is the limit, which is mended below.
    let low = site.worker(&["operators.factorial.max_n=10"]);
    eventually(LIMIT, || {
        let letters = site.read(&site.dead_letters).len();
        ensure(letters == RECORDS + RECORDS / 100, || format!("{letters} letters"))
    });
    assert!(low.terminate().0.success());

    let (code, listed, errors) = site.pipeline(&["dead-letters", "list", "factorial.toml"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        listed.contains("3030 in ") && listed.contains("    3000  above-max     50 is above `max_n`"),
        "{listed}"
    );
    assert!(listed.contains("      30  not-a-number  the value is not a number: \"abc\""), "{listed}");
    let show = ["dead-letters", "show", "factorial.toml", "--class", "not-a-number", "--count", "1"];
    let (_, shown, _) = site.pipeline(&show);
    assert!(
        shown.contains("  key    bad-") && shown.contains("\n  value  abc\n") && shown.lines().count() == 4,
        "{shown}"
    );

    let replay = ["dead-letters", "replay", "factorial.toml", "--class", "above-max"];
    let (code, said, _) = site.pipeline(&[&replay[..], &["--dry-run"]].concat());
    let expected =
        format!("3000 of the class above-max in {} can go to {} again\n", site.dead_letters, site.source);
    assert_eq!((code, said), (0, expected + "a dry run: nothing is sent\n"));
    let before = site.read(&site.source);
    let killed = site.start(&[&replay[..], &["--rate", "800"]].concat(), &[]);
    eventually(LIMIT, || {
        let replayed = site.read(&site.source).len() - before.len();
        ensure(replayed > 500, || format!("{replayed} are replayed\n{}", killed.log()))
    });
    killed.kill();
    let so_far = site.read(&site.source).len() - before.len();
    assert!(so_far < RECORDS, "it was killed too late: {so_far}");
    let (code, said, errors) = site.pipeline(&replay);
    assert!(code == 0 && said.ends_with("\ndone\n"), "{said}{errors}");
    let (_, again, _) = site.pipeline(&replay);
    assert_eq!(again, format!("nothing of the class above-max in {} is left to replay\n", site.dead_letters));

    // What the killed one has begun hides what came behind it until the broker aborts it.
    let source = eventually(LIMIT, || {
        let source = site.read(&site.source);
        let replayed = source.len() - before.len();
        ensure(replayed >= RECORDS, || format!("{replayed} of {RECORDS} are replayed")).map(|()| source)
    });
    let mut times: BTreeMap<String, Vec<Consumed>> = BTreeMap::new();
    source.into_iter().for_each(|record| times.entry(record.key().to_owned()).or_default().push(record));
    for (key, records) in &times {
        let expected = if key.starts_with("above-") { 2 } else { 1 };
        assert_eq!(records.len(), expected, "{key}");
        let replayed: Vec<_> =
            records.iter().filter(|record| record.header("pipeline.replays") == Some("1")).collect();
        assert_eq!(replayed.len(), expected - 1, "{key}");
        let [second] = replayed[..] else { continue };
        let first = records.iter().find(|record| *record != second).unwrap();
        assert_eq!((second.value(), second.timestamp), (first.value(), first.timestamp), "{key}");
        let own = second.headers.iter().filter(|(name, _)| name != "pipeline.replays");
        assert!(own.eq(&first.headers), "{second:?}");
    }
    let mended = site.worker(&[]);
    let results = eventually(LIMIT, || {
        let results = site.read(&site.sink);
        ensure(results.len() >= RECORDS, || format!("{} results", results.len())).map(|()| results)
    });
    assert_eq!(results.len(), RECORDS);
    assert_eq!(keys(&results), (0..RECORDS).map(|n| format!("above-{n}")).collect());
    assert!(results.iter().all(|result| result.value() == format!("50;{}", factorial(50))));
    assert!(mended.terminate().0.success());
}

#[test]
fn a_topic_that_is_not_there_has_no_dead_letters() {
    let site = Site::new("no-letters");
    for arguments in [&["list"][..], &["show", "--class", "x"], &["replay", "--class", "x"]] {
        let (action, more) = arguments.split_first().unwrap();
        let (code, said, errors) =
            site.pipeline(&[&["dead-letters", action, "factorial.toml"][..], more].concat());
        assert_eq!((code, errors.as_str()), (0, ""), "{said}");
        assert!(said.contains(&site.dead_letters), "{said}");
    }
}
