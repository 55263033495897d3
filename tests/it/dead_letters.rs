//! Dead letters and their way back, for a person at a terminal.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, create_topic, ensure, eventually, factorial, forget_group,
};

const RECORDS: usize = 3_000;

/// Has a worker that takes no number above 10 make dead letters of all that is in the source topic.
fn make_letters(site: &Site, expected: usize) {
    let low = site.worker(&["operators.factorial.max_n=10"]);
    eventually(LIMIT, || {
        let letters = site.read(&site.dead_letters).len();
        ensure(letters == expected, || format!("{letters} letters"))
    });
    assert!(low.terminate().0.success());
}

/// How often each record was replayed, by its key. What was killed hides what came behind it until the broker aborts it.
fn replayed(site: &Site, expected: usize) -> BTreeMap<String, usize> {
    let source = eventually(LIMIT, || {
        let mut source = site.read(&site.source);
        source.retain(|record| record.header("pipeline.replays").is_some());
        ensure(source.len() >= expected, || format!("{} of {expected} are replayed", source.len()))
            .map(|()| source)
    });
    let mut times = BTreeMap::new();
    source.iter().for_each(|record| *times.entry(record.key().to_owned()).or_default() += 1);
    times
}

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
    make_letters(&site, RECORDS + RECORDS / 100);

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
    assert!(
        code == 0 && said.starts_with(&expected) && said.ends_with("\na dry run: nothing is sent\n"),
        "{said}"
    );
    assert_eq!(said.matches("\n  key    above-").count(), 3, "examples: {said}");
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
    // Of what the killed one has begun, the broker may have aborted some.
    let (counts, last) =
        (regex::Regex::new(r"\ndone: (\d+) replayed, 0 skipped .*, 0 left\n$").unwrap(), &said);
    let count = counts.captures(last).map(|found| found[1].parse::<usize>().unwrap());
    assert!(code == 0 && count.is_some_and(|count| count <= RECORDS - so_far), "{said}{errors}");
    assert!(!errors.contains(" of 3,000"), "no bar without a terminal: {errors}");
    let (_, again, _) = site.pipeline(&replay);
    assert_eq!(again, format!("nothing that matches in {} is left to replay\n", site.dead_letters));

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
fn a_filter_takes_what_matches_once_although_it_is_killed_and_loses_nothing_of_another() {
    let site = Site::new("replay-some").with(&["guarantee=exactly-once"]).with_topics(2);
    create_topic(&site.servers, &site.dead_letters, 2, &[]);
    let producer = Producer::existing(&site.servers, &site.source);
    for n in 0..RECORDS {
        producer.send(&format!("above-{n}"), Some(if n % 2 == 0 { b"50" } else { b"60" }), None);
        if n % 100 == 0 {
            producer.send(&format!("bad-{n}"), Some(b"abc"), None);
        }
    }
    producer.flush();
    make_letters(&site, RECORDS + RECORDS / 100);
    let run = |action: &str, filters: &[&str]| {
        site.pipeline(&[&["dead-letters", action, "factorial.toml"][..], filters].concat())
    };

    // A value that cannot be read does not match, whatever is asked.
    let (_, listed, errors) = run("list", &["--when", "value != 60"]);
    assert!(listed.contains("1500 in ") && !listed.contains("not-a-number"), "{listed}{errors}");
    let (_, shown, _) = run("show", &["--key", "bad-100", "--header", "pipeline.error.class=not-a-number"]);
    assert!(shown.contains("  key    bad-100\n") && shown.lines().count() == 4, "{shown}");

    let even = ["--class", "above-max", "--when", "value == 50"];
    let killed = site
        .start(&[&["dead-letters", "replay", "factorial.toml", "--rate", "800"][..], &even].concat(), &[]);
    let so_far = || site.read(&site.source).iter().filter(|r| r.header("pipeline.replays").is_some()).count();
    eventually(LIMIT, || {
        let so_far = so_far();
        ensure(so_far > 200, || format!("{so_far} are replayed\n{}", killed.log()))
    });
    killed.kill();
    let before = so_far();
    assert!(before < RECORDS / 2, "it was killed too late: {before}");
    let (code, said, errors) = run("replay", &even);
    assert_eq!(code, 0, "{said}{errors}");
    let mut expected: BTreeMap<String, usize> =
        (0..RECORDS).step_by(2).map(|n| (format!("above-{n}"), 1)).collect();
    assert_eq!(replayed(&site, RECORDS / 2), expected);
    let (_, again, _) = run("replay", &even);
    assert_eq!(again, format!("nothing that matches in {} is left to replay\n", site.dead_letters));

    // The first filter has passed over these, and they are not lost.
    let (code, said, errors) = run("replay", &["--class", "above-max", "--when", "value == 60"]);
    assert_eq!(code, 0, "{said}{errors}");
    expected.extend((0..RECORDS).skip(1).step_by(2).map(|n| (format!("above-{n}"), 1)));
    assert_eq!(replayed(&site, RECORDS), expected);

    // So long ago is another time at each start; the sentence says which to write.
    let (code, _, refused) = run("replay", &["--class", "not-a-number", "--since", "1h"]);
    let time = refused.trim_end().rsplit(' ').next().unwrap();
    assert!(code == 2 && refused.contains(": write --since ") && time.ends_with('Z'), "{refused}");
    let (_, none, _) = run("list", &["--since", time]);
    assert_eq!(none, format!("there is no dead letter that matches in {}\n", site.dead_letters));
    // The records' own time, of which the end is no part.
    let (from, to) = ("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z");
    let (_, none, _) = run("replay", &["--class", "not-a-number", "--until", from]);
    assert_eq!(none, format!("nothing that matches in {} is left to replay\n", site.dead_letters));
    let (code, said, errors) = run("replay", &["--class", "not-a-number", "--since", from, "--until", to]);
    assert_eq!(code, 0, "{said}{errors}");
    expected.extend((0..RECORDS).step_by(100).map(|n| (format!("bad-{n}"), 1)));
    assert_eq!(replayed(&site, RECORDS + RECORDS / 100), expected);
    let (code, _, refused) = run("replay", &[]);
    assert!(code == 2 && refused.contains("say which dead letters"), "{refused}");
}

