//! Holds compiled expressions against the interpreter: whatever the expression and the record, both say the same.

use proptest::{prelude::*, sample::select};

use super::{Expression, Scope};
use crate::{
    record::{Offset, Record, TopicPartition},
    value::{Others, Value, Wanted, read_json_fields, read_whole},
};

fn record(value: &str) -> Record {
    Record {
        key: Some("eu-7".into()),
        value: Some(value.to_owned().into()),
        headers: [("h", "x"), ("h", "1.5")].into_iter().collect(),
        ..Record::default()
    }
}

/// Evaluates both ways, and returns whether the interpreter was not needed.
fn agree(source: &str, value: &str) -> bool {
    let Ok(expression) = Expression::new(source) else { return false };
    let record = record(value);
    let partition = TopicPartition::new("orders", 3);
    let place = Some((&partition, Offset(42)));
    let needs = expression.needs();
    let read = match (&needs.value, &record.value) {
        (Wanted::Nothing, _) | (_, None) => Ok(Value::Null),
        (wanted, Some(text)) => read_json_fields(text, wanted, Others::Dropped),
    };
    let in_json = expression.evaluate_in_json(&record, place);
    let Ok(read) = read else {
        assert_eq!(in_json, None, "`{source}` is evaluated for what is refused: {value}");
        return false;
    };
    let scope = Scope::new(&record, place, needs, read);
    // A NaN is what it is.
    let expected = format!("{:?}", expression.interpreted(&scope));
    assert_eq!(format!("{:?}", expression.evaluate(&scope)), expected, "`{source}` for {value}");
    if let Some(found) = in_json {
        assert_eq!(format!("{:?}", Ok::<_, ()>(found)), expected, "`{source}` in {value}");
    }
    let holds = expression.interpreted_holds(&scope);
    assert_eq!(expression.holds(&scope), holds, "`{source}` for {value}");
    if let Some(found) = expression.holds_in_json(&record, place) {
        assert_eq!(Ok(found), holds, "`{source}` in {value}");
    }
    expression.compiled.as_ref().is_some_and(|compiled| compiled.evaluate(&scope.seen()).is_some())
}

const ORDER: &str =
    r#"{"a":1,"b":2.5,"s":"x\n","u":18446744073709551615,"n":null,"t":true,"o":{"a":"eu-7","l":[1]}}"#;

#[test]
fn what_most_expressions_are_made_of_needs_no_interpreter() {
    for source in [
        "value.a > 100",
        "value.b * value.a",
        "value.o.a == key && headers.h == '1.5'",
        "value.s + 'y'",
        "value.o['a'].startsWith('eu-') || value.none",
        "value.none || value.t",
        "!has(value.none) && has(value.o.l)",
        "value.a in [1, 2, 'x'] ? offset : partition",
        "{'id': value.o, 'u': value.u + 0u, 'l': [value.n, -value.b]}",
        "topic.contains('der') && topic.endsWith('s')",
        "value.a == 2 && value.o.l.exists(x, x == 1)",
        "value.u > value.a && value.u != value.b && value.n == null",
    ] {
        assert!(agree(source, ORDER), "{source}");
    }
    for source in ["value.none == 1", "value.o.l == [1]", "value.a + 's'", "value.o.l.all(x, x > 0)"] {
        assert!(!agree(source, ORDER), "{source}");
    }
}

#[test]
fn an_object_and_a_field_of_it_are_read_as_one() {
    let order = r#"{"a":1,"o":{"a":"eu-7","b":1e400}}"#;
    for source in [
        "has(value.o.a) ? value.o : value.a",
        "value.o.a == 'eu-7' ? [value.o] : []",
        "has(value.o) && value.o.a == 'x'",
    ] {
        agree(source, order);
    }
}

#[test]
fn a_key_with_a_format_is_looked_into_alike() {
    for key in [r#"{"a":1,"s":"x\n","n":null,"o":{"a":"eu","l":[1]}}"#, "5", "null", "[1]", "\"eu\""] {
        for source in [
            "key.a > 100",
            "key.o.a == 'eu' && key.a == 1",
            "key.s + 'y'",
            "has(key.o.l) && key.n == null",
            "key.none == 1",
            "key.o.l == [1]",
            "size(key) == 4 && key.a == 1",
            "key == null || key == 5 || key == 'eu'",
            "{'key': key, 'o': key.o}",
        ] {
            let expression = Expression::new(source).unwrap();
            let (record, needs) = (record("1"), expression.needs());
            let read = read_json_fields(&key.to_owned().into(), &needs.key, Others::Dropped).unwrap();
            let read = if needs.key == Wanted::All { read_whole(read).unwrap() } else { read };
            let scope = Scope::new(&record, None, needs, Value::Null).with_key(read);
            let interpreted = format!("{:?}", expression.interpreted(&scope));
            assert_eq!(format!("{:?}", expression.evaluate(&scope)), interpreted, "`{source}` for {key}");
            assert_eq!(
                expression.holds(&scope),
                expression.interpreted_holds(&scope),
                "`{source}` for {key}"
            );
            assert!(!interpreted.contains("ndeclared") && !interpreted.contains("unread"), "{interpreted}");
        }
    }
}

