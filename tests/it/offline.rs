//! The commands that need no broker: what they print, and their exit codes.

use std::fs;

use tempfile::TempDir;

use crate::harness::{MINE, pipeline_offline};

#[test]
fn graph_draws_topics_operators_and_dead_letters() {
    let (code, stdout, _) = pipeline_offline(MINE, &["graph", "mine.toml"]);
    let expected = "\
mine: at-least-once, in the order of each key

in            source, text, group mine
    │
    ▼
  small       filter: drops what a condition does not hold for
    │         max = 100
    │
    ▼
  factorial   computes n! of each n
    ├──▶ in.dlq: what cannot be computed
    ▼
out           sink, json
";
    assert_eq!((code, stdout.as_str()), (0, expected));
}

#[test]
fn graph_says_what_the_source_leaves_out() {
    let once = MINE.replace(
        "[operators.small]",
        "[source.deduplicate]\nby = \"headers['id']\"\nwithin = \"90 min\"\n\n[operators.small]",
    );
    let (code, stdout, errors) = pipeline_offline(&once, &["graph", "mine.toml"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    let expected = "\
in            source, text, group mine
    │         without what comes again within 1h30m, by headers['id']
    │
    ▼
";
    assert!(stdout.contains(expected), "{stdout}");
}

#[test]
fn graph_speaks_dot_and_mermaid() {
    let (_, dot, _) = pipeline_offline(MINE, &["graph", "mine.toml", "--format", "dot"]);
    assert!(dot.starts_with("digraph \"mine\" {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("n2 [shape=box, label=\"factorial\"];\n"), "{dot}");
    assert!(dot.contains("n2 -> n4 [style=dashed, label=\"dead letters\"];\n"), "{dot}");
    let (_, mermaid, _) = pipeline_offline(MINE, &["graph", "mine.toml", "--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart LR\n  n0[(\"in\")]\n  n1[\"small<br>max = 100\"]\n"), "{mermaid}");
    assert!(
        mermaid.contains("n0 --> n1\n") && mermaid.contains("n1 -.->|\"dead letters\"| n4\n"),
        "{mermaid}"
    );
    let condition = MINE.replace("max = 100", "when = \"value > 3 && key != '\\\"'\"");
    let (_, mermaid, _) = pipeline_offline(&condition, &["graph", "mine.toml", "--format", "mermaid"]);
    assert!(mermaid.contains("small<br>when = value #gt; 3 #amp;#amp; key != '#quot;'"), "{mermaid}");
    let (_, dot, _) = pipeline_offline(&condition, &["graph", "mine.toml", "--format", "dot"]);
    assert!(dot.contains("label=\"small\\nwhen = value > 3 && key != '\\\"'\""), "{dot}");
}

#[test]
fn test_runs_the_cases_of_the_file() {
    let (code, stdout, _) = pipeline_offline(MINE, &["test", "mine.toml", "factorial.toml", "identity.toml"]);
    let expected = "mine.toml\n  ok      three is small, a thousand is not\n\
                    factorial.toml\n  ok      test 1\n\
                    identity.toml\n  ok      any bytes go through\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
}

#[test]
fn a_file_without_a_case_is_no_success() {
    let untested = MINE.split("[[test]]").next().unwrap();
    let (code, stdout, stderr) = pipeline_offline(untested, &["test", "factorial.toml", "mine.toml"]);
    let expected = "factorial.toml\n  ok      test 1\nmine.toml\n  there is no [[test]] in this file\n";
    assert_eq!((code, stdout.as_str()), (1, expected));
    let expected =
        "error: nothing is tested of mine.toml: add a [[test]] (`pipeline test --help` shows one)\n";
    assert_eq!(stderr, expected);
}

#[test]
fn a_case_that_does_not_hold_shows_the_difference_and_exits_with_1() {
    let wrong = MINE.replace("\"result\":\"6\"", "\"result\":\"7\"");
    let (code, stdout, stderr) = pipeline_offline(&wrong, &["test", "mine.toml"]);
    let expected = r#"mine.toml
  FAILED  three is small, a thousand is not (mine.toml:17)
          result 1: value.result
            expected  "7"
            but was   "6"
"#;
    assert_eq!((code, stdout.as_str()), (1, expected));
    assert_eq!(stderr, "error: 1 of 1 test cases failed\n");
}

/// Orders, each with what two tables have of its customer and where it goes to.
const ORDERS: &str = r#"name = "mine"

[source]
topic = "orders"
format = "json"

[operators.join]
topic = "customers"
by = "value.who"
into = "customer"

[operators.referrer]
operator = "join"
topic = "customers"
by = "value.by"
into = "by"
missing = "drop"

[operators.place]
operator = "join"
topic = "places"
format = "string"
into = "place"
missing = "dead-letter"

[sink]
topic = "out"
format = "json"
"#;

#[test]
fn a_case_says_what_is_in_the_tables_and_the_next_one_finds_nothing_of_it() {
    let cases = r#"
[[test]]
name = "a row of each table, and one that two operators find"
input = { key = "eu.7", value = { who = "c1", by = 7 } }
output = { value = { who = "c1", by = { name = "Bea" }, customer = { name = "Ada", of = [1, 2] }, place = "{ at 7" } }

[test.tables.customers]
c1 = { name = "Ada", of = [1, 2] }
7 = { name = "Bea" }

[test.tables.places]
"eu.7" = "{ at 7"

[[test]]
name = "no row, as no case has those of another"
input = [{ key = "eu.7", value = { who = "c1", by = 7 } }]

[[test]]
name = "what is missing"
input = { key = "eu.8", value = { who = "c1", by = 7 } }
dead_letters = "not-in-table"
tables.customers.7 = "null"

[[test]]
name = "a row that is broken"
input = { key = "eu.7", value = { who = "c1", by = 7 } }
dead_letters = "not-json"
tables.customers.c1 = "Ada"
"#;
    let (code, stdout, stderr) = pipeline_offline(&format!("{ORDERS}{cases}"), &["test", "mine.toml"]);
    let expected = "mine.toml\n  ok      a row of each table, and one that two operators find\n  \
                    ok      no row, as no case has those of another\n  ok      what is missing\n  \
                    ok      a row that is broken\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, expected, ""));
}

#[test]
fn a_case_whose_rows_are_other_than_it_thinks_fails_and_one_of_another_topic_is_refused() {
    let cases = r#"
[[test]]
name = "other"
input = { key = "p", value = { who = "c1", by = "c1" } }
output = { value = { who = "c1", by = { name = "Ada" }, customer = { name = "Ada" }, place = "here" } }
tables.customers.c1 = { name = "Bea" }
tables.places.p = "here"

[[test]]
name = "broken"
input = { key = "p", value = { who = "c1", by = "c1" } }
tables.customers.c1 = "Ada"
"#;
    let file = format!("{ORDERS}{cases}");
    let (code, stdout, _) = pipeline_offline(&file, &["test", "mine.toml"]);
    let expected = r#"mine.toml
  FAILED  other (mine.toml:30)
          result 1: value.by.name
            expected  "Ada"
            but was   "Bea"
          result 1: value.customer.name
            expected  "Ada"
            but was   "Bea"
  FAILED  broken (mine.toml:37)
          dead letters
            expected  none
            but was   not-json (what `customers` has under the key "c1" cannot be read: "#;
    assert_eq!(code, 1);
    assert!(stdout.starts_with(expected), "{stdout}");

    let (code, stdout, stderr) =
        pipeline_offline(&file.replace("tables.customers", "tables.customer"), &["test", "mine.toml"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    for part in [
        "2 errors",
        "no operator looks into a topic `customer`",
        "mine.toml:34:8",
        "mine.toml:40:8",
        "those that are looked into are `[test.tables.customers]`, `[test.tables.places]`",
    ] {
        assert!(stderr.contains(part), "{part:?} is not in\n{stderr}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let twice = &["run", "factorial.toml", "factorial.toml"];
    for arguments in [&["chekc"][..], &["check"], &["check", "identity.toml", "--set", "nonsense"], twice] {
        let (code, _, stderr) = pipeline_offline("", arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_command_line_itself() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = pipeline_offline("", &["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("completions") && script.contains("mermaid"), "{shell}: {script}");
    }
    let (_, page, _) = pipeline_offline("", &["man"]);
    assert!(page.contains(".TH pipeline 1") && page.contains("PIPELINE_BOOTSTRAP_SERVERS"), "{page}");
    let (_, page, _) = pipeline_offline("", &["man", "graph"]);
    assert!(page.contains("pipeline\\-graph \\- Draws a pipeline"), "{page}");
    let (code, _, stderr) = pipeline_offline("", &["man", "grahp"]);
    assert_eq!((code, stderr.as_str()), (2, "error: there is no command grahp: see `pipeline --help`\n"));
}

#[test]
fn factorial_prints_the_digits_and_nothing_else() {
    let (code, stdout, stderr) = pipeline_offline(MINE, &["factorial", "30"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "265252859812191058636308480000000\n", ""));
}

#[test]
fn factorial_writes_a_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("digits");
    let arguments = ["factorial", "1000", "--threads", "2", "--output", file.to_str().unwrap()];
    assert_eq!(pipeline_offline(MINE, &arguments), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(file).unwrap(), pipeline::factorial::factorial_decimal(1_000));

    let (code, _, stderr) = pipeline_offline(MINE, &["factorial", "5", "--output", "nowhere/digits"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: cannot write nowhere/digits: "), "{stderr}");
}

#[test]
fn factorial_times_itself_in_one_line_of_json() {
    let (code, stdout, _) =
        pipeline_offline(MINE, &["factorial", "10", "--time", "--repeat", "3", "--threads", "1"]);
    let line: serde_json::Value = serde_json::from_str(stdout.trim_end()).unwrap();
    assert_eq!((code, stdout.lines().count()), (0, 1));
    assert_eq!((&line["n"], &line["digits"], &line["threads"]), (&10.into(), &7.into(), &1.into()));
    // `printf 3628800 | sha256sum`
    assert_eq!(line["sha256"], "4b8c4c67c5066c2d71cc7650eeb3f6e774e9cbbcea3252eacba190af6e87b0f9");
    let (best, median) = (line["best_seconds"].as_f64().unwrap(), line["median_seconds"].as_f64().unwrap());
    assert!(0.0 < best && best <= median, "{stdout}");
    assert!(!line["method"].as_str().unwrap().is_empty());
}

#[test]
fn factorial_times_a_stream_of_random_numbers() {
    let arguments = ["factorial", "--random", "5..5", "--count", "4", "--threads", "1"];
    let (code, stdout, _) = pipeline_offline(MINE, &arguments);
    let line: serde_json::Value = serde_json::from_str(stdout.trim_end()).unwrap();
    assert_eq!((code, &line["count"], &line["digits"]), (0, &4.into(), &12.into()));
    // `printf 120120120120 | sha256sum`
    assert_eq!(line["sha256"], "4540a85a86343e26a3a35736d0194dd443250af66b7de8837c03d635f6386f95");
    assert!(line["results_per_second"].as_f64().unwrap() > 0.0, "{stdout}");
}

#[test]
fn factorial_refuses_what_is_too_large_with_the_limit() {
    for arguments in [&["factorial", "100000001"][..], &["factorial", "--random", "1..100000001"]] {
        let (code, stdout, stderr) = pipeline_offline(MINE, arguments);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.contains("100000001") && stderr.contains("100000000"), "{stderr}");
    }
}

#[test]
fn a_binary_with_an_operator_of_its_own_has_every_command() {
    // Cargo builds it before the tests only where all of them are run. With other features it would build the library anew.
    let features = if cfg!(feature = "wasm") { "wasm" } else { "" };
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--example", "operator", "--features", features])
        .status();
    assert!(built.unwrap().success());
    let mine =
        std::path::Path::new(env!("CARGO_BIN_EXE_pipeline")).with_file_name("examples").join("operator");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/operator/masked.toml");
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&mine).args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, err) = run(&["test", file]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let (code, _, err) = run(&["check", file, "--set", "operators.mask.field="]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`operators.mask.field`: it must name a field"), "{err}");
    let text = std::fs::read_to_string(file).unwrap();
    let (code, _, err) = pipeline_offline(&text, &["check", "mine.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("there is no operator `mask`"), "{err}");
}
