use super::*;
use crate::operator::SharedState;

const HOUR: i64 = 3_600_000;

/// An operator with a state, and what it has handed on so far.
struct Tried {
    operator: Box<dyn Operator>,
    state: SharedState,
}

impl Tried {
    fn new(toml: &str) -> Tried {
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let operator =
            Aggregate::build(toml.parse().unwrap(), formats).map_err(|error| error.to_string()).unwrap();
        Tried { operator, state: SharedState::in_memory() }
    }

    /// What it hands on for a record: the key, the value and the timestamp of each. Or the class and the sentence.
    fn given(&self, key: &str, timestamp: i64, value: &str) -> Vec<String> {
        let record = Record {
            key: Some(key.to_owned().into()),
            value: Some(value.to_owned().into()),
            timestamp: Some(timestamp),
            ..Record::default()
        };
        self.record(record)
    }

    fn record(&self, record: Record) -> Vec<String> {
        let mut out = Output::default();
        out.set_state(self.state.clone());
        match self.operator.apply(record, &mut out) {
            Ok(()) => out
                .drain()
                .map(|made| {
                    let text = |bytes: Option<Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
                    format!("{} {} @{}", text(made.key), text(made.value), made.timestamp.unwrap())
                })
                .collect(),
            Err(OperatorError::BadInput { class, message }) => vec![format!("{class}: {message}")],
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn each_key_has_its_results_which_are_exact_and_leave_null_out() {
    let tried = Tried::new(
        "[results]\nn = 'count'\nof = { count = 'value.amount' }\nsum = { sum = 'value.amount' }\nleast = { min = 'value.amount' }\n\
         most = { max = 'value.amount' }\nmean = { average = 'value.amount' }\nall = { collect = 'value.id' }",
    );
    assert_eq!(
        tried.given("a", 7, r#"{"id":"x","amount":9223372036854775807}"#),
        [r#"a {"n":1,"of":1,"sum":9223372036854775807,"least":9223372036854775807,"most":9223372036854775807,"mean":9.223372036854775807e18,"all":["x"]} @7"#
            .replace("9.223372036854775807e18", "9.223372036854776e+18")]
    );
    tried.given("b", 7, r#"{"id":1,"amount":2.5}"#);
    assert_eq!(
        tried.given("a", 9, r#"{"id":null,"amount":9223372036854775807}"#)[0],
        r#"a {"n":2,"of":2,"sum":18446744073709551614,"least":9223372036854775807,"most":9223372036854775807,"mean":9.223372036854776e+18,"all":["x"]} @9"#
    );
    assert_eq!(
        tried.given("b", 9, r#"{"id":{"deep":[1]},"amount":null}"#)[0],
        r#"b {"n":2,"of":1,"sum":2.5,"least":2.5,"most":2.5,"mean":2.5,"all":[1,{"deep":[1]}]} @9"#
    );
}

#[test]
fn what_does_not_go_is_said_and_changes_nothing() {
    let tried = Tried::new("[results]\nsum = { sum = 'value.amount' }\nleast = { min = 'value.amount' }");
    let wrong = tried.given("a", 7, r#"{"amount":"ten"}"#);
    assert_eq!(wrong, ["expression-failed: `results.sum`: a string is no number"]);
    let none = tried.record(Record { value: Some("{}".into()), ..Record::default() });
    assert_eq!(none, ["no-key: the record has no key, and what is computed is computed for each key"]);
    let texts = Tried::new("[results]\nleast = { min = 'value' }");
    texts.given("a", 7, "\"b\"");
    assert_eq!(texts.given("a", 7, "\"a\""), [r#"a {"least":"a"} @7"#]);
    let mixed = texts.given("a", 7, "1");
    assert_eq!(
        mixed,
        ["expression-failed: `results.least`: text and numbers of one group cannot be compared"]
    );
}

#[test]
fn a_group_has_its_bounds() {
    let tried = Tried::new("[results]\nall = { collect = 'value' }");
    for n in 0..1_000 {
        tried.given("a", n, "1");
    }
    let more = tried.given("a", 7, "1");
    assert_eq!(more, ["state-too-large: `all` has collected 1000 values, and takes no more"]);
    let long = format!("\"{}\"", "x".repeat(520 << 10));
    let large = tried.given("b", 7, &long);
    assert!(large[0].starts_with("state-too-large: 532"), "{large:?}");
}

#[test]
fn a_window_is_handed_on_once_when_no_record_of_it_is_waited_for_any_more() {
    let tried = Tried::new("window = '1 h'\ngrace = '10 min'\n[results]\nn = 'count'");
    assert!(tried.given("b", 5, "1").is_empty());
    assert!(tried.given("a", HOUR - 1, "1").is_empty());
    assert!(
        tried.given("a", HOUR + 1, "1").is_empty(),
        "the next window; the first one may still get records"
    );
    assert!(tried.given("b", HOUR - 7, "1").is_empty());
    let closed = tried.given("c", HOUR + 10 * 60_000, "1");
    let window = r#""window":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T01:00:00Z"}"#;
    assert_eq!(
        closed,
        [format!("a {{{window},\"n\":1}} @3600000"), format!("b {{{window},\"n\":2}} @3600000")]
    );
    let late = tried.given("b", HOUR - 1, "1");
    assert_eq!(
        late,
        ["too-late: the record's window is closed: it is 10m 1ms older than the newest one of its partition"]
    );
    let next = tried.given("z", 9 * HOUR, "1");
    assert_eq!(next.len(), 2, "{next:?}");
    assert!(next[0].starts_with("a ") && next[1].starts_with("c "), "{next:?}");
}

#[test]
fn windows_that_close_all_at_once_are_handed_on_in_parts() {
    let tried = Tried::new("window = '1 h'\n[results]\nn = 'count'");
    for n in 0..2_500 {
        assert!(tried.given(&format!("{n:05}"), 7, "1").is_empty());
    }
    let mut all = Vec::new();
    for record in 0..4 {
        let made = tried.given("later", HOUR + record, "1");
        assert!(made.len() <= 1_000);
        all.extend(made);
    }
    let keys: Vec<String> = all.iter().map(|made| made.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(keys, (0..2_500).map(|n| format!("{n:05}")).collect::<Vec<_>>());
}

#[test]
fn each_change_can_be_handed_on_with_its_window() {
    let tried = Tried::new("window = '1 h'\nemit = 'change'\n[results]\nn = 'count'");
    let n = |made: Vec<String>| made[0].split("\"n\":").nth(1).unwrap().to_owned();
    assert_eq!(n(tried.given("a", 7, "1")), "1} @7");
    assert_eq!(n(tried.given("a", 8, "1")), "2} @8");
    assert_eq!(n(tried.given("a", HOUR, "1")), "1} @3600000");
    let kept = tried.state.with(|state| state.range(&[0], &[2], 10)).unwrap();
    assert_eq!(kept.len(), 2, "the time, and the window that is open: {kept:?}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |toml: &str| {
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let error = Aggregate::build(toml.parse().unwrap(), formats).err().unwrap();
        (error.key.unwrap_or_default(), error.reason)
    };
    for (toml, key, part) in [
        ("[results]", "results", "nothing is computed"),
        ("[results]\nn = 'sum'", "results.n", "write \"count\", or one of"),
        ("[results]\nn = { median = 'value' }", "results.n", "write \"count\", or one of"),
        ("[results]\nn = { sum = 'value', min = 'value' }", "results.n", "write \"count\", or one of"),
        ("[results]\nn = { sum = 'value +' }", "results.n", ""),
        ("grace = '1 h'\n[results]\nn = 'count'", "grace", "there are no windows"),
        ("emit = 'close'\n[results]\nn = 'count'", "emit", "there are no windows that could close"),
        ("window = '0 s'\n[results]\nn = 'count'", "window", "a millisecond at least"),
        ("window = 'long'\n[results]\nn = 'count'", "window", "`long` is no time"),
    ] {
        let (found, reason) = refused(toml);
        assert!(found == key && reason.contains(part), "{toml}: {found}: {reason}");
    }
    let text = Aggregate::build("[results]\nn = 'count'".parse().unwrap(), Formats::default()).err().unwrap();
    assert!(text.reason.contains("say `format = \"json\"` in `[sink]`"), "{}", text.reason);
}
