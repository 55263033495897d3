//! What is said about a file, as a person reads it.

use std::{net::SocketAddr, time::Duration};

use super::*;
use crate::settings::{Diagnostics, Environment};

struct Empty;

impl Environment for Empty {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "PASSWORD").then(|| "hunter2".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no such file".into())
    }
}

const GOOD: &str = r#"name = "f"

[source]
topic = "in"

[operators.factorial]

[sink]
topic = "out"
"#;

fn parsed(text: &str, sets: &[&str]) -> Result<(Pipeline, Diagnostics), Diagnostics> {
    let overrides: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    parse("f.toml", text, &overrides, &Empty)
}

/// The pipeline of a good file, more lines at its end, and overrides.
fn good(more: &str, sets: &[&str]) -> Pipeline {
    parsed(&format!("{GOOD}{more}"), sets).unwrap_or_else(|wrong| panic!("{wrong}")).0
}

fn wrong(text: &str, sets: &[&str]) -> String {
    parsed(text, sets).err().unwrap_or_else(|| panic!("accepted: {text} {sets:?}")).to_string()
}

/// Each line at the end of a good file, and what must be said about it, at that place.
fn assert_wrong(cases: &[(&str, &[&str])]) {
    for (more, expected) in cases {
        let text = wrong(&format!("{GOOD}{more}\n"), &[]);
        for part in *expected {
            assert!(text.contains(part), "{more}\n{part:?} is not in\n{text}");
        }
    }
}

#[test]
fn a_short_file_has_the_defaults() {
    let pipeline = good("", &[]);
    assert_eq!((pipeline.name.as_str(), pipeline.source.group.as_str()), ("f", "f"));
    assert_eq!((pipeline.guarantee, pipeline.order), (Guarantee::AtLeastOnce, Order::Partition));
    assert_eq!(pipeline.dead_letters, "in.dlq");
    assert_eq!(pipeline.commit, Commit { interval: Duration::from_millis(100), records: 10_000 });
    assert_eq!(pipeline.limits.memory, 256 << 20);
    assert_eq!(pipeline.shutdown_timeout, Duration::from_secs(10));
    let listen: SocketAddr = "127.0.0.1:9464".parse().unwrap();
    assert_eq!(pipeline.metrics, Metrics { listen, explicit: false });
}

