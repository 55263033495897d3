//! The commands that need no broker: what they print, and their exit codes.

use std::{
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

/// Runs the binary in a folder with that `mine.toml`.
fn pipeline(toml: &str, arguments: &[&str]) -> (i32, String, String) {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("mine.toml"), toml).unwrap();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(arguments)
        .current_dir(directory.path())
        .env_remove("PIPELINE_BOOTSTRAP_SERVERS")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const MINE: &str = r#"name = "mine"
order = "key"

[source]
topic = "in"

[operators.small]
operator = "filter"
max = 100

[operators.factorial]

[sink]
topic = "out"
format = "json"

[[test]]
name = "three is small, a thousand is not"
input = ["3", "1000"]
output = '{"n":3,"result":"6"}'
"#;

#[test]
fn check_says_which_pipelines_can_run() {
    let (code, stdout, stderr) = pipeline(MINE, &["check", "mine.toml", "factorial.toml"]);
    assert_eq!(
        stdout,
        "mine.toml: the pipeline mine can run\nfactorial.toml: the pipeline factorial can run\n"
    );
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn check_shows_every_error_of_every_file_and_exits_with_2() {
    let wrong = MINE.replace("order", "ordre").replace("max = 100", "max = 'x'");
    let (code, stdout, stderr) = pipeline(&wrong, &["check", "mine.toml", "identity.toml", "nowhere.toml"]);
    assert_eq!(code, 2);
    assert_eq!(stdout, "identity.toml: the pipeline identity can run\n");
    assert!(stderr.starts_with("error: mine.toml: 2 errors\n"), "{stderr}");
    for part in [
        "mine.toml:2:1",
        "did you mean `order`?",
        "mine.toml:9:7",
        "invalid type: string \"x\"",
        "there is no pipeline nowhere.toml",
    ] {
        assert!(stderr.contains(part), "{part:?} is not in\n{stderr}");
    }
    assert!(!stderr.contains('\u{1b}'), "no colours where it is no terminal: {stderr}");
}

#[test]
fn check_prints_warnings_and_exits_with_0() {
    let arguments = ["check", "factorial.toml", "--set", "operators.factorial.max_n=300_000"];
    let (code, stdout, stderr) = pipeline("", &arguments);
    assert_eq!((code, stdout.as_str()), (0, "factorial.toml: the pipeline factorial can run\n"));
    assert!(stderr.contains("Warning: a result of `factorial` can need"), "{stderr}");
    assert!(stderr.contains("in --set operators.factorial.max_n=300_000"), "{stderr}");
}

#[test]
fn graph_draws_topics_operators_and_dead_letters() {
    let (code, stdout, _) = pipeline(MINE, &["graph", "mine.toml"]);
    let expected = "\
mine: at-least-once, in the order of each key

in            source, text, group mine
    │
    ▼
  small       filter: drops what a condition does not hold for
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
fn graph_speaks_dot_and_mermaid() {
    let (_, dot, _) = pipeline(MINE, &["graph", "mine.toml", "--format", "dot"]);
    assert!(dot.starts_with("digraph \"mine\" {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("n2 [shape=box, label=\"factorial\"];\n"), "{dot}");
    assert!(dot.contains("n2 -> n4 [style=dashed, label=\"dead letters\"];\n"), "{dot}");
    let (_, mermaid, _) = pipeline(MINE, &["graph", "mine.toml", "--format", "mermaid"]);
    assert!(mermaid.starts_with("flowchart LR\n  n0[(\"in\")]\n  n1[\"small\"]\n"), "{mermaid}");
    assert!(mermaid.contains("n0 --> n1\n") && mermaid.contains("n1 -. dead letters .-> n4\n"), "{mermaid}");
}

#[test]
fn test_runs_the_cases_of_the_file() {
    let (code, stdout, _) = pipeline(MINE, &["test", "mine.toml", "factorial.toml", "identity.toml"]);
    let expected = "mine.toml\n  ok      three is small, a thousand is not\n\
                    factorial.toml\n  ok      test 1\n\
                    identity.toml\n  there is no [[test]] in this file\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
}

#[test]
fn a_case_that_does_not_hold_shows_the_difference_and_exits_with_1() {
    let wrong = MINE.replace("\"result\":\"6\"", "\"result\":\"7\"");
    let (code, stdout, stderr) = pipeline(&wrong, &["test", "mine.toml"]);
    let expected = r#"mine.toml
  FAILED  three is small, a thousand is not (mine.toml:17)
          result 1
            expected  "{\"n\":3,\"result\":\"7\"}"
            but was   "{\"n\":3,\"result\":\"6\"}"
"#;
    assert_eq!((code, stdout.as_str()), (1, expected));
    assert_eq!(stderr, "error: 1 of 1 test cases failed\n");
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [&["chekc"][..], &["check"], &["check", "identity.toml", "--set", "nonsense"]] {
        let (code, _, stderr) = pipeline("", arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
}

#[test]
fn completions_and_manual_pages_come_from_the_command_line_itself() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = pipeline("", &["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("completions") && script.contains("mermaid"), "{shell}: {script}");
    }
    let (_, page, _) = pipeline("", &["man"]);
    assert!(page.contains(".TH pipeline 1") && page.contains("PIPELINE_BOOTSTRAP_SERVERS"), "{page}");
    let (_, page, _) = pipeline("", &["man", "graph"]);
    assert!(page.contains("pipeline\\-graph \\- Draws a pipeline"), "{page}");
    let (code, _, stderr) = pipeline("", &["man", "grahp"]);
    assert_eq!((code, stderr.as_str()), (2, "error: there is no command grahp: see `pipeline --help`\n"));
}
