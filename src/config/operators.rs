//! The `[operators.NAME]` tables.

use super::pipeline::Step;
use crate::{
    format::Formats,
    operator::{Factory, Operator, registry},
    settings::{Node, Reader, Value, closest},
};

/// The `[operators.NAME]` tables, in the order of the file.
pub(super) fn read(root: &Reader<'_>, formats: Formats) -> Vec<Step> {
    let operators = root.table("operators");
    let tables = operators.tables();
    if tables.is_empty() {
        let help = format!("add a table such as `[operators.factorial]`; there are {}", names());
        root.say(operators.origin(), "a pipeline needs at least one operator".into(), Some(help));
    }
    tables.into_iter().filter_map(|(name, table)| step(name, table, formats)).collect()
}

fn names() -> String {
    registry().iter().map(|f| format!("`{}` ({})", f.name, f.summary)).collect::<Vec<_>>().join(", ")
}

fn step(name: &str, table: Reader<'_>, formats: Formats) -> Option<Step> {
    let kind = match table.node("operator") {
        Some(_) => table.string("operator")?,
        None => name.to_owned(),
    };
    let Some(factory) = registry().iter().find(|factory| factory.name == kind) else {
        let origin = table.node("operator").map_or(table.origin(), |node| &node.origin);
        let near = closest(&kind, registry().iter().map(|factory| factory.name));
        let help = near.map_or_else(
            || {
                format!(
                    "there are {}; a table of another name says which it is: `operator = \"filter\"`",
                    names()
                )
            },
            |near| format!("did you mean `{near}`?"),
        );
        table.say(origin, format!("there is no operator `{kind}`"), Some(help));
        return None;
    };
    let operator = build(factory, &table, formats);
    table.finish();
    Some(Step { name: name.to_owned(), kind: factory.name, operator: operator?.into() })
}

fn build(factory: &Factory, table: &Reader<'_>, formats: Formats) -> Option<Box<dyn Operator>> {
    let mut settings = toml::Table::new();
    for &key in (factory.settings)() {
        if let Some(node) = table.node(key) {
            settings.insert(key.to_owned(), plain(node));
        }
    }
    (factory.build)(settings, formats)
        .inspect_err(|error| {
            let node = error.key.as_ref().and_then(|key| table.node(key));
            let path = match &error.key {
                Some(key) => format!("{}.{key}", table.path()),
                None => table.path().to_owned(),
            };
            table.say(
                node.map_or(table.origin(), |node| &node.origin),
                format!("`{path}`: {}", error.reason),
                help(factory),
            );
        })
        .ok()
}

fn help(factory: &Factory) -> Option<String> {
    let keys: Vec<String> = (factory.settings)().iter().map(|key| format!("`{key}`")).collect();
    (!keys.is_empty())
        .then(|| format!("`{}` {}; its settings are {}", factory.name, factory.summary, keys.join(", ")))
}

/// A value without its positions, for serde. A string that `${…}` gave may stand for a number.
fn plain(node: &Node) -> toml::Value {
    match &node.value {
        Value::String(text) => match (&text.written, text.value.trim().parse::<i64>()) {
            (Some(_), Ok(n)) => toml::Value::Integer(n),
            _ => toml::Value::String(text.value.clone()),
        },
        Value::Integer(n) => toml::Value::Integer(*n),
        Value::Float(text) => text
            .replace('_', "")
            .parse()
            .map_or_else(|_| toml::Value::String(text.clone()), toml::Value::Float),
        Value::Boolean(yes) => toml::Value::Boolean(*yes),
        Value::Datetime(text) => toml::Value::String(text.clone()),
        Value::Array(nodes) => toml::Value::Array(nodes.iter().map(plain).collect()),
        Value::Table(entries) => {
            toml::Value::Table(entries.iter().map(|entry| (entry.key.clone(), plain(&entry.node))).collect())
        }
    }
}
