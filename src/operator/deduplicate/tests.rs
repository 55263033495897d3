use super::*;
use crate::{
    format::Format,
    operator::SharedState,
    record::{Headers, TopicPartition},
};

const HOUR: i64 = 3_600_000;

struct Tried {
    operator: Box<dyn Operator>,
    state: SharedState,
    partition: TopicPartition,
}

impl Tried {
    fn new() -> Tried {
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let table = "by = \"headers.id\"\nwithin = '1 h'".parse().unwrap();
        let operator = Deduplicate::build(table, formats).map_err(|error| error.to_string()).unwrap();
        Tried { operator, state: SharedState::in_memory(), partition: TopicPartition::new("t", 0) }
    }

    /// Whether a record with that id is handed on.
    fn passes(&self, offset: i64, id: &str, timestamp: i64) -> bool {
        let mut headers = Headers::default();
        headers.push("id", Some(id.to_owned().into()));
        let record =
            Record { value: Some("{}".into()), headers, timestamp: Some(timestamp), ..Record::default() };
        let mut out = Output::default();
        out.set_state(self.state.clone());
        out.set_place(&self.partition, Offset(offset));
        self.operator.apply(record.clone(), &mut out).unwrap();
        let made: Vec<Record> = out.drain().collect();
        assert!(made.is_empty() || made == [record]);
        !made.is_empty()
    }

    fn kept(&self) -> usize {
        self.state.with(|state| state.range(&[0], &[255], 100).unwrap().len())
    }
}

#[test]
fn the_first_with_an_id_is_handed_on_and_those_within_the_time_are_not() {
    let tried = Tried::new();
    let now = 1_000 * HOUR + 1_800_000;
    assert!(tried.passes(1, "a", now));
    assert!(tried.passes(2, "b", now));
    assert!(!tried.passes(3, "a", now));
    // In the windows beside it too, before as well as after.
    assert!(!tried.passes(4, "a", now + HOUR));
    assert!(!tried.passes(5, "b", now - HOUR / 2 - 1));
    // The first one counts, not the last one that came.
    assert!(tried.passes(6, "a", now + HOUR + 1));
    assert!(!tried.passes(7, "a", now + HOUR + 2));
}

#[test]
fn one_that_is_read_again_is_no_second_one() {
    let tried = Tried::new();
    assert!(tried.passes(1, "a", HOUR));
    assert!(tried.passes(1, "a", HOUR));
    assert!(!tried.passes(2, "a", HOUR));
}

#[test]
fn ids_are_forgotten_once_nothing_can_be_the_same_any_more() {
    let tried = Tried::new();
    for n in 0..10 {
        assert!(tried.passes(n, &format!("old-{n}"), 100 * HOUR));
    }
    assert_eq!(tried.kept(), 1 + 10);
    // Within five minutes of the newest it is still known.
    assert!(tried.passes(10, "new", 101 * HOUR + LATE));
    assert!(!tried.passes(11, "old-3", 101 * HOUR));
    assert!(tried.passes(12, "newer", 104 * HOUR));
    assert_eq!(tried.kept(), 1 + 1, "the time, and `newer`");
    // One that comes too late is handed on and not kept: it would never be forgotten.
    assert!(tried.passes(13, "late", 100 * HOUR));
    assert_eq!(tried.kept(), 1 + 1);
}

#[test]
fn what_has_no_id_is_handed_on_and_one_that_is_too_long_is_refused() {
    let tried = Tried::new();
    for offset in 0..2 {
        let record = Record { value: Some("{}".into()), timestamp: Some(HOUR), ..Record::default() };
        let mut out = Output::default();
        out.set_state(tried.state.clone());
        out.set_place(&tried.partition, Offset(offset));
        tried.operator.apply(record, &mut out).unwrap();
        assert_eq!(out.drain().count(), 1);
    }
    let mut headers = Headers::default();
    headers.push("id", Some("x".repeat(40_000).into()));
    let record = Record { headers, value: Some("{}".into()), timestamp: Some(HOUR), ..Record::default() };
    let mut out = Output::default();
    out.set_state(tried.state.clone());
    let refused = tried.operator.apply(record, &mut out).unwrap_err();
    assert!(matches!(refused, OperatorError::BadInput { class: classes::STATE_TOO_LARGE, .. }), "{refused}");
}
