//! `check --connect` asks the brokers, and changes nothing there.

use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{Names, allow, broker, create_topic, pipeline};

const CHECK: &[&str] = &["check", "factorial.toml", "--connect"];

#[test]
fn brokers_topics_and_rights_are_told_and_nothing_is_created() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("connect");
    create_topic(&servers, &names.source, 3, &[]);
    let expected = format!(
        "\
factorial.toml: the pipeline factorial can run
  Kafka answers at {servers}
  the topic {source} has 3 partitions and may be read
  the topic {sink} is not there yet, and `run` creates it (or this user lacks the right DESCRIBE on it)
  the topic {dead} is not there yet, and `run` creates it (or this user lacks the right DESCRIBE on it)
  the group {source} may be joined
",
        source = names.source,
        sink = names.sink,
        dead = names.dead_letters,
    );
    for _ in 0..2 {
        assert_eq!(pipeline(&servers, CHECK, &names.settings()), (0, expected.clone(), String::new()));
    }
}

#[test]
fn a_right_that_lacks_is_an_error_that_names_it() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    let names = Names::new("forbidden");
    for topic in [&names.source, &names.sink] {
        create_topic(&servers, topic, 1, &[]);
        allow(&servers, topic, "User:ANONYMOUS", Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE);
    }
    allow(&servers, &names.sink, "User:ANONYMOUS", Operation::RD_KAFKA_ACL_OPERATION_WRITE);
    let (code, stdout, stderr) = pipeline(&servers, CHECK, &names.settings());
    assert_eq!((code, stdout.as_str()), (2, ""));
    let source = &names.source;
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
