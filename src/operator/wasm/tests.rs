use std::sync::LazyLock;

use super::*;
use crate::{
    format::Format,
    operator::{Call, Cancel, Operator, OperatorError},
    record::{Headers, Offset, Record, TopicPartition, classes},
};

const TROUBLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/trouble.wasm");

fn built(settings: &str, formats: Formats) -> Result<Box<dyn Operator>, SettingError> {
    let mut table: toml::Table = settings.parse().unwrap();
    table.entry("component").or_insert(TROUBLE.into());
    build(table, formats)
}

fn bytes() -> Formats {
    Formats { input: Format::Bytes, output: Format::Bytes, ..Formats::default() }
}

/// One for all tests that do not count: to compile it takes a second.
static TROUBLED: LazyLock<Box<dyn Operator>> = LazyLock::new(|| {
    built("grant = [\"clock\"]\nfuel = 50_000_000\nmemory = \"8 MiB\"\nconfig.model = \"a\"", bytes())
        .unwrap()
});

fn call(value: &str, offset: i64) -> Call {
    let mut headers = Headers::default();
    headers.push("tier", Some("gold".into()));
    let record = Record {
        key: Some("k".into()),
        value: Some(value.to_owned().into()),
        timestamp: Some(7),
        headers,
        ..Record::default()
    };
    Call { record, place: Some((TopicPartition::new("t", 3), Offset(offset))), part: 0 }
}

fn apply(operator: &dyn Operator, values: &[&str]) -> Vec<Result<Vec<Record>, OperatorError>> {
    let calls = values.iter().zip(40..).map(|(value, offset)| call(value, offset)).collect();
    operator.batched().unwrap().apply_batch(calls, &Cancel::default())
}

/// What became of records: their values, or the class and message of their errors.
fn become_of(operator: &dyn Operator, values: &[&str]) -> Vec<String> {
    let text = |record: &Record| {
        record.value.as_ref().map_or("none".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
    };
    apply(operator, values)
        .iter()
        .map(|made| match made {
            Ok(records) => records.iter().map(text).collect::<Vec<_>>().join(", "),
            Err(OperatorError::BadInput { class, message }) => format!("{class}: {message}"),
            Err(error) => format!("no dead letter: {error}"),
        })
        .collect()
}

fn troubled(values: &[&str]) -> Vec<String> {
    become_of(&**TROUBLED, values)
}

#[test]
fn values_go_there_and_come_back() {
    assert_eq!(troubled(&["a", "", "b"]), ["a", "", "b"]);
    assert_eq!(troubled(&["place"]), ["t[3] 40 Some(7)"]);
}

#[test]
fn an_answer_may_be_none_or_several_records_or_a_tombstone_or_a_refusal() {
    assert_eq!(
        troubled(&["drop", "two", "tombstone", "refuse"]),
        ["", "two, two", "none", "refused-by-component: trouble.wasm refuses it: it is refused"]
    );
    let made = apply(&**TROUBLED, &["two"]).remove(0).unwrap();
    let facts = made.iter().map(|record| {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"none")).into_owned();
        let header = |name| text(record.headers.get(name));
        [text(record.key.as_deref()), header("tier"), header("n"), format!("{:?}", record.timestamp)]
    });
    let facts: Vec<[String; 4]> = facts.collect();
    assert_eq!(facts, [["0", "gold", "0", "Some(7)"], ["1", "gold", "1", "Some(7)"]]);
}

#[test]
fn a_value_alone_keeps_key_headers_and_timestamp() {
    let made = apply(&**TROUBLED, &["a"]).remove(0).unwrap();
    assert_eq!(made, [call("a", 40).record]);
}

#[test]
fn a_tombstone_goes_on_as_it_came() {
    let tombstone = Record { key: Some("k".into()), ..Record::default() };
    let calls = vec![call("a", 1), Call { record: tombstone.clone(), place: None, part: 0 }, call("b", 3)];
    let made = TROUBLED.batched().unwrap().apply_batch(calls, &Cancel::default());
    assert_eq!(made[1], Ok(vec![tombstone]));
    assert_eq!(made[2], Ok(vec![call("b", 3).record]));
}

/// Whatever one record does, those beside it have their results.
fn neighbours_go_on(value: &str, expected: &str) {
    let became = troubled(&["a", value, "b", value, "c"]);
    let wrong = format!("{value} became {:?}", became[1]);
    assert!(became[1].starts_with(expected), "{wrong}");
    assert_eq!(became[1], became[3], "twice the same");
    assert_eq!((&*became[0], &*became[2], &*became[4]), ("a", "b", "c"), "{wrong}");
}

#[test]
fn one_that_loops_for_ever_runs_out_of_fuel() {
    neighbours_go_on(
        "loop",
        "out-of-fuel: trouble.wasm needs more than its `fuel` (50000000) for this record",
    );
}

#[test]
fn one_that_fills_memory_again_and_again_runs_out_of_fuel() {
    let operator = built("grant = [\"clock\"]\nfuel = 50_000_000\nmemory = \"32 MiB\"", bytes()).unwrap();
    let began = std::time::Instant::now();
    let became = become_of(&*operator, &["a", "fill"]);
    assert!(became[1].starts_with(classes::OUT_OF_FUEL), "{became:?}");
    assert!(began.elapsed().as_secs() < 60, "what fills memory uses fuel too: {:?}", began.elapsed());
}

