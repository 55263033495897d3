//! What each setting by itself may be.

use super::*;

#[test]
fn everything_is_said_at_once_with_file_line_column_and_the_text_underlined() {
    let text = wrong("nam = \"f\"\norder = \"keys\"\n[source]\ntopic = 5\n[operators.factorail]\n", &[]);
    assert!(text.starts_with("f.toml: 5 errors\n"), "{text}");
    for part in [
        "`nam` is not a setting of a pipeline\n   ╭─[ f.toml:1:1 ]",
        " 1 │ nam = \"f\"\n   │ ─┬─",
        "Help: did you mean `name`?",
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
fn a_file_says_of_which_version_of_the_format_it_is() {
    assert_eq!(parsed(&format!("version = 1\n{GOOD}"), &[]).unwrap().0.name, "f");
    assert_eq!(good("", &["version=1"]).name, "f");

    // What else it says may mean something else there, so nothing is said of it.
    let newer = wrong(&format!("version = 2\nnew_setting = true\n{GOOD}"), &[]);
    for part in [
        "this file has `version = 2`, and this program reads version 1\n   ╭─[ f.toml:1:11 ]",
        "install a newer `pipeline`",
        "f.toml: 1 error",
    ] {
        assert!(newer.contains(part), "{part:?} is not in\n{newer}");
    }
    assert!(!newer.contains("new_setting` is not"), "{newer}");

    for (version, expected) in [
        ("0", "`version` must be the integer 1, not 0"),
        ("-2", "`version` must be the integer 1, not -2"),
        ("'1'", "`version` must be the integer 1, not a string"),
        ("1.0", "`version` must be the integer 1, not a"),
        ("[1]", "`version` must be the integer 1, not an array"),
    ] {
        let text = wrong(&format!("version = {version}\n{GOOD}"), &[]);
        assert!(text.contains(expected) && text.contains("f.toml:1:11"), "{version}\n{text}");
    }
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
            &[
                "`operators.factorial.max_n`: it must be an integer, 0 to 4294967295, not a string",
                "f.toml:7:9",
            ],
        ),
        (
            "[operators.factorial]\nmax_n = -1\n",
            &["max_n`: it must be an integer, 0 to 4294967295\n", "f.toml:7:9"],
        ),
        (
            "[operators.filter]\nwhen = 5\n",
            &["when`: it must be a string in quotes, not an integer", "f.toml:7:8"],
        ),
        ("[operators.filter]\nheader = 'a'\n", &["header`: it must be a table, not a string"]),
        (
            "[operators.filter]\nheader = { name = 'a', equals = ['b'] }\n",
            &["`operators.filter.header.equals`: it must be a string in quotes, not an array", "f.toml:7:33"],
        ),
        (
            "[operators.filter]\nheader = { nam = 'a' }\n",
            &["`nam` is not a setting here; there is `name` or `equals`"],
        ),
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
        ("[operators.filter]\nheader = { name = 'a' }\n", &["`equals` is missing", "f.toml:7:10"]),
    ] {
        let text = with(operators);
        for part in parts {
            assert!(text.contains(part), "{operators}\n{part:?} is not in\n{text}");
        }
    }
}

