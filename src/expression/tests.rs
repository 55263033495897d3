//! What expressions give, what is refused when they are read, and what fails for a record.

use std::time::Duration;

use bytes::Bytes;

use super::{Expression, Needs, Scope};
use crate::{
    cpu_time::cpu_time,
    record::{Offset, Record, TopicPartition},
    value::{Others, Value, Wanted, read_json_fields, write_json},
};

fn record(value: &str) -> Record {
    Record {
        key: Some("eu-7".into()),
        value: Some(value.to_owned().into()),
        headers: [("tier", "free"), ("tier", "gold"), ("a-b", "x")].into_iter().collect(),
        timestamp: Some(1_700_000_000_000),
        ..Record::default()
    }
}

fn with<T>(expression: &Expression, record: &Record, then: impl FnOnce(&Scope<'_>) -> T) -> T {
    let partition = TopicPartition::new("orders", 3);
    let text = record.value.clone().unwrap_or_default();
    let value = match &expression.needs().value {
        Wanted::Nothing => Value::Null,
        wanted => read_json_fields(&text, wanted, Others::Kept).unwrap(),
    };
    then(&Scope::new(record, Some((&partition, Offset(42))), expression.needs(), value))
}

/// What an expression gives for a JSON value, as JSON; or the sentence that says why not.
fn gives(source: &str, value: &str) -> String {
    let expression = Expression::new(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    with(&expression, &record(value), |scope| match expression.evaluate(scope) {
        Ok(value) => {
            let mut json = Vec::new();
            write_json(&value, &mut json).unwrap();
            String::from_utf8(json).unwrap()
        }
        Err(failure) => failure.to_string(),
    })
}

fn refused(source: &str) -> (usize, String) {
    let error = Expression::condition(source).err().unwrap_or_else(|| panic!("{source} is accepted"));
    (error.at, error.reason)
}

const ORDER: &str = r#"{"id":"o-1","price":2.5,"count":3,"total":12.50,"card":null,"tags":["new","eu"],"to":{"city":"Ulm","zip":89073}}"#;

#[test]
fn fields_keys_headers_and_the_place_are_at_hand() {
    for (source, expected) in [
        ("value.to.city", r#""Ulm""#),
        ("value['to'].zip + 1", "89074"),
        ("key", r#""eu-7""#),
        ("headers.tier", r#""gold""#),
        ("headers['a-b']", r#""x""#),
        ("size(headers)", "2"),
        ("topic + '/' + string(partition) + '/' + string(offset)", r#""orders/3/42""#),
        ("timestamp", r#""2023-11-14T22:13:20Z""#),
        ("timestamp < timestamp('2024-01-01T00:00:00Z')", "true"),
        ("value.tags.exists(t, t == 'eu') && !value.tags.exists(t, t == 'us')", "true"),
        ("value.tags.map(t, t.upperAscii()).join('-')", r#""NEW-EU""#),
        ("has(value.card) && value.card == null && !has(value.cash)", "true"),
        ("value.count > 2 ? 'many' : value.none", r#""many""#),
        ("size(value.tags) + size(value.to)", "4"),
        ("value.to == {'zip': 89073, 'city': 'Ulm'}", "true"),
        ("'city' in value.to", "true"),
        ("value.?to.?street.orValue('-')", r#""-""#),
        ("math.greatest(value.count, 10)", "10"),
        ("lists.range(value.count)", "[0,1,2]"),
        ("lists.range(-1)", "[]"),
        ("value.id.matches('^o-[0-9]+$') && matches(key, 'eu')", "true"),
        ("value.tags.exists(t, t.matches('^e.$'))", "true"),
    ] {
        assert_eq!(gives(source, ORDER), expected, "{source}");
    }
}

#[test]
fn numbers_of_different_kinds_may_be_mixed() {
    for (source, expected) in [
        ("value.price * value.count", "7.5"),
        ("value.count * value.price", "7.5"),
        ("1 + 1.5", "2.5"),
        ("value.count - 0.5", "2.5"),
        ("value.count / 2", "1"),
        ("value.count / 2.0", "1.5"),
        ("value.count % 2", "1"),
        ("18446744073709551614u + 1", "18446744073709551615"),
        ("1 + 2 * 3", "7"),
        ("value.tags.map(t, size(t) * 1.5)", "[4.5,3.0]"),
        ("'a' + 'b'", r#""ab""#),
        ("[1] + [2]", "[1,2]"),
        ("value.price > value.count", "false"),
        ("value.count == 3.0", "true"),
    ] {
        assert_eq!(gives(source, ORDER), expected, "{source}");
    }
}

#[test]
fn what_is_only_copied_stays_as_it_came_and_maps_keep_their_order() {
    assert_eq!(gives("value.total", ORDER), "12.50");
    assert_eq!(gives("value", ORDER), ORDER);
    assert_eq!(
        gives("{'z': value.total, 'a': [value.to, {'y': 1, 'b': 2}], 'k': key}", ORDER),
        r#"{"z":12.50,"a":[{"city":"Ulm","zip":89073},{"y":1,"b":2}],"k":"eu-7"}"#
    );
    assert_eq!(
        gives("value.id", r#"{"id":123456789012345678901234567890}"#),
        "123456789012345678901234567890"
    );
}

#[test]
fn only_what_is_looked_into_is_needed() {
    let needs = |source: &str| Expression::new(source).unwrap().needs().clone();
    let fields = |paths: &[&[&str]]| {
        let mut wanted = Wanted::Nothing;
        paths.iter().for_each(|path| wanted.add(path));
        wanted
    };
    assert_eq!(needs("topic.startsWith('eu-') && offset > 5"), Needs::default());
    let of_key = needs("key.startsWith('eu-')");
    assert_eq!((of_key.value, of_key.key), (Wanted::Nothing, Wanted::All), "the value is not read");
    assert_eq!(needs("key.region == 'eu' && has(key.o.a)").key, fields(&[&["region"], &["o", "a"]]));
    assert_eq!(needs("value.a.b > 1 || value.a['c'] == key").value, fields(&[&["a", "b"], &["a", "c"]]));
    assert_eq!(needs("value.tags.all(t, t == value.x)").value, fields(&[&["tags"], &["x"]]));
    assert_eq!(needs("has(value.a.b)").value, fields(&[&["a", "b"]]));
    assert_eq!(needs("size(value) > 1").value, Wanted::All);
    assert_eq!(needs("value[key]").value, Wanted::All);
    assert_eq!(needs("headers.tier == 'gold'").headers, fields(&[&["tier"]]));
}

#[test]
fn what_can_never_work_is_refused_with_its_place() {
    for (source, at, reason) in [
        ("valeu.amount > 1", 0, "there is no `valeu` here: did you mean `value`?"),
        (
            "true && amount > 1",
            8,
            "there is no `amount` here: there are value, key, headers, topic, partition, offset, timestamp; a field of the \
             value is `value.amount`",
        ),
        ("key.startWith('eu')", 4, "there is no function `startWith`; did you mean `startsWith`?"),
        ("startsWith(key, 'eu')", 0, "`startsWith` is called as `x.startsWith(…)`"),
        ("key.startsWith()", 4, "`startsWith` takes 1 arguments, and here are 0"),
        ("value.a + 1", 0, "a condition must be true or false, and this is"),
        ("partition == 1 && 'a' + 1 == key", 22, "`+` cannot be applied to a string and an int"),
        ("topic > 5", 6, "a string and an int cannot be compared"),
        ("'ä' == topic && topic > 5", 23, "a string and an int cannot be compared"),
        ("topic.name == 'a'", 5, "there is no field `name` in a string"),
        ("partition && true", 10, "`&&` needs a bool, and this is an int"),
        ("key.matches('a(')", 12, "`a(` is no regular expression: unclosed group"),
        ("1 in topic", 2, "`in` needs a list or a map, and this is a string"),
        ("é == value.ß", 0, ""),
    ] {
        if reason.ends_with("this is") {
            assert!(Expression::condition(source).is_ok(), "what it gives is not known: {source}");
            continue;
        }
        let (found_at, found) = refused(source);
        if !reason.is_empty() {
            assert_eq!((found_at, found.as_str()), (at, reason), "{source}");
        }
    }
    assert_eq!(refused("topic"), (0, "a condition must be true or false, and this is a string".to_owned()));
}

#[test]
fn what_cannot_be_read_says_where_in_short() {
    for source in
        ["value.amount >", "value.amount > > 3", "'abc", "a = b", "value..x", "foo(", "a b", "", "1 +\n  * 2"]
    {
        let (at, reason) = refused(source);
        assert!(at <= source.len() && !reason.is_empty() && reason.len() < 120, "{source}: {at} {reason}");
    }
    assert_eq!(refused("partition == 1 &&\n  == 2").0, 20, "a line further down");
    assert_eq!(refused("'ä' == > 3").0, 8, "bytes, not characters");
    assert_eq!(refused("offset >"), (8, "the expression ends too early".to_owned()));
    assert_eq!(refused("offset = 3").1, "`=` cannot stand here; write `==`");
    assert_eq!(refused("offset => 3").1, "`=>` cannot stand here; write `>=`");
    assert_eq!(refused("offset > 3 and true").1, "`and` cannot stand here; write `&&`");
    assert_eq!(refused("offset > > 3"), (9, "`>` cannot stand here".to_owned()));
}

#[test]
fn a_failure_names_the_expression_the_column_and_the_reason() {
    for (source, value, expected) in [
        ("value.amount > 1", "{}", "`value.amount > 1`, column 6: there is no field `amount`"),
        ("value.a > 1", r#"{"a":"x"}"#, "`value.a > 1`, column 9: `>` cannot be applied to string and int"),
        ("1 / value.a", r#"{"a":0}"#, "`1 / value.a`, column 3: a division by zero"),
        ("value.a.b == 1", r#"{"a":5}"#, "`value.a.b == 1`, column 8: int has no fields"),
        ("value.a == 5", "5", "`value.a == 5`, column 6: int has no fields"),
        ("value.a", "null", "`value.a`, column 6: null has no fields"),
        ("value['a'] + [2]", "[1]", "`value['a'] + [2]`, column 6: list has no fields"),
        ("size(value) + value.b", r#"{"a":5}"#, "`size(value) + value.b`, column 20: there is no field `b`"),
        (
            "value.a + 1",
            r#"{"a":9223372036854775807}"#,
            "`value.a + 1`, column 9: the result does not fit 64 bits",
        ),
        (
            "value.a + 1",
            r#"{"a":18446744073709551616}"#,
            "`value.a + 1`, column 6: the number 18446744073709551616 does not fit 64 bits",
        ),
        ("value.a[7]", r#"{"a":[1]}"#, "`value.a[7]`, column 8: the list has no such place"),
        ("int(value.a)", r#"{"a":"x"}"#, "`int(value.a)`, column 1: `int`: "),
        ("'ä' + string(int(value.a))", r#"{"a":"x"}"#, "`'ä' + string(int(value.a))`, column 14: `int`: "),
    ] {
        let found = gives(source, value);
        if expected.ends_with(": ") {
            assert!(found.starts_with(expected), "{found}");
        } else {
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_number_that_does_not_fit_fails_wherever_it_is_used_and_is_there_where_it_is_asked_for() {
    const LARGE: &str = "123456789012345678901";
    let fields = format!(r#"{{"n":{LARGE},"l":[1,{LARGE}],"a":1}}"#);
    for (source, value, column) in [
        ("value == 5", LARGE, 1),
        ("value != 5", LARGE, 1),
        ("value in [5]", LARGE, 1),
        ("5 in value", "[1,123456789012345678901]", 6),
        ("value.n == 5", &fields, 6),
        ("value.n != value.a", &fields, 6),
        ("value.?n.orValue(0) == 0", &fields, 6),
        ("size(value.l) == 2", &fields, 11),
        ("value.l.exists(x, x == 5)", &fields, 6),
    ] {
        let expected = format!("`{source}`, column {column}: the number {LARGE} does not fit 64 bits");
        assert_eq!(gives(source, value), expected);
    }
    for (source, expected) in [
        ("has(value.n)", "true"),
        ("has(value.n) ? value.n : 0", LARGE),
        ("value.?a.orValue(0)", "1"),
        ("value.n == 5 || value.a == 1", "true"),
    ] {
        assert_eq!(gives(source, &fields), expected, "{source}");
    }
}

#[test]
fn lists_in_lists_without_an_end_are_refused_and_nothing_overflows() {
    let nested = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(gives("size(value.a)", &nested(100)), "1");
    for (levels, reason) in [
        (5_000, "it has more than 128 levels of lists and objects"),
        (100_000, "it takes more than 200000 steps"),
    ] {
        let expected = format!("`size(value.a)`, column 11: {reason}");
        assert_eq!(gives("size(value.a)", &nested(levels)), expected);
    }
}

#[test]
fn a_condition_that_gives_no_bool_for_a_record_fails() {
    let expression = Expression::condition("value.ok").unwrap();
    let failure = with(&expression, &record(r#"{"ok":"yes"}"#), |scope| expression.holds(scope)).unwrap_err();
    assert_eq!(failure.to_string(), "`value.ok`, column 6: this is string, and bool is needed");
}

#[test]
fn no_record_makes_an_expression_run_for_long() {
    let numbers = |count: usize| {
        let numbers: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        format!(r#"{{"n":[{}],"s":"{}"}}"#, numbers.join(","), "x".repeat(1 << 20))
    };
    assert_eq!(gives("value.n.map(a, a + 1).size()", &numbers(50_000)), "50000");
    for source in [
        "value.n.all(a, value.n.all(b, a + b >= 0))",
        "value.n.map(a, value.s + value.s).size()",
        "value.n.all(a, !value.s.contains('y'))",
        "value.n.all(a, value.s == value.s)",
        "value.n.all(a, lists.range(1000000).size() > 0)",
        "value.n.all(a, !key.matches(string(a) + 'x{1,100}'))",
    ] {
        let begun = cpu_time();
        let found = gives(source, &numbers(20_000));
        assert!(found.ends_with("it takes more than 200000 steps"), "{source}: {found}");
        let took = cpu_time() - begun;
        assert!(took < Duration::from_secs(20), "{source}: {took:?}");
    }
}

#[test]
fn nothing_that_a_stranger_sends_is_multiplied_without_an_end() {
    let letters = "x".repeat(1 << 20);
    let escaped = "\\n".repeat(1 << 19);
    let list = vec!["\"a\""; 100_000].join(",");
    let distinct: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let value = format!(r#"{{"s":"{letters}","e":"{escaped}","l":[{list}],"d":[{}]}}"#, distinct.join(","));
    for source in [
        "value.s.replace('x', value.s)",
        "value.s.replace('', value.s)",
        "value.l.join(value.s)",
        "value.d.distinct()",
        "value.l.map(a, value.s)",
        "lists.range(200001)",
        "value.l.map(a, value.e)",
        "value.l.map(a, {'s': value.s, 'l': value.l})",
    ] {
        let begun = cpu_time();
        let found = gives(source, &value);
        assert!(found.ends_with("it takes more than 200000 steps"), "{source}: {} bytes", found.len());
        let took = cpu_time() - begun;
        assert!(took < Duration::from_secs(20), "{source}: {took:?}");
    }
    assert_eq!(gives("value.s.replace('x', '').size() + value.l.join('').size()", &value), "100000");
    assert_eq!(
        gives("'a-b-c'.replace('-', '+', 1) + ['x', 'y', 'x'].distinct().join('/')", &value),
        r#""a+b-cx/y""#
    );
}

#[test]
fn a_field_of_an_object_that_is_used_as_a_whole_is_that_field() {
    for (source, expected) in [
        ("size(value) + value.a", "7"),
        ("value.o == {'b': 6} && value.o.b == 6", "true"),
        ("size(value.o) + value.o['b']", "7"),
        ("has(value.a) && !has(value.c) && size(value) == 2", "true"),
    ] {
        assert_eq!(gives(source, r#"{"a":5,"o":{"b":6}}"#), expected, "{source}");
    }
}

#[test]
fn every_function_that_is_offered_is_there() {
    // A function that the interpreter does not have is an undeclared reference; any other failure means that it looked at the
    // arguments.
    for function in super::functions::FUNCTIONS.iter().filter(|function| !function.name.contains('@')) {
        let arguments = vec!["value"; function.arguments.0].join(", ");
        let source = match (function.member, function.name) {
            (true, name) => format!("value.{name}({arguments})"),
            (false, name) => format!("{name}({arguments})"),
        };
        let found = gives(&source, "5");
        assert!(!found.contains("undeclared"), "{source}: {found}");
    }
}

#[test]
fn a_tombstone_and_a_key_that_is_no_text() {
    let record = Record { key: Some(Bytes::from_static(&[0xff])), ..Record::default() };
    let expression = Expression::condition("value == null && size(key) == 1 && timestamp == null").unwrap();
    let scope = Scope::new(&record, None, expression.needs(), Value::Null);
    assert_eq!(expression.holds(&scope), Ok(true));
}
