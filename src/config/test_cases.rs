//! `[[test]]`: a pipeline's own cases.

use super::{TestCase, TestRecord};
use crate::settings::{Diagnostics, Node, Place, Table, Value};

/// Reads the cases of a file.
pub fn read(node: Option<Node>, d: &mut Diagnostics) -> Vec<TestCase> {
    let Some(node) = node else { return Vec::new() };
    tables(node, "[[test]]", d).into_iter().map(|table| case(table, d)).collect()
}

fn case(mut table: Table, d: &mut Diagnostics) -> TestCase {
    let line = d.line(&table.place);
    let name = table.string("name", d).map_or_else(|| format!("line {line}"), |(name, _)| name);
    let input = records(table.take("input"), d);
    if input.is_empty() {
        d.error(
            &table.place,
            format!("the test `{name}` has no input"),
            "write input = [{ value = \"…\" }]".to_owned(),
        );
    }
    let output = records(table.take("output"), d);
    let dead_letters = strings(table.take("dead_letters"), d);
    table.finish(d);
    TestCase { name, line, input, output, dead_letters }
}

fn records(node: Option<Node>, d: &mut Diagnostics) -> Vec<TestRecord> {
    let Some(node) = node else { return Vec::new() };
    tables(node, "records", d).into_iter().map(|table| record(table, d)).collect()
}

fn record(mut table: Table, d: &mut Diagnostics) -> TestRecord {
    // An empty text is a value like any other here.
    let mut text = |key, d: &mut Diagnostics| match table.take(key) {
        None => None,
        Some(Node { value: Value::String(text, _), .. }) => Some(text),
        Some(node) => table.wrong(key, &node.place, &format!("must be a string, and is {}", node.kind()), d),
    };
    let (key, value) = (text("key", d), text("value", d));
    let mut headers = table.table("headers", d);
    let headers = headers.take_all().into_iter().filter_map(|entry| match entry.node.value {
        Value::String(text, _) => Some((entry.key, text)),
        _ => {
            d.error(&entry.node.place, format!("the header `{}` must be a string", entry.key), None);
            None
        }
    });
    let headers = headers.collect();
    table.finish(d);
    TestRecord { key, value, headers }
}

fn tables(node: Node, what: &str, d: &mut Diagnostics) -> Vec<Table> {
    let Value::Array(nodes) = node.value else {
        d.error(&node.place, format!("{what} must be an array of tables, and is {}", node.kind()), None);
        return Vec::new();
    };
    let mut tables = Vec::new();
    for node in nodes {
        match node.value {
            Value::Table(table) => tables.push(table),
            _ => d.error(&node.place, format!("{what} must be tables, and this is {}", node.kind()), None),
        }
    }
    tables
}

fn strings(node: Option<Node>, d: &mut Diagnostics) -> Vec<String> {
    let nodes = match node {
        None => return Vec::new(),
        Some(Node { value: Value::Array(nodes), .. }) => nodes,
        Some(Node { place, .. }) => {
            d.error(&place, "`dead_letters` must be an array of classes", None);
            return Vec::new();
        }
    };
    let mut strings = Vec::new();
    for Node { value, place } in nodes {
        match value {
            Value::String(text, _) => strings.push(text),
            _ => wrong_class(&place, d),
        }
    }
    strings
}

fn wrong_class(place: &Place, d: &mut Diagnostics) {
    d.error(place, "a class of dead letters must be a string, such as \"not-a-number\"", None);
}