#[test]
fn what_was_replayed_stays_replayed_although_the_broker_has_forgotten_it() {
    let site = Site::new("replay-old").with(&["guarantee=exactly-once"]).with_topics(2);
    create_topic(&site.servers, &site.dead_letters, 2, &[]);
    let producer = Producer::existing(&site.servers, &site.source);
    let send = |name: &str, partition| producer.send(name, Some(b"50"), Some(partition));
    (0..20).for_each(|n| send(&format!("above-{n}"), n % 2));
    // A stranger may write what looks like a mark of the replay's; it is a letter like all others.
    let group = format!("{}-replay-above-max", site.source);
    producer.send_with("false", b"50", &[("pipeline.replay-mark", &group)]);
    producer.flush();
    make_letters(&site, 21);
    let letters = site.read(&site.dead_letters);
    let names: BTreeSet<String> = keys(&letters);
    let run = |more: &[&str]| {
        let (code, said, errors) = site.pipeline(
            &[&["dead-letters", "replay", "factorial.toml", "--class", "above-max"], more].concat(),
        );
        assert_eq!(code, 0, "{said}{errors}");
        said
    };
    let once =
        |names: &BTreeSet<String>| names.iter().map(|name| (name.clone(), 1)).collect::<BTreeMap<_, _>>();

    let said = run(&["--limit", "7"]);
    assert!(said.contains("done up to --limit; the same command goes on there: 7 replayed,"), "{said}");
    let seven = replayed(&site, 7);
    assert_eq!((seven.len(), seven.values().sum::<usize>()), (7, 7), "{seven:?}");
    forget_group(&site.servers, &group);
    // A dry run says what is left, and changes nothing.
    let said = run(&["--dry-run"]);
    assert!(said.starts_with("14 of the class above-max in "), "{said}");
    let said = run(&[]);
    assert!(said.contains("\ndone: 14 replayed, "), "{said}");
    assert_eq!(replayed(&site, 21), once(&names));
    forget_group(&site.servers, &group);
    assert_eq!(run(&[]), format!("nothing that matches in {} is left to replay\n", site.dead_letters));
    // All fail again, and two more. The broker still knows nothing of the group; what has come since goes, and nothing else.
    send("late-0", 0);
    send("late-1", 1);
    producer.flush();
    let low = site.worker(&["operators.factorial.max_n=10"]);
    let is_letter = |record: &Consumed| record.header("pipeline.error.class").is_some();
    eventually(LIMIT, || {
        let found = site.read(&site.dead_letters).iter().filter(|record| is_letter(record)).count();
        ensure(found == 44, || format!("{found} letters"))
    });
    assert!(low.terminate().0.success());
    let (_, listed, _) = site.pipeline(&["dead-letters", "list", "factorial.toml"]);
    assert!(listed.contains(": 44 in ") && !listed.contains("no class"), "marks are no letters: {listed}");
    let said = run(&[]);
    assert!(said.contains("\ndone: 23 replayed, "), "{said}");
    let sent = |replays: &str| {
        let mut records = site.read(&site.source);
        records.retain(|record| record.header("pipeline.replays") == Some(replays));
        (records.len(), keys(&records))
    };
    let all: BTreeSet<String> =
        names.iter().cloned().chain(["late-0", "late-1"].map(str::to_owned)).collect();
    assert_eq!((sent("1"), sent("2")), ((23, all), (21, names)));

    // Marks are no letters, and are in nobody's way.
    let mut marks = site.read(&site.dead_letters);
    marks.retain(|record| !is_letter(record));
    assert!(marks.iter().all(|mark| mark.header("pipeline.replay-mark") == Some(&group)), "{marks:?}");
    assert!((2..=14).contains(&marks.len()), "one a partition and transaction: {marks:?}");
    for mark in &marks {
        let offset: i64 = mark.value().split(' ').next().unwrap().parse().unwrap();
        assert!(offset <= mark.offset, "it speaks of what lies before it: {mark:?}");
    }
    let (_, shown, _) = site.pipeline(&["dead-letters", "show", "factorial.toml", "--count", "1000"]);
    assert!(!shown.contains("replay-mark") && !shown.contains("(none)"), "{shown}");
    let (code, said, errors) =
        site.pipeline(&["dead-letters", "drop", "factorial.toml", "--when", "true", "--yes"]);
    assert!(code == 0 && !said.contains("behind others stay"), "{said}{errors}");
    let (_, none, _) = site.pipeline(&["dead-letters", "list", "factorial.toml"]);
    assert_eq!(none, format!("there is no dead letter in {}\n", site.dead_letters));
}