#[test]
fn what_merely_follows_from_an_error_is_not_said() {
    let json =
        "name = 'f'\nsource = { topic = 'in', format = 'json' }\nsink = { topic = 'out', format = 'json' }\n";
    let map = "[operators.map]\nset.a = '1'\n";
    for (text, sentence) in [
        (GOOD.replace("name =", "nam ="), "`nam` is not a setting of a pipeline"),
        (GOOD.replace("[sink]", "[snik]"), "`snik` is not a setting of a pipeline"),
        (GOOD.replace("[source]\ntopic", "[source]\ntopci"), "`topci` is not a setting of `[source]`"),
        (GOOD.replace("[operators.", "[operatros."), "`operatros` is not a setting of a pipeline"),
        (
            format!("{json}[operators.filter]\nwhne = 'true'\n"),
            "`whne` is not a setting of `[operators.filter]`",
        ),
        (format!("{json}[operators.key]\nt0 = 'key'\n"), "`t0` is not a setting of `[operators.key]`"),
        (format!("{}{map}", json.replacen("json", "jsno", 1)), "`source.format` cannot be \"jsno\""),
        (
            format!("{}{map}", json.replace("out', format = 'json", "out', format = 'xml")),
            "`sink.format` cannot be \"xml\"",
        ),
        (GOOD.replace("[sink]", "[sink]\ntopics = ['a']"), "`topics` is not a setting of `[sink]`"),
        (format!("{json}{map}").replace("sink =", "snik ="), "`snik` is not a setting of a pipeline"),
        (format!("{}{map}", json.replacen("format", "fromat", 1)), "`fromat` is not a setting of `[source]`"),
        (format!("{GOOD}[[test]]\ninptu = '3'\n"), "`inptu` is not a setting of `[test]`"),
    ] {
        let said = wrong(&text, &[]);
        assert!(said.starts_with("f.toml: 1 error\n"), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    let both = wrong(&format!("{}[operators.key]\nto = 5\n", json.replacen("json", "jsno", 1)), &[]);
    assert!(
        both.contains("cannot be \"jsno\"") && both.contains("must be a string"),
        "what does not follow is: {both}"
    );
    let two = wrong(&format!("{json}[operators.filter]\nwhen = 'valeu'\nmni = 2\n"), &[]);
    assert!(
        two.contains("`mni` is not") && two.contains("there is no `valeu`"),
        "what does not follow is: {two}"
    );
}

#[test]
fn a_class_of_dead_letters_that_there_is_not_is_refused() {
    let case = "[[test]]\ninput = 'x'\ndead_letters = ";
    assert_wrong(&[
        (
            &format!("{case}['empty', 'not-a-numbr']"),
            &[
                "`test.dead_letters` names no class of dead letters: `not-a-numbr`",
                "f.toml:12:26",
                "`not-a-number`?",
            ],
        ),
        (&format!("{case}'wrong'"), &["`wrong`", "there are tombstone, empty, "]),
    ]);
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
fn retries_of_one_kind_of_failure_are_checked_as_those_of_all() {
    assert_wrong(&[
        (
            "[retry.time-out]\nattempts = 1\n",
            &["`time-out` is not a setting of `[retry]`", "did you mean `timeout`?"],
        ),
        (
            "[retry.timeout]\nbackoff = \"2 s\"\nmax_backoff = \"1 s\"\n",
            &["the longest pause (1s) is shorter than the first (2s)"],
        ),
    ]);
    let (_, warnings) = parsed(&format!("{GOOD}[retry.status-5xx]\nbackoff = \"3 min\"\n"), &[]).unwrap();
    assert!(warnings.to_string().contains("a record's retries can take"), "{warnings}");
}

#[test]
fn control_is_off_unless_the_file_has_it_and_needs_a_token_that_is_nowhere_shown() {
    assert_eq!(good("", &[]).control, None);
    let control = good("[control]\ntoken = \"a-token-of-24-characters\"\n", &[]).control.unwrap();
    assert_eq!(control.listen.to_string(), "127.0.0.1:9465");
    assert_eq!(control.token, Secret("a-token-of-24-characters".to_owned()));
    assert!(!format!("{control:?}").contains("a-token"));
    assert_wrong(&[
        ("[control]", &["`token` is missing in `[control]`", "whoever has it may pause the workers"]),
        ("[control]\nlisten = \"[::1]:1\"", &["`token` is missing in `[control]`"]),
        ("[control]\ntoken = \"\"", &["`control.token` is empty", "f.toml:"]),
        (
            "[control]\ntoken = \"${env:PASSWORD}\"",
            &["`control.token` has 7 characters, and 16 are the fewest"],
        ),
    ]);
    assert!(!wrong(&format!("{GOOD}[control]\ntoken = \"${{env:PASSWORD}}\"\n"), &[]).contains("hunter2"));
}
