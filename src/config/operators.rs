//! The `[operators.NAME]` tables.

use super::{formats, pipeline::Step};
use crate::{
    format::Formats,
    operator::{Built, Factory, Operator, SettingError, registry},
    settings::{Node, Reader, Value, closest},
};

/// The `[operators.NAME]` tables, in the order of the file, and the formats behind them: as input those in which records come out.
/// Without formats, because those that are written are none, only what is wrong whatever they are is said.
pub(super) fn read(root: &Reader<'_>, formats: Option<Formats>) -> (Vec<Step>, Option<Formats>) {
    let operators = root.table("operators");
    let tables = operators.tables();
    let mut steps: Vec<Step> = Vec::new();
    let mut formats = formats;
    for (name, table) in tables {
        let Some(step) = step(name, table, formats.clone()) else { continue };
        // What an operator has written is in the sink's format.
        if let Some(formats) = &mut formats {
            if !step.operator.keeps_value() {
                formats.input = formats.output.clone();
            }
            if !step.operator.keeps_key() {
                formats.keys.input = formats.keys.output.clone();
            }
        }
        steps.push(step);
    }
    (steps, formats)
}

/// Says that there is nothing to do.
pub(super) fn required(root: &Reader<'_>) {
    let help = format!("add a table such as `[operators.factorial]`; there are {}", names());
    let sentence = "a pipeline needs an operator, a route, or two formats".to_owned();
    root.missing("operators", sentence, help);
}

fn names() -> String {
    registry().iter().map(|f| format!("`{}` ({})", f.name, f.summary)).collect::<Vec<_>>().join(", ")
}

fn step(name: &str, table: Reader<'_>, formats: Option<Formats>) -> Option<Step> {
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
    let mut settings = Vec::new();
    for key in (factory.settings)() {
        table.node(key).into_iter().for_each(|node| describe(key, node, &mut settings));
    }
    table.finish();
    Some(Step { name: name.to_owned(), kind: factory.name, settings, operator: operator?.into() })
}

/// A setting as it is written, a line for each value.
fn describe(path: &str, node: &Node, lines: &mut Vec<String>) {
    let shown = |node: &Node| {
        let text = node.value.scalar()?;
        Some(text.written.unwrap_or(text.value).split_whitespace().collect::<Vec<_>>().join(" "))
    };
    match &node.value {
        Value::Table(entries) => {
            entries.iter().for_each(|entry| describe(&format!("{path}.{}", entry.key), &entry.node, lines));
        }
        Value::Array(nodes) => {
            let values: Vec<String> = nodes.iter().filter_map(shown).collect();
            lines.push(format!("{path} = {}", values.join(", ")));
        }
        _ => lines.extend(shown(node).map(|value| format!("{path} = {value}"))),
    }
}

/// The keys under which operators have expressions.
const EXPRESSIONS: &[&str] = &["by", "into", "path", "set", "to", "value", "when"];

/// The keys under which operators name a file, relative to the folder of the pipeline's file.
const FILES: &[&str] = &["component"];

/// Where a string was filled in by `${…}`, so that it may be a secret.
pub(super) fn filled_in(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::String(text) => text.written.as_ref().map(|_| node),
        Value::Array(nodes) => nodes.iter().find_map(filled_in),
        Value::Table(entries) => entries.iter().find_map(|entry| filled_in(&entry.node)),
        _ => None,
    }
}

fn build(factory: &Factory, table: &Reader<'_>, formats: Option<Formats>) -> Option<Box<dyn Operator>> {
    let mut settings = toml::Table::new();
    for &key in (factory.settings)() {
        if let Some(node) = table.node(key) {
            if let Some(secret) = filled_in(node).filter(|_| EXPRESSIONS.contains(&key)) {
                let sentence = format!("`{}` has a `${{…}}` in an expression", table.path_of(key));
                let help =
                    "dead letters quote their expression, and nothing that is filled in may be printed";
                table.say(&secret.origin, sentence, Some(help.to_owned()));
                return None;
            }
            let value = match plain(node) {
                toml::Value::String(name) if FILES.contains(&key) => {
                    toml::Value::String(table.folder().join(name).to_string_lossy().into_owned())
                }
                value => value,
            };
            settings.insert(key.to_owned(), value);
        }
    }
    let built = match formats {
        Some(formats) => (factory.build)(settings, formats),
        None => with_any_format(factory, &settings),
    };
    built
        .inspect_err(|error| {
            let written = error.key.as_ref().is_some_and(|key| node(table, key).is_some());
            if table.has_unknown() && !written {
                // The key that is missing is probably one that is misspelt, and that is said.
                return;
            }
            // How the settings are called does not help with an expression.
            let help = if error.at.is_some() { None } else { help(factory) };
            refuse(table, error, help);
        })
        .ok()
}

/// Says what is wrong with a setting, at its place in the file; within the expression, where it is one.
pub(super) fn refuse(table: &Reader<'_>, error: &SettingError, help: Option<String>) {
    let path = match &error.key {
        Some(key) => format!("{}.{key}", table.path()),
        None => table.path().to_owned(),
    };
    let found = error.key.as_ref().and_then(|key| node(table, key));
    let origin = found.map_or(table.origin(), |node| &node.origin).clone();
    let (origin, place) = match (error.at, found.map(|node| &node.value)) {
        (Some(at), Some(Value::String(text))) => table.within(&origin, &text.value, at).map_or_else(
            || (origin.clone(), format!(" (at {} of the expression)", line_and_column(&text.value, at))),
            |within| (within, String::new()),
        ),
        _ => (origin, String::new()),
    };
    table.say(&origin, format!("`{path}`: {}{place}", error.reason), help);
}

/// Builds an operator whose formats are not known: an error that another format would mend is none.
fn with_any_format(factory: &Factory, settings: &toml::Table) -> Built {
    let same = formats::plain().map(|format| Formats {
        input: format.clone(),
        output: format,
        ..Formats::default()
    });
    let mut built = same.map(|formats| (factory.build)(settings.clone(), formats));
    let first = built.next().unwrap_or_else(|| (factory.build)(settings.clone(), Formats::default()));
    first.or_else(|error| built.find(Result::is_ok).unwrap_or(Err(error)))
}

/// The value under a key with dots.
fn node<'a>(table: &Reader<'a>, key: &str) -> Option<&'a Node> {
    let (first, mut rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let mut node = table.node(first)?;
    while let Some(path) = rest {
        let Value::Table(entries) = &node.value else { return Some(node) };
        // A name may have dots itself.
        let entry = entries.iter().find(|entry| {
            path == entry.key || path.strip_prefix(&entry.key).is_some_and(|after| after.starts_with('.'))
        })?;
        node = &entry.node;
        rest = path.strip_prefix(&entry.key).and_then(|after| after.strip_prefix('.'));
    }
    Some(node)
}

/// A place in a text, for people.
fn line_and_column(text: &str, at: usize) -> String {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    if line == 1 { format!("column {column}") } else { format!("line {line}, column {column}") }
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
