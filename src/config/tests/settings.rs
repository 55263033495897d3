//! What each setting by itself may be.

use super::*;

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
fn a_character_of_several_bytes_where_none_belongs_is_underlined_as_one() {
    for (text, place) in
        [("topic \u{e9} \"out\"\n", "f.toml:1:7"), ("[[test]]\u{1f600}input = 5\n", "f.toml:1:9")]
    {
        let said = wrong(text, &[]);
        assert!(said.contains("this is not TOML: ") && said.contains(place), "{said}");
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
    let yes = wrong(GOOD, &["source.requests=1"]);
    assert!(yes.contains("`source.requests` must be `true` or `false`, not an integer"), "{yes}");
    assert!(
        table.contains("`commit` must be a table, not an integer") && table.contains("f.toml:1:10"),
        "{table}"
    );
}

#[test]
fn operators_settings_are_wrong_at_their_place() {
    let with = |operators: &str| wrong(&GOOD.replace("[operators.factorial]\n", operators), &[]);
    for (operators, parts) in [
        (
            "",
            &["a pipeline needs an operator, a route, or two formats", "`factorial` (computes n! of each n)"]
                [..],
        ),
        (
            "[operators.factorial]\nmax_n = 'x'\n",
            &["`operators.factorial.max_n`: invalid type: string", "f.toml:7:9"],
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
