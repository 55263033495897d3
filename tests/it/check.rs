//! `check` says what is wrong with a file, and with `--connect` at the brokers, where it changes nothing.

use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{MINE, Site, allow, create_topic, pipeline, pipeline_offline};

const CHECK: &[&str] = &["check", "factorial.toml", "--connect"];

#[test]
fn check_says_which_pipelines_can_run() {
    let (code, stdout, stderr) = pipeline_offline(MINE, &["check", "mine.toml", "factorial.toml"]);
    assert_eq!(
        stdout,
        "mine.toml: the pipeline mine can run\nfactorial.toml: the pipeline factorial can run\n"
    );
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn check_shows_every_error_of_every_file_and_exits_with_2() {
    let wrong = MINE.replace("order", "ordre").replace("max = 100", "max = 'x'");
    let (code, stdout, stderr) =
        pipeline_offline(&wrong, &["check", "mine.toml", "identity.toml", "nowhere.toml"]);
    assert_eq!(code, 2);
    assert_eq!(stdout, "identity.toml: the pipeline identity can run\n");
    assert!(stderr.starts_with("error: mine.toml: 2 errors\n"), "{stderr}");
    for part in [
        "mine.toml:2:1",
        "did you mean `order`?",
        "mine.toml:9:7",
        "`operators.small.max`: it must be an integer, at least 0, not a string",
        "there is no pipeline nowhere.toml",
    ] {
        assert!(stderr.contains(part), "{part:?} is not in\n{stderr}");
    }
    assert!(!stderr.contains('\u{1b}'), "no colours where it is no terminal: {stderr}");
}

#[test]
fn check_prints_warnings_and_exits_with_0() {
    let arguments = ["check", "factorial.toml", "--set", "operators.factorial.max_n=300_000"];
    let (code, stdout, stderr) = pipeline_offline("", &arguments);
    assert_eq!((code, stdout.as_str()), (0, "factorial.toml: the pipeline factorial can run\n"));
    assert!(stderr.contains("Warning: a result of `factorial` can need"), "{stderr}");
    assert!(stderr.contains("in --set operators.factorial.max_n=300_000"), "{stderr}");
}

#[test]
fn brokers_topics_and_rights_are_told_and_nothing_is_created() {
    let site = Site::new("connect");
    create_topic(&site.servers, &site.source, 3, &[]);
    let expected = format!(
        "\
factorial.toml: the pipeline factorial can run
  Kafka answers at {servers}
  the topic {source} has 3 partitions and may be read
  the topic {sink} is not there yet, and `run` creates it (or this user lacks the right DESCRIBE on it)
  the topic {dead} is not there yet, and `run` creates it (or this user lacks the right DESCRIBE on it)
  the group {source} may be joined
",
        servers = site.servers,
        source = site.source,
        sink = site.sink,
        dead = site.dead_letters,
    );
    for _ in 0..2 {
        assert_eq!(site.pipeline(CHECK), (0, expected.clone(), String::new()));
    }
}

#[test]
fn a_right_that_lacks_is_an_error_that_names_it() {
    let site = Site::new("forbidden");
    let Site { servers, source, sink, .. } = &site;
    for topic in [source, sink] {
        create_topic(servers, topic, 1, &[]);
        allow(servers, topic, "User:ANONYMOUS", Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE);
    }
    allow(servers, sink, "User:ANONYMOUS", Operation::RD_KAFKA_ACL_OPERATION_WRITE);
    let (code, stdout, stderr) = site.pipeline(CHECK);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(
        stderr,
        format!(
            "error: factorial.toml: the topic {source} has 1 partition and may not be read by this user: it lacks the right \
             READ, and an ACL must give it\n"
        )
    );
}

#[test]
fn brokers_that_do_not_answer_are_an_error_that_says_where_they_were_looked_for() {
    let (code, stdout, stderr) = pipeline("127.0.0.1:1", CHECK, &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.starts_with("error: factorial.toml: no Kafka broker answers at 127.0.0.1:1 ("),
        "{stderr}"
    );
}
