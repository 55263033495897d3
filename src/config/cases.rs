//! The `[[test]]` tables.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    pipeline::{Step, TestAnswer, TestCase, TestRecord},
    tables::topic_name,
};
use crate::{
    operator::{TableOf, registry},
    record::classes::CLASSES,
    settings::{Entry, Node, Reader, Text, Value, closest},
};

/// The `[[test]]` tables.
pub(super) fn read(root: &Reader<'_>, steps: &[Step]) -> Vec<TestCase> {
    let operators = root.table("operators");
    let tables = root.array_of_tables("test");
    tables.into_iter().enumerate().map(|(index, table)| case(index, table, steps, &operators)).collect()
}

fn case(index: usize, table: Reader<'_>, steps: &[Step], operators: &Reader<'_>) -> TestCase {
    let case = TestCase {
        name: table.string("name").unwrap_or_else(|| format!("test {}", index + 1)),
        line: table.line(),
        input: records(&table, "input"),
        answers: answers(&table, steps, operators),
        tables: rows(&table, steps, operators),
        output: records(&table, "output"),
        dead_letters: classes(&table),
    };
    if table.node("input").is_none() {
        table.required::<()>("input", None, "the value that goes in, or an array of them");
    }
    table.finish();
    case
}

fn many(node: &Node) -> &[Node] {
    match &node.value {
        Value::Array(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}

fn records(table: &Reader<'_>, key: &str) -> Vec<TestRecord> {
    let Some(node) = table.node(key) else { return Vec::new() };
    many(node).iter().filter_map(|node| record(table, key, node)).collect()
}

/// A value alone, or a table with `topic`, `key`, `value` and `headers`; without `value` it is a tombstone. There the value and the
/// key may be tables or arrays, which stand for JSON.
fn record(table: &Reader<'_>, key: &str, node: &Node) -> Option<TestRecord> {
    let Value::Table(_) = node.value else {
        let value = scalar(table, key, node)?;
        return Some(TestRecord { value: Some(value), ..TestRecord::default() });
    };
    let inner = table.inner(key, node);
    let topic = topic_name(&inner, "topic");
    let part = |key| inner.node(key).and_then(|node| structured(&inner, key, node));
    let (key, value) = (part("key"), part("value"));
    let record = TestRecord { topic, key, value, headers: headers(&inner) };
    inner.finish();
    Some(record)
}

fn headers(record: &Reader<'_>) -> Vec<(String, String)> {
    record.flat("headers").into_iter().map(|flat| (flat.key, flat.text.value)).collect()
}

fn scalar(table: &Reader<'_>, key: &str, node: &Node) -> Option<String> {
    let text = node.value.scalar();
    if text.is_none() {
        let sentence = format!(
            "`{}` must be a value or an array of values, not {}",
            table.path_of(key),
            node.value.kind()
        );
        let help =
            "a value, or `{ key = \"…\", value = \"…\", headers = { name = \"…\" } }`, or an array of them";
        table.say(&node.origin, sentence, Some(help.into()));
    }
    text.map(|Text { value, .. }| value)
}

/// A value or a key as text; a table or an array as JSON.
fn structured(record: &Reader<'_>, key: &str, node: &Node) -> Option<String> {
    match &node.value {
        Value::Table(_) | Value::Array(_) => Some(json(node).to_string()),
        _ => scalar(record, key, node),
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::String(text) => text.value.as_str().into(),
        Value::Integer(n) => (*n).into(),
        Value::Float(text) => {
            text.replace('_', "").parse::<f64>().map_or_else(|_| text.as_str().into(), Into::into)
        }
        Value::Boolean(yes) => (*yes).into(),
        Value::Datetime(text) => text.as_str().into(),
        Value::Array(nodes) => nodes.iter().map(json).collect(),
        Value::Table(entries) => serde_json::Value::Object(
            entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
        ),
    }
}

/// `answers.score = { status = 503 }`, or an array of such tables: what the service of `[operators.score]` answers.
fn answers(table: &Reader<'_>, steps: &[Step], operators: &Reader<'_>) -> Vec<(String, Vec<TestAnswer>)> {
    let Some(node) = table.node("answers") else { return Vec::new() };
    let of_services = || steps.iter().filter(|step| step.kind == "http").map(|step| step.name.as_str());
    // What is wrong with an operator is said already.
    let has_failed =
        |name: &str| operators.node(name).is_some() && steps.iter().all(|step| step.name != name);
    let Value::Table(entries) = &node.value else {
        let sentence = format!("`{}` must be a table, not {}", table.path_of("answers"), node.value.kind());
        table.say(&node.origin, sentence, Some("write `answers.NAME = { status = 503 }`".to_owned()));
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        if has_failed(&entry.key) {
            continue;
        }
        if !of_services().any(|name| name == entry.key) {
            let sentence = format!("no operator `{}` asks a service", entry.key);
            let names = of_services().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let help = if names.is_empty() {
                "`answers` are for operators `http`".to_owned()
            } else {
                format!("those that do are {names}")
            };
            table.say(&entry.origin, sentence, Some(help));
            continue;
        }
        if many(&entry.node).is_empty() {
            let sentence = format!("`{}.{}` has no answer", table.path_of("answers"), entry.key);
            table.say(&entry.origin, sentence, None);
        }
        let answers = many(&entry.node).iter().map(|node| answer(table, node)).collect();
        all.push((entry.key.clone(), answers));
    }
    all
}

fn answer(table: &Reader<'_>, node: &Node) -> TestAnswer {
    let inner = table.inner("answers", node);
    let status = inner.integer("status", 100..=599).and_then(|status| u16::try_from(status).ok());
    let body = inner.node("value").and_then(|node| structured(&inner, "value", node));
    inner.finish();
    TestAnswer { status: status.unwrap_or(200), body: body.unwrap_or_default() }
}

/// `tables.customers.c1 = { name = "Ada" }`: what the topic `customers` has under the key `c1`, where an operator looks into that topic.
/// Whether it is of that operator's format is not asked: what is not is the dead letter that it would be.
fn rows(
    case: &Reader<'_>,
    steps: &[Step],
    operators: &Reader<'_>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let topics: BTreeSet<&str> =
        steps.iter().filter_map(|step| step.operator.table()).filter_map(TableOf::newest).collect();
    // What is wrong with an operator is said already, and any topic may be its table.
    let has_failed = operators.tables().len() > steps.len();
    let tables = case.table("tables");
    let mut all = BTreeMap::new();
    for (topic, table) in tables.tables() {
        if !topics.contains(topic) {
            if !has_failed {
                let sentence = format!("no operator looks into a topic `{topic}`");
                table.say(table.origin(), sentence, Some(there_are(&topics)));
            }
            continue;
        }
        let Some(Node { value: Value::Table(entries), .. }) = tables.node(topic) else { continue };
        let row = |entry: &Entry| Some((entry.key.clone(), structured(&table, &entry.key, &entry.node)?));
        all.insert(topic.to_owned(), entries.iter().filter_map(row).collect());
    }
    all
}

/// The tables that a case may have rows of, as they are written.
fn there_are(topics: &BTreeSet<&str>) -> String {
    let written = |topic: &&str| match topic.contains('.') {
        true => format!("`[test.tables.\"{topic}\"]`"),
        false => format!("`[test.tables.{topic}]`"),
    };
    match topics.iter().map(written).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "`tables` are for operators such as `join`, and there is none".to_owned(),
        names => format!("those that are looked into are {names}"),
    }
}

fn classes(table: &Reader<'_>) -> Vec<String> {
    let Some(node) = table.node("dead_letters") else { return Vec::new() };
    let classes = many(node).iter().filter_map(|node| Some((node, scalar(table, "dead_letters", node)?)));
    classes.filter_map(|(node, class)| is_class(table, node, &class).then_some(class)).collect()
}

/// Whether there is such a class; a case that expects another one could never hold.
fn is_class(table: &Reader<'_>, node: &Node, class: &str) -> bool {
    let added = registry().iter().flat_map(|factory| factory.classes).copied();
    let mut names = CLASSES.iter().map(|(name, _)| *name).chain(added);
    if names.clone().any(|name| name == class) {
        return true;
    }
    let help = closest(class, names.clone()).map_or_else(
        || format!("there are {}", names.by_ref().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let sentence = format!("`{}` names no class of dead letters: `{class}`", table.path_of("dead_letters"));
    table.say(&node.origin, sentence, Some(help));
    false
}
