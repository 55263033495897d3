//! Topics are created, shown and deleted.

use std::thread;

use crate::harness::{Site, broker_settings, create_topic, pipeline, start_broker};

/// The lines of a table, with one blank between the cells.
fn cells(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn without_a_name_the_topics_of_the_pipeline_are_created_and_dead_letters_are_as_their_source_is() {
    let site = Site::new("create");
    let Site { servers, source, sink, dead_letters, .. } = &site;
    create_topic(servers, source, 3, &[("max.message.bytes", "5000000")]);
    let (code, stdout, stderr) = site.pipeline(&["topics", "create"]);
    let expected = format!("{source} is there already\ncreated {sink}\ncreated {dead_letters}\n");
    assert_eq!((code, stdout, stderr.as_str()), (0, expected, ""));

    let (_, stdout, _) = pipeline(servers, &["topics", "describe", dead_letters], &[]);
    assert_eq!(
        cells(&stdout),
        [
            "partition leader replicas in sync first offset next offset",
            "0 1 1 1 0 0",
            "1 1 1 1 0 0",
            "2 1 1 1 0 0",
            "",
            "its own settings",
            "max.message.bytes = 5016384",
        ]
    );
    let (_, stdout, _) = pipeline(servers, &["topics", "list"], &[]);
    let lines = cells(&stdout);
    assert_eq!(lines[0], "topic partitions replicas");
    for line in [format!("{source} 3 1"), format!("{sink} 2 1"), format!("{dead_letters} 3 1")] {
        assert!(lines.contains(&line), "{line} is not in\n{stdout}");
    }
}

#[test]
fn a_topic_is_created_with_its_settings_shown_with_its_offsets_and_deleted() {
    let site = Site::new("named");
    let (servers, topic) = (site.servers.as_str(), site.source.as_str());
    let create = ["topics", "create", topic, "--partitions", "2", "--config", "retention.ms=3600000"];
    assert_eq!(pipeline(servers, &create, &[]).1, format!("created {topic}\n"));
    assert_eq!(pipeline(servers, &create, &[]).1, format!("{topic} is there already\n"));
    let (code, _, stderr) = site.pipeline(&["request", "5", "6", "7", "--no-wait"]);
    assert_eq!(code, 0, "{stderr}");

    let (_, stdout, _) = pipeline(servers, &["topics", "describe", topic], &[]);
    let lines = cells(&stdout);
    let next_offset = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(next_offset(&lines[1]) + next_offset(&lines[2]), 3, "{stdout}");
    assert_eq!(lines[4..], ["its own settings", "retention.ms = 3600000"]);

    let (code, stdout, stderr) = pipeline(servers, &["topics", "delete", topic], &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("say --yes, as there is no terminal to ask on"), "{stderr}");
    let (code, stdout, _) = pipeline(servers, &["topics", "delete", topic, "--yes"], &[]);
    assert_eq!((code, stdout), (0, format!("deleted {topic}\n")));
    let (code, _, stderr) = pipeline(servers, &["topics", "describe", topic], &[]);
    assert!(code == 1 && stderr.starts_with(&format!("error: there is no topic {topic} at ")), "{stderr}");
}

#[test]
fn of_many_who_create_the_same_topics_at_once_each_succeeds_and_one_has_created_them() {
    let site = Site::new("race");
    let said: Vec<_> = thread::scope(|scope| {
        let racers: Vec<_> = (0..4).map(|_| scope.spawn(|| site.pipeline(&["topics", "create"]))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert!(said.iter().all(|(code, _, stderr)| (*code, stderr.as_str()) == (0, "")), "{said:?}");
    for topic in site.topics() {
        let line = format!("created {topic}\n");
        assert_eq!(
            said.iter().filter(|(_, stdout, _)| stdout.contains(&line)).count(),
            1,
            "{topic}: {said:?}"
        );
    }
}

#[test]
fn what_the_broker_refuses_is_said_in_words() {
    let site = Site::new("refused");
    for (arguments, sentence) in [
        (
            &["create", "x", "--replication", "3"][..],
            "cannot create topic x: more replicas were asked for than",
        ),
        (&["create", "a b"], "cannot create topic a b: its name may have letters, digits"),
        (&["create", "x", "--config", "no.such=1"], "cannot create topic x: the broker does not know one of"),
        (&["delete", "nowhere", "--yes"], "there is no topic nowhere at 127.0.0.1:"),
    ] {
        let (code, stdout, stderr) = pipeline(&site.servers, &[&["topics"][..], arguments].concat(), &[]);
        assert!(code == 1 && stderr.starts_with(&format!("error: {sentence}")), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "");
    }
}

#[test]
fn where_the_broker_creates_no_topics_by_itself_the_worker_creates_the_result_topic_as_the_file_says() {
    let broker = start_broker(&broker_settings(&[("auto.create.topics.enable", "false")]));
    let site = Site::at(&broker.bootstrap_servers(), "off")
        .with(&["sink.partitions=5", "sink.config.max.message.bytes=2000000"]);
    let worker = site.worker(&[]);
    let (code, stdout, stderr) = site.pipeline(&["request", "5"]);
    assert_eq!((code, stdout.as_str()), (0, "5;120\n"), "{stderr}\n{}", worker.log());
    let (_, stdout, _) = pipeline(&site.servers, &["topics", "describe", &site.sink], &[]);
    assert!(stdout.ends_with("\nits own settings\nmax.message.bytes = 2000000\n"), "{stdout}");
    assert_eq!(cells(&stdout).iter().filter(|line| line.contains(" 1 1 1 ")).count(), 5, "{stdout}");
}