#[test]
fn every_setting_of_a_full_file_arrives() {
    let text = r#"
        name = "f"
        guarantee = "exactly-once"
        order = "key"
        [kafka]
        bootstrap.servers = "b:1"
        [source]
        topic = "in"
        partitions = 4
        replication = 3
        group = "g"
        format = "json"
        config.retention.ms = 1000
        kafka.fetch.min.bytes = 5
        [operators.small]
        operator = "filter"
        max = 10
        [operators.factorial]
        max_n = 10
        [sink]
        topic = "out"
        format = "bincode"
        kafka.enable.idempotence = true
        [dead_letters]
        topic = "bad"
        [commit]
        interval = "1s"
        records = 5
        [limits]
        memory = "1 GiB"
        [retry]
        attempts = 3
        backoff = "1 s"
        max_backoff = "2 s"
        [shutdown]
        timeout = "20 s"
        [metrics]
        listen = "[::1]:1"
        [[test]]
        name = "t"
        input = [{ key = "k", value = 5, headers = { a.b = "c" } }, {}]
        output = "5;120"
        dead_letters = ["tombstone"]
    "#;
    let (pipeline, warnings) = parsed(text, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!((pipeline.guarantee, pipeline.order), (Guarantee::ExactlyOnce, Order::Key));
    assert_eq!(pipeline.kafka["bootstrap.servers"].value, "b:1");
    assert_eq!(pipeline.source.kafka["fetch.min.bytes"].value, "5");
    assert_eq!(pipeline.sink.kafka["enable.idempotence"].value, "true");
    assert_eq!(
        pipeline.source.topic,
        TopicSettings {
            topic: "in".into(),
            partitions: Some(4),
            replication: Some(3),
            config: [("retention.ms".to_owned(), "1000".to_owned())].into(),
        }
    );
    let steps: Vec<String> = pipeline.steps.iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(steps, ["small: filter", "factorial: factorial"]);
    assert_eq!((pipeline.source.group.as_str(), pipeline.dead_letters.as_str()), ("g", "bad"));
    let second = Duration::from_secs(1);
    assert_eq!(pipeline.retry, Retry { attempts: 3, backoff: second, max_backoff: 2 * second });
    assert_eq!(pipeline.metrics, Metrics { listen: "[::1]:1".parse().unwrap(), explicit: true });
    let input = [
        TestRecord {
            key: Some("k".into()),
            value: Some("5".into()),
            headers: vec![("a.b".into(), "c".into())],
        },
        TestRecord::default(),
    ];
    let output = TestRecord { value: Some("5;120".into()), ..TestRecord::default() };
    assert_eq!(
        pipeline.tests,
        [TestCase {
            name: "t".into(),
            line: 39,
            input: input.into(),
            output: vec![output],
            dead_letters: vec!["tombstone".into()],
        }]
    );
}

#[test]
fn everything_is_said_at_once_with_file_line_column_and_the_text_underlined() {
    let text = wrong("nam = \"f\"\norder = \"keys\"\n[source]\ntopic = 5\n[operators.factorail]\n", &[]);
    assert!(text.starts_with("f.toml: 6 errors\n"), "{text}");
    for part in [
        "`nam` is not a setting of a pipeline\n   ╭─[ f.toml:1:1 ]",
        " 1 │ nam = \"f\"\n   │ ─┬─",
        "Help: did you mean `name`?",
        "`name` is missing",
        "`order` cannot be \"keys\"\n   ╭─[ f.toml:2:9 ]",
        "did you mean `key`?",
        "`source.topic` must be a string in quotes, not an integer\n   ╭─[ f.toml:4:9 ]",
        "there is no operator `factorail`\n   ╭─[ f.toml:5:12 ]",
        "did you mean `factorial`?",
        "`topic` is missing in `[sink]`",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_syntax_error_is_said_with_its_place_and_nothing_else() {
    let text = wrong("name = \"f\"\n[source\ntopic = \"in\"\n", &[]);
    assert!(text.contains("this is not TOML: ") && text.contains("f.toml:2:8"), "{text}");
    assert!(!text.contains("is missing"), "{text}");
    let twice = wrong("name = \"f\"\nname = \"g\"\n", &[]);
    assert!(twice.contains("duplicate key") && twice.contains("f.toml:2:1"), "{twice}");
}

#[test]
fn unknown_keys_are_errors_with_what_was_meant_or_what_there_is() {
    assert_wrong(&[
        (
            "partitons = 2",
            &["`partitons` is not a setting of `[sink]`", "f.toml:10:1", "did you mean `partitions`?"],
        ),
        ("xyz = 2", &["`xyz` is not a setting of `[sink]`", "its settings are ", "`topic`", "`format`"]),
        ("[sourc.kafka]\na = 1", &["`sourc` is not a setting of a pipeline", "did you mean `source`?"]),
        ("[commit]\nintervall = '1s'", &["f.toml:11:1", "did you mean `interval`?"]),
        ("[limits]\nmemry = 1", &["did you mean `memory`?"]),
        ("[retry]\nattemps = 1", &["did you mean `attempts`?"]),
        ("[[test]]\ninput = 'a'\nouput = 'b'", &["f.toml:12:1", "did you mean `output`?"]),
        ("[[test]]\ninput = { vaule = 'a' }", &["f.toml:11:11", "did you mean `value`?"]),
    ]);
}

#[test]
fn values_of_the_wrong_kind_say_what_is_expected() {
    assert_wrong(&[
        ("[commit]\ninterval = 5", &["`commit.interval` must be a duration, not an integer", "\"100 ms\""]),
        ("[commit]\ninterval = 'soon'", &["`commit.interval`: \"soon\" is not a duration", "f.toml:11:12"]),
        ("[commit]\ninterval = '0 s'", &["`commit.interval` must be longer than nothing"]),
        ("[commit]\nrecords = 0", &["`commit.records` must be an integer, at least 1"]),
        ("[commit]\nrecords = 'ten'", &["`commit.records` must be an integer, at least 1, not a string"]),
        ("[limits]\nmemory = 'much'", &["`limits.memory`: \"much\" is not a size", "\"256 MiB\""]),
        ("[limits]\nmemory = -1", &["`limits.memory`: \"-1\" is not a size"]),
        ("[retry]\nattempts = 0", &["`retry.attempts` must be an integer, 1 to 1000"]),
        ("[shutdown]\ntimeout = '0s'", &["`shutdown.timeout` must be longer than nothing"]),
        (
            "[metrics]\nlisten = 'localhost'",
            &["\"localhost\" is not an address and a port", "\"127.0.0.1:9464\""],
        ),
        ("partitions = 0", &["`sink.partitions` must be an integer, 1 to 2147483647"]),
        ("format = 'xml'", &["`sink.format` cannot be \"xml\"", "one of `text`, `json`, `bincode`"]),
        (
            "[dead_letters]\ntopic = 'a b'",
            &["`dead_letters.topic` is not a topic's name", "Kafka allows letters"],
        ),
        ("[dead_letters]\ntopic = ' '", &["`dead_letters.topic` is empty"]),
        ("dead_letters = 1", &["`dead_letters` is not a setting of `[sink]`"]),
        ("config.retention.ms = [1]", &["`retention.ms` must be a single value, not an array"]),
        ("[[test]]\nname = 'x'", &["`input` is missing in `[test]`", "f.toml:10:1"]),
        ("[test]\ninput = 'x'", &["`test` must be an array of tables, not a table", "write `[[test]]`"]),
        ("[[test]]\ninput = [['x']]", &["`test.input` must be a value or an array of values, not an array"]),
    ]);
    let table = wrong(&format!("commit = 5\n{GOOD}"), &[]);
    assert!(
        table.contains("`commit` must be a table, not an integer") && table.contains("f.toml:1:10"),
        "{table}"
    );
}

#[test]
fn operators_settings_are_wrong_at_their_place() {
    let with = |operators: &str| wrong(&GOOD.replace("[operators.factorial]\n", operators), &[]);
    for (operators, parts) in [
        ("", &["a pipeline needs at least one operator", "`factorial` (computes n! of each n)"][..]),
        (
            "[operators.factorial]\nmax_n = 'x'\n",
            &["`operators.factorial`: invalid type: string", "f.toml:7:9"],
        ),
        ("[operators.factorial]\nmax_n = -1\n", &["invalid value: integer `-1`, expected u32", "f.toml:7:9"]),
        ("[operators.factorial]\nmin_n = 1\n", &["`min_n` is not a setting", "did you mean `max_n`?"]),
        (
            "[operators.small]\noperator = 'filtre'\n",
            &["there is no operator `filtre`", "f.toml:7:12", "`filter`?"],
        ),
        ("[operators.small]\nmax = 1\n", &["there is no operator `small`", "operator = \"filter\""]),
        (
            "[operators.filter]\n",
            &["a filter without a condition drops nothing", "f.toml:6:12", "`key_prefix`"],
        ),
        ("[operators.filter]\nmax = 1\nmin = 2\n", &["`min` is above `max`", "f.toml:8:7"]),
        ("[operators.filter]\nheader = { name = 'a' }\n", &["missing field `equals`", "f.toml:7:10"]),
    ] {
        let text = with(operators);
        for part in parts {
            assert!(text.contains(part), "{operators}\n{part:?} is not in\n{text}");
        }
    }
}

#[test]
fn librdkafkas_properties_are_checked_by_librdkafka() {
    assert_wrong(&[
        (
            "[kafka]\nbootstrap.server = 'b'",
            &["`bootstrap.server` is not a property of librdkafka", "`bootstrap.servers`?"],
        ),
        (
            "[sink.kafka]\nlinger.sm = 5",
            &["`linger.sm` is not a property", "f.toml:11:1", "did you mean `linger.ms`?"],
        ),
        (
            "[sink.kafka]\ncompression.type = 'lz5'",
            &["`compression.type` cannot have this value: ", "f.toml:11:20"],
        ),
        (
            "[sink.kafka]\nfetch.min.bytes = 5",
            &["`fetch.min.bytes` is a consumer's property", "`[source.kafka]`"],
        ),
        ("[source.kafka]\nlinger.ms = 5", &["`linger.ms` is a producer's property", "`[sink.kafka]`"]),
        (
            "[source.kafka]\ngroup.id = 'g'",
            &["`group.id` cannot be set: pipeline sets it itself", "set `group` in"],
        ),
        ("[kafka]\nenable.auto.commit = true", &["`enable.auto.commit` cannot be set", "see `[commit]`"]),
        ("[sink.kafka]\ntransactional.id = 't'", &["`transactional.id` cannot be set"]),
        (
            "[source.kafka]\n\"group.protocol\" = 'consumer'\nsession.timeout.ms = 6000",
            &["`session.timeout.ms` contradicts `group.protocol = \"consumer\"`", "f.toml:12:1", "KIP-848"],
        ),
    ]);
    let exactly_once = |more: &str| wrong(&format!("guarantee = 'exactly-once'\n{GOOD}{more}\n"), &[]);
    for more in ["acks = 1", "enable.idempotence = false"] {
        let text = exactly_once(&format!("[sink.kafka]\n{more}"));
        assert!(
            text.contains("contradicts `guarantee = \"exactly-once\"`") && text.contains("f.toml:12"),
            "{text}"
        );
    }
    let text = exactly_once("[source.kafka]\nisolation.level = 'read_uncommitted'");
    assert!(text.contains("results of aborted transactions would be read"), "{text}");
    good("[sink.kafka]\nacks = 1\n", &[]);
}

#[test]
fn secrets_are_printed_nowhere() {
    let more = "[kafka]\nsasl.password = \"${env:PASSWORD}\"\nssl.key.password = 'written-out'\n";
    let pipeline = good(more, &[]);
    assert_eq!(pipeline.kafka["sasl.password"].value, "hunter2");
    let printed = format!("{pipeline:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("written-out"), "{printed}");
    for more in [
        "[kafka]\nsecurity.protocol = \"${env:PASSWORD}\"",
        "[commit]\ninterval = \"${env:PASSWORD}\"",
        "[limits]\nmemory = \"${env:PASSWORD}\"",
        "[metrics]\nlisten = \"${env:PASSWORD}\"",
        "format = \"${env:PASSWORD}\"",
    ] {
        let text = wrong(&format!("{GOOD}{more}\n"), &[]);
        assert!(text.contains("${env:PASSWORD}") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn overrides_win_and_are_named_instead_of_a_position() {
    let sets = [
        "operators.factorial.max_n=5",
        "kafka.bootstrap.servers=b:1",
        "source.kafka.session.timeout.ms=6000",
    ];
    let pipeline = good("", &sets);
    assert_eq!(pipeline.steps[0].operator.largest_output(), Some("5;120".len() as u64));
    assert_eq!(pipeline.kafka["bootstrap.servers"].value, "b:1");
    assert_eq!(pipeline.source.kafka["session.timeout.ms"].value, "6000");
    assert_eq!(good("", &["name=5"]).name, "5");
    for (set, sentence) in [
        (
            "commit.interval=soon",
            "`commit.interval`: \"soon\" is not a duration\n   in --set commit.interval=soon\n",
        ),
        ("operators.factorial.max_n=x", "in --set operators.factorial.max_n=x\n"),
        (
            "sorce.topic=x",
            "`sorce` is not a setting of a pipeline\n   in --set sorce.topic=x\n   Help: did you mean",
        ),
        ("kafka.sasl.mechanisms=${env:NOT_SET}", "`NOT_SET` is not set\n   in --set kafka.sasl.mechanisms="),
    ] {
        let text = wrong(GOOD, &[set]);
        assert!(text.contains(sentence), "{sentence:?} is not in\n{text}");
    }
}

#[test]
fn the_variable_for_the_brokers_wins_over_the_file_and_an_override_over_it() {
    struct Brokers;
    impl Environment for Brokers {
        fn variable(&self, name: &str) -> Option<String> {
            (name == BOOTSTRAP_SERVERS).then(|| "variable:1".to_owned())
        }

        fn file(&self, _: &str) -> Result<String, String> {
            Err("no such file".into())
        }
    }
    let servers = |sets: &[Override]| {
        let text = format!("{GOOD}[kafka]\nbootstrap.servers = 'file:1'\n");
        parse("f.toml", &text, sets, &Brokers).unwrap().0.kafka["bootstrap.servers"].value.clone()
    };
    assert_eq!(servers(&[]), "variable:1");
    assert_eq!(servers(&["kafka.bootstrap.servers=set:1".parse().unwrap()]), "set:1");
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    let dead_letters = "[dead_letters]\ntopic = ";
    assert_wrong(&[
        (
            &format!("{dead_letters}'in'"),
            &["the pipeline would read its own dead letters: `in`", "f.toml:11:9"],
        ),
        (&format!("{dead_letters}'out'"), &["dead letters would be among the results: `out`", "f.toml:11:9"]),
        (
            "[limits]\nmemory = '8 MiB'",
            &["8.0 MiB is too little to work with", "f.toml:11:10", "at least 16.0 MiB"],
        ),
        (
            "config.max.message.bytes = 1000",
            &["can need 973455 bytes, and this topic takes 1000", "f.toml:10:28"],
        ),
        ("config.max.message.bytes = 'x'", &["`max.message.bytes` must be a number of bytes"]),
        ("[sink.kafka]\nmessage.max.bytes = 2000", &["the producer sends at most 2000", "f.toml:11:21"]),
        (
            "[retry]\nbackoff = '2s'\nmax_backoff = '1s'",
            &["the longest pause (1s) is shorter than the first (2s)"],
        ),
        (
            "[shutdown]\ntimeout = '5min'",
            &["a stop may take 5m, longer than `max.poll.interval.ms` (5m)", "f.toml:11:11"],
        ),
    ]);
    let same = wrong(&GOOD.replace("\"out\"", "\"in\""), &[]);
    assert!(
        same.contains("the pipeline would read its own results: `in`") && same.contains("f.toml:9:9"),
        "{same}"
    );
    let too_much = wrong(GOOD, &["operators.factorial.max_n=1000000", "limits.memory=16 MiB"]);
    assert!(
        too_much.contains("one result of `factorial` can have 5.3 MiB, too much for 16.0 MiB"),
        "{too_much}"
    );
    let slow = wrong(GOOD, &["guarantee=exactly-once", "commit.interval=6s"]);
    assert!(slow.contains("a transaction lasts 6s, and the broker aborts it after"), "{slow}");
    good("", &["guarantee=exactly-once", "commit.interval=6s", "sink.kafka.transaction.timeout.ms=60000"]);
}

#[test]
fn formats_must_be_the_same_where_values_pass_through() {
    let identity = GOOD.replace("factorial", "identity");
    let text = wrong(&format!("{identity}format = 'json'\n"), &[]);
    assert!(text.contains("values come in as text and would have to go out as json"), "{text}");
    assert!(text.contains("f.toml:10:10"), "{text}");
    assert_eq!(good("format = 'json'\n", &[]).steps[0].kind, "factorial");
}

#[test]
fn what_may_disappoint_is_a_warning_and_the_pipeline_can_run() {
    let warned = |sets: &[&str]| parsed(GOOD, sets).unwrap_or_else(|wrong| panic!("{wrong}")).1.to_string();
    let large = warned(&["operators.factorial.max_n=500_000"]);
    assert!(large.starts_with("f.toml: 1 warning\n"), "{large}");
    assert!(large.contains("a topic takes 1048588 unless it says otherwise"), "{large}");
    assert!(large.contains("in --set operators.factorial.max_n=500_000"), "{large}");
    assert!(large.contains("set `max.message.bytes = 2632446` in `[sink.config]`"), "{large}");
    let fits = warned(&["operators.factorial.max_n=500_000", "sink.config.max.message.bytes=2632446"]);
    assert_eq!(fits, "f.toml:");
    let retries = warned(&["retry.attempts=100", "retry.max_backoff=1min"]);
    assert!(retries.contains("longer than `max.poll.interval.ms` (5m)"), "{retries}");
}