#[test]
fn what_nobody_wants_is_taken_out_as_far_as_kafka_can() {
    let site = Site::new("drop").with_topics(2);
    create_topic(&site.servers, &site.dead_letters, 2, &[]);
    let producer = Producer::existing(&site.servers, &site.source);
    // In partition 0 the wanted one has unwanted ones before and behind it; in partition 1 there are unwanted ones alone.
    for (partition, values) in [(0, vec!["x", "y", "50", "z"]), (1, vec!["a", "b"])] {
        values.iter().for_each(|value| producer.send(value, Some(value.as_bytes()), Some(partition)));
    }
    producer.flush();
    make_letters(&site, 6);
    let left = || keys(&site.read(&site.dead_letters));
    let all = left();
    // In which partition a letter is, its key says; here all that counts is what is left.
    let drop = |more: &[&str]| site.pipeline(&[&["dead-letters", "drop", "factorial.toml"], more].concat());
    assert_eq!(drop(&["--yes"]).0, 2, "it does not say which");
    let (code, said, _) = drop(&["--class", "not-a-number", "--dry-run"]);
    assert!(code == 0 && said.contains("to be dropped"), "{said}");
    let (code, _, stderr) = drop(&["--class", "not-a-number"]);
    assert!(code == 2 && stderr.contains("Say --yes"), "{stderr}");
    assert_eq!(left(), all, "nothing was dropped yet");
    let (code, said, stderr) = drop(&["--class", "not-a-number", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let dropped: usize = said.split("dropped ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    let rest = left();
    assert!(rest.contains("50") && rest.len() == 6 - dropped && dropped > 0, "{said}{rest:?}");
    assert!(rest.is_subset(&all));
    let (code, said, stderr) = drop(&["--when", "true", "--yes"]);
    assert!(code == 0 && said.contains(&format!("dropped {} dead letters", rest.len())), "{said}{stderr}");
    assert_eq!(left(), BTreeSet::new());
    let (code, said, _) = drop(&["--when", "true", "--yes"]);
    assert!(code == 0 && said.contains("no dead letter"), "{said}");
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
