//! With programs that any system has.

use super::*;
use crate::{
    format::Format,
    operator::{Operator, line},
    record::{Offset, TopicPartition},
};

fn json() -> Formats {
    formats(Format::Json, Format::Json)
}

fn formats(input: Format, output: Format) -> Formats {
    Formats { input, output, ..Formats::default() }
}

fn build(toml: &str, formats: Formats) -> Box<dyn Operator> {
    Command::build(toml.parse().unwrap(), formats).map_err(|error| error.to_string()).unwrap()
}

fn calls(values: &[&'static str]) -> Vec<Call> {
    let call = |(offset, value): (usize, &&'static str)| {
        let place = Some((TopicPartition::new("in", 0), Offset(offset as i64)));
        let record = Record { key: Some("k".into()), value: Some((*value).into()), ..Record::default() };
        Call { record, place, part: 0 }
    };
    values.iter().enumerate().map(call).collect()
}

/// What becomes of values: of each its new values, or the kind of error and the sentence.
async fn asked(operator: &dyn Operator, values: &[&'static str]) -> Vec<String> {
    let answers = operator.asynchronous().unwrap().call(calls(values)).await;
    assert_eq!(answers.len(), values.len());
    let text = |record: Record| {
        let text = |bytes: Option<bytes::Bytes>| {
            bytes.map_or("none".into(), |b| String::from_utf8(b.to_vec()).unwrap())
        };
        format!("{}={}", text(record.key), text(record.value))
    };
    let said = |answer: Answer| match answer {
        Ok(records) => records.into_iter().map(text).collect::<Vec<_>>().join(" "),
        Err(OperatorError::BadInput { class, message }) => format!("{class}: {message}"),
        Err(OperatorError::Passing { failure, message }) => format!("{failure}: {message}"),
        Err(other) => format!("{other:?}"),
    };
    answers.into_iter().map(said).collect()
}

#[tokio::test]
async fn a_program_that_sends_lines_back_changes_nothing() {
    let cat = build("run = ['cat']", json());
    let values = ["{\"a\" :\n 1.50}", "null", "[\"\\n\"]", "12345678901234567890123"];
    let expected = ["k={\"a\" :  1.50}", "k=none", "k=[\"\\n\"]", "k=12345678901234567890123"];
    assert_eq!(asked(&*cat, &values).await, expected);
    assert_eq!(asked(&*cat, &values).await, expected, "the same one, again");
    let text = build("run = ['cat']", formats(Format::Text, Format::String));
    assert_eq!(
        asked(&*text, &["7", "x"]).await[0],
        "bad-answer: the program's answer cannot be used: the format string needs text, and this is an integer"
    );
    let text = build("run = ['cat']", Formats::default());
    let said = asked(&*text, &["7", "x", "8"]).await;
    assert_eq!((&*said[0], &*said[2]), ("k=7", "k=8"));
    assert!(said[1].starts_with("not-a-number: "), "{}", said[1]);
}

#[tokio::test]
async fn a_line_has_all_that_is_known_of_a_record() {
    let call = calls(&["1"]).pop().unwrap();
    let line = |call: &Call| {
        let mut line = Vec::new();
        line::write(&mut line, 7, call, &Format::Json).unwrap();
        String::from_utf8(line).unwrap()
    };
    assert_eq!(
        line(&call),
        "{\"id\":7,\"topic\":\"in\",\"partition\":0,\"offset\":0,\"key\":\"k\",\"value\":1}"
    );
    let record = Record { value: Some("1".into()), ..Record::default() };
    assert_eq!(line(&Call { record, place: None, part: 0 }), "{\"id\":7,\"value\":1}");
}

#[tokio::test]
async fn an_answer_may_have_several_values_none_an_error_or_another_key() {
    let sed = |to: &str| build(&format!(r#"run = ["sed", "-u", 's/"value":.*/{to}}}/']"#), json());
    assert_eq!(asked(&*sed("\"values\":[1,{}]"), &["0"]).await, ["k=1 k={}"]);
    assert_eq!(asked(&*sed("\"values\":[]"), &["0"]).await, [""]);
    assert_eq!(asked(&*sed("\"key\":\"l\",\"value\":2"), &["0"]).await.len(), 1);
    assert_eq!(
        asked(&*sed("\"error\":\"no such order\""), &["0"]).await,
        ["refused-by-program: the program refuses it: no such order"]
    );
    assert_eq!(
        asked(&*sed("\"x\":1"), &["0"]).await,
        ["bad-answer: the program's answer must have `value`, `values` or `error`"]
    );
    let other = build(r#"run = ["sed", "-u", 's/"key":"k"/"key":"l"/']"#, json());
    assert_eq!(asked(&*other, &["0"]).await, ["l=0"]);
}

#[tokio::test]
async fn one_that_ends_costs_only_the_record_that_it_ends_at() {
    // Two answers each: no record is to blame.
    let two = build("run = ['sed', '-u', '2q']", json());
    assert_eq!(asked(&*two, &["0", "1", "2", "3", "4"]).await, ["k=0", "k=1", "k=2", "k=3", "k=4"]);
    let script =
        "while read l; do case $l in *:7}) echo no sevens >&2; sleep 0.1; exit 1;; esac; echo $l; done";
    let sevens = build(&format!("run = ['sh', '-c', '{script}']"), json());
    for _ in 0..5 {
        let said = asked(&*sevens, &["7", "1", "7", "7", "4"]).await;
        let ended = "program-ended: the program `sh` has ended (exit status: 1); it said: no sevens";
        assert_eq!(said, [ended, "k=1", ended, ended, "k=4"], "however many they are");
    }
    // Text behind an answer is no fault of the next record.
    let talks = build("run = ['sed', '-u', 'p;s/.*/done/']", json());
    assert_eq!(asked(&*talks, &["0", "1", "2"]).await, ["k=0", "k=1", "k=2"]);
}

#[tokio::test]
async fn one_that_never_answers_stops_the_pipeline_and_loses_nothing() {
    let broken = build("run = ['sh', '-c', 'echo no module named score >&2; sleep 0.2; exit 3']", json());
    let said = asked(&*broken, &["0", "1", "2", "3"]).await;
    assert_eq!(
        said[0],
        "program-ended: the program `sh` has ended (exit status: 3); it said: no module named score"
    );
    assert!(said[2].starts_with("Fatal") && said[3].starts_with("Fatal"), "{said:?}");
    // One record that each program ends at is only that record's fault.
    let broken = build("run = ['false']", json());
    for _ in 0..5 {
        assert!(asked(&*broken, &["0"]).await[0].starts_with("program-ended: "));
    }
    let missing = build("run = ['no-such-program']", json());
    let said = asked(&*missing, &["0"]).await;
    assert!(said[0].contains("cannot start the program `no-such-program`: No such file"), "{said:?}");
}

#[tokio::test]
async fn one_that_hangs_or_answers_what_is_no_answer_is_killed() {
    let hangs = build("run = ['sleep', '100']\ntimeout = '200 ms'", json());
    assert_eq!(
        asked(&*hangs, &["0"]).await,
        [
            "timeout: the program `sleep` did not answer within 200ms, and is killed; does it flush what it prints?"
        ]
    );
    let floods = build("run = ['yes']", json());
    let said = asked(&*floods, &["0"]).await;
    assert!(
        said[0].starts_with(
            "program-ended: the program `yes` is killed: on its standard output only answers may be"
        ),
        "{said:?}"
    );
    let other = build(r#"run = ["sed", "-u", 's/"id":0/"id":7/']"#, json());
    assert_eq!(
        asked(&*other, &["0"]).await,
        ["program-ended: the program `sed` is killed: it answered about 7, which is not asked"]
    );
    let long = build("run = ['sh', '-c', 'head -c 3000000 /dev/zero']\nmax_response = '1 MiB'", json());
    assert_eq!(
        asked(&*long, &["0"]).await,
        [
            "program-ended: the program `sh` is killed: it answered more than the 1048576 bytes of `max_response` in a line"
        ]
    );
}

#[tokio::test]
async fn answers_may_come_in_any_order_and_much_may_be_said_beside_them() {
    let script = "read a; read b; yes much | head -200000 >&2; echo \"$b\"; echo \"$a\"";
    let turns = build(&format!("run = ['sh', '-c', '{script}']"), json());
    assert_eq!(asked(&*turns, &["0", "1"]).await, ["k=0", "k=1"]);
    let large: &'static str = format!("\"{}\"", "x".repeat(900_000)).leak();
    let cat = build("run = ['cat']", json());
    assert_eq!(
        asked(&*cat, &[large, large, large]).await,
        vec![format!("k={large}"); 3],
        "pipes hold far less"
    );
}

#[tokio::test]
async fn its_environment_and_its_memory_are_what_the_file_says() {
    let script = r#"read l; echo "{\"id\":0,\"value\":[\"$A\",\"$CARGO_MANIFEST_DIR\",$(ulimit -v)]}""#;
    let toml = format!("run = ['sh', '-c', '''{script}''']\nenv.A = 'b'\nmemory = '512 MiB'");
    assert_eq!(asked(&*build(&toml, json()), &["0"]).await, ["k=[\"b\",\"\",524288]"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_has_as_many_cores_as_the_file_says() {
    let script = r#"read l; cores=$(grep Cpus_allowed_list /proc/self/status | cut -f 2); echo "{\"id\":0,\"value\":\"$cores\"}""#;
    let cores = |more: &str| build(&format!("run = ['sh', '-c', '''{script}''']\n{more}"), json());
    let said = asked(&*cores("cores = 1"), &["0"]).await;
    assert!(!said[0].contains([',', '-']), "one core, by its number: {said:?}");
    let all = std::fs::read_to_string("/proc/self/status").unwrap();
    let all = all.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap();
    for more in ["", "cores = 1024"] {
        assert_eq!(asked(&*cores(more), &["0"]).await, [format!("k=\"{all}\"")], "{more}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |toml: &str| {
        let error = Command::build(toml.parse().unwrap(), json()).err().unwrap();
        format!("{}: {}", error.key.as_deref().unwrap_or_default(), error.reason)
    };
    assert_eq!(refused(""), ": `run` is missing");
    assert_eq!(refused("run = []"), "run: it must name a program, such as [\"python3\", \"score.py\"]");
    assert_eq!(refused("run = ['cat']\nprocesses = 0"), "processes: it must be 1 to 1,000");
    assert_eq!(refused("run = ['cat']\nbatch = 3000"), "batch: it must be 1 to 2,000");
}