#[test]
fn one_that_allocates_for_ever_runs_out_of_memory() {
    neighbours_go_on("allocate", "out-of-memory: trouble.wasm needs 8");
    assert!(TROUBLED.holds() < 200 << 20, "{} bytes are held", TROUBLED.holds());
}

#[test]
fn one_that_panics_is_quoted() {
    neighbours_go_on(
        "panic",
        "component-trapped: trouble.wasm broke off: wasm `unreachable` instruction executed; it said: about to panic",
    );
}

#[test]
fn one_that_calls_itself_for_ever_traps() {
    neighbours_go_on("recurse", "component-trapped: trouble.wasm broke off: call stack exhausted");
}

#[test]
fn one_that_gives_too_few_answers_is_a_bad_answer() {
    neighbours_go_on("no answers", "bad-answer: trouble.wasm gave 0 answers to 1 records");
}

#[test]
fn what_is_no_value_of_the_format_is_a_bad_answer() {
    let formats = Formats { input: Format::String, output: Format::Json, ..Formats::default() };
    let operator = built("grant = [\"clock\"]", formats).unwrap();
    let became = become_of(&*operator, &["1", "binary", "2"]);
    assert!(became[1].starts_with("bad-answer: what trouble.wasm answered cannot be used: "), "{became:?}");
    assert_eq!((&*became[0], &*became[2]), ("1", "2"));
}

#[test]
fn what_an_instance_has_left_behind_is_no_fault_of_a_record() {
    // Each keeps a megabyte for ever, and there are eight.
    let became = troubled(&["leak"; 40]);
    assert_eq!(became, vec!["leaked"; 40]);
}

#[test]
fn an_instance_that_has_failed_is_not_used_again() {
    let operator = built("grant = [\"clock\"]\nfuel = 50_000_000", bytes()).unwrap();
    assert_eq!(become_of(&*operator, &["calls"]), ["1"]);
    assert_eq!(become_of(&*operator, &["calls", "a"]), ["2", "a"], "the same goes on");
    assert_eq!(become_of(&*operator, &["panic", "calls"])[1], "1");
}

#[test]
fn memory_that_instances_use_is_counted_and_given_back() {
    let operator = built("grant = [\"clock\"]", bytes()).unwrap();
    let before = operator.holds();
    assert!(before >= 1 << 20, "{before}");
    become_of(&*operator, &["large"]);
    assert!(operator.holds() >= before + (3 << 20), "{}", operator.holds());
    become_of(&*operator, &["panic"]);
    assert_eq!(operator.holds(), 0, "none is left");
    become_of(&*operator, &["a"]);
    assert!((1 << 20..before + (1 << 20)).contains(&operator.holds()), "{}", operator.holds());
}

#[test]
fn it_reads_its_config_and_the_time_that_is_granted() {
    assert_eq!(troubled(&["config"]), [r#"Some("a") None"#]);
    let time: u64 = troubled(&["clock"])[0].parse().unwrap();
    assert!(time > 1_700_000_000_000, "{time}");
}

#[test]
fn what_it_logs_has_a_limit_and_holds_nobody_up() {
    assert_eq!(troubled(&["chatter", "a"]), ["chatter", "a"]);
}

#[test]
fn answers_that_nobody_wants_any_more_are_not_waited_for() {
    let cancel = Cancel::default();
    cancel.cancel();
    let calls = (0..1_000).map(|offset| call("loop", offset)).collect();
    let began = std::time::Instant::now();
    assert_eq!(TROUBLED.batched().unwrap().apply_batch(calls, &cancel).len(), 1_000);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[test]
fn settings_that_are_wrong_are_said_at_their_key() {
    let wrong = |settings: &str| {
        let error = built(settings, bytes()).err().unwrap();
        format!("{}: {}", error.key.unwrap_or_default(), error.reason.replace(TROUBLE, "trouble.wasm"))
    };
    assert_eq!(wrong("grant = [\"network\"]"), "grant: there is no `network` to grant; there is `clock`");
    assert_eq!(
        wrong(""),
        "component: trouble.wasm wants `pipeline:operator/clock@1.0.0`, which is not granted: add `grant = [\"clock\"]` if it \
         may have it"
    );
    assert_eq!(wrong("memory = 1"), "memory: it must be at least 64 KiB, a page of WASM");
    assert_eq!(wrong("fuel = 0"), "fuel: it must be at least 1");
    assert_eq!(
        wrong("grant = [\"clock\"]\nmemory = \"64 KiB\""),
        "memory: trouble.wasm needs 1.1 MiB to start"
    );
    assert!(
        wrong("component = \"none.wasm\"").starts_with("component: none.wasm cannot be read: No such file")
    );
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let text = wrong(&format!("component = \"{manifest}\""));
    assert!(text.ends_with("Cargo.toml is no WASM file"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("core.wasm");
    std::fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
    let text = wrong(&format!("component = \"{}\"", core.display()));
    assert!(text.ends_with("make one of it with `wasm-tools component new`"), "{text}");
}