#[test]
fn a_map_is_not_added_to_a_list() {
    let order = r#"{"o":{"a":[1]}}"#;
    let source = "value.o.a + {'x': 1, 'y': 2, 'z': 3}";
    // Often: the interpreter would take a map's names in any order.
    assert!((0..20).all(|_| !agree(source, order)), "the interpreter has to say what is wrong");
    let expression = Expression::new(source).unwrap();
    let needs = expression.needs();
    let read = read_json_fields(&order.to_owned().into(), &needs.value, Others::Dropped).unwrap();
    let record = record(order);
    let error = expression.evaluate(&Scope::new(&record, None, needs, read)).unwrap_err();
    assert!(error.to_string().ends_with("`+` cannot be applied to list and map"), "{error}");
}

#[test]
fn what_an_error_beside_it_does_is_the_same() {
    for left in
        ["value.none", "value.a", "value.t", "!value.t", "value.o.l", "value.a / 0 == 1", "value.big == 1"]
    {
        for right in ["value.none", "value.a", "value.t", "!value.t", "value.o.l", "value.o.l.all(x, x > 1)"]
        {
            for operator in ["&&", "||", "==", "in", "<"] {
                agree(
                    &format!("{left} {operator} {right}"),
                    &ORDER.replace("\"a\":1", "\"a\":1,\"big\":1e400"),
                );
            }
        }
    }
}

#[test]
fn steps_are_counted_alike() {
    // Each look at the string is 1 step in 256 bytes, and 200,000 are allowed.
    let value = format!(r#"{{"s":"{}","e":"\n{}"}}"#, "x".repeat(6 << 20), "x".repeat(1 << 20));
    for times in [7, 8, 9, 10, 11] {
        let looks = vec!["value.s == 'y'"; times].join(" || ");
        agree(&looks, &value);
        agree(&format!("{looks} || value.e == 'y' || has(value.s)"), &value);
    }
    let sums = ["value.s"; 6].join(" + ");
    agree(&format!("({sums}) == 'y' || true"), &value);
}

fn expression() -> impl Strategy<Value = String> {
    let field = select(vec![
        "value.a",
        "value.b",
        "value.o.a",
        "value.o",
        "value.none",
        "value['a']",
        "value.o['b']",
        "value.o.a.b",
        "value",
        "headers.h",
        "headers.none",
        "key",
        "topic",
        "partition",
        "offset",
        "has(value.a)",
        "has(value.o.a)",
        "has(value.a.b)",
        "value.?a",
        "value.?o.?a.orValue(1)",
    ]);
    let literal = select(vec![
        "0",
        "1",
        "-1",
        "2",
        "9223372036854775807",
        "-9223372036854775807",
        "0u",
        "1u",
        "18446744073709551615u",
        "0.0",
        "1.0",
        "1.5",
        "-2.5",
        "1e300",
        "''",
        "'a'",
        "'eu-7'",
        "'1.5'",
        "true",
        "false",
        "null",
        "b'a'",
        "[1]",
    ]);
    let leaf = prop_oneof![3 => field, 2 => literal].prop_map(str::to_owned);
    let sign =
        select(vec!["==", "!=", "<", "<=", ">", ">=", "&&", "||", "&&", "||", "+", "-", "*", "/", "%"]);
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let function = select(vec!["startsWith", "endsWith", "contains"]);
        prop_oneof![
            6 => (inner.clone(), sign.clone(), inner.clone())
                .prop_map(|(one, sign, other)| format!("({one}) {sign} ({other})")),
            1 => (inner.clone(), function, inner.clone())
                .prop_map(|(text, function, part)| format!("({text}).{function}({part})")),
            1 => inner.clone().prop_map(|of| format!("!({of})")),
            1 => inner.clone().prop_map(|of| format!("-({of})")),
            1 => inner.clone().prop_map(|of| format!("({of}) in [1, 'a', 2.5, null, true, 1u]")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(condition, then, otherwise)| format!("({condition}) ? ({then}) : ({otherwise})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{{'x': {one}, 'y': [{other}]}}")),
        ]
    })
}

fn json() -> impl Strategy<Value = String> {
    let part = || {
        select(vec![
            "0",
            "1",
            "-1",
            "-0",
            "2.5",
            "1e3",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e400",
            r#""""#,
            r#""a""#,
            r#""eu-7""#,
            r#""1\u002e5""#,
            r#""\ud800""#,
            "null",
            "true",
            "false",
            "[1]",
            "[1e400]",
            "{}",
            r#"{"b":1}"#,
            r#"{"b":123456789012345678901}"#,
        ])
    };
    let object =
        (part(), part(), part(), part(), any::<u8>()).prop_map(|(a, b, one, other, shape)| match shape % 8 {
            0 => format!(r#"{{"b":{b},"o":{one}}}"#),
            1 => format!(r#"{{"a":{a},"o":{{"a":{one}}},"b":{b},"a":{other}}}"#),
            2 => format!(r#"{{"o":{{"a":{one}}},"o":{{"b":{other}}},"a":{a}}}"#),
            _ => format!(r#"{{"a":{a},"b":{b},"o":{{"a":{one},"b":{other}}}}}"#),
        });
    prop_oneof![8 => object, 1 => part().prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_gives_what_the_interpreter_gives(source in expression(), values in proptest::collection::vec(json(), 3)) {
        for value in &values {
            agree(&source, value);
        }
    }
}
