//! TOML values, each with the place where it was written.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Where a key or a value was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Bytes of the file.
    File(Range<usize>),
    /// Outside of the file: `--set path=value`, or an environment variable's name.
    Override(String),
}

/// A string, after `${…}` was filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// What it is.
    pub value: String,
    /// As it was written, where something was filled in: then the value is a secret, and this is what may be
    /// printed instead.
    pub written: Option<String>,
}

/// A TOML value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A string.
    String(Text),
    /// An integer, which TOML limits to 64 bits.
    Integer(i64),
    /// A float, as it was written.
    Float(String),
    /// A boolean.
    Boolean(bool),
    /// A date or a time, as it was written.
    Datetime(String),
    /// An array.
    Array(Vec<Node>),
    /// A table, in the order in which its keys were first written.
    Table(Vec<Entry>),
}

impl Value {
    /// What it is, with its article, for sentences.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// A value that is neither array nor table, as text.
    pub fn scalar(&self) -> Option<Text> {
        let value = match self {
            Value::String(text) => return Some(text.clone()),
            Value::Integer(n) => n.to_string(),
            Value::Float(text) | Value::Datetime(text) => text.clone(),
            Value::Boolean(yes) => yes.to_string(),
            Value::Array(_) | Value::Table(_) => return None,
        };
        Some(Text { value, written: None })
    }
}

/// A value and where it was written.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

/// One key of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written first.
    pub origin: Origin,
    /// What it is set to.
    pub node: Node,
}

/// A settings file with its positions.
#[derive(Clone, PartialEq, Debug)]
pub struct Tree {
    /// The file's top table.
    pub root: Node,
}

impl Tree {
    /// Whether the setting of that dotted path was written.
    pub fn has(&self, path: &str) -> bool {
        written(&self.root, path)
    }

    /// Where the setting of that dotted path was written, or else the nearest table around it.
    pub fn origin(&self, path: &str) -> Origin {
        nearest(&self.root, path).unwrap_or(&self.root.origin).clone()
    }
}

fn written(node: &Node, path: &str) -> bool {
    let Value::Table(entries) = &node.value else { return false };
    entries.iter().any(|entry| {
        let rest = path.strip_prefix(entry.key.as_str());
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('.').is_some_and(|rest| written(&entry.node, rest))
        })
    })
}

fn nearest<'a>(node: &'a Node, path: &str) -> Option<&'a Origin> {
    let Value::Table(entries) = &node.value else { return None };
    entries.iter().find_map(|entry| {
        let rest = path.strip_prefix(entry.key.as_str())?;
        if rest.is_empty() {
            return Some(if matches!(entry.node.value, Value::Table(_)) {
                &entry.origin
            } else {
                &entry.node.origin
            });
        }
        let deeper = nearest(&entry.node, rest.strip_prefix('.')?);
        Some(deeper.unwrap_or(&entry.origin))
    })
}

pub(super) fn node_of(value: Spanned<DeValue<'_>>, origin: &dyn Fn(Range<usize>) -> Origin) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(Text { value: text.into_owned(), written: None }),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Value::Integer(n),
            // Beyond 64 bits: kept as written, so that the reader says what range it expects.
            Err(_) => Value::Float(n.to_string()),
        },
        DeValue::Float(text) => Value::Float(text.as_str().to_owned()),
        DeValue::Boolean(yes) => Value::Boolean(yes),
        DeValue::Datetime(time) => Value::Datetime(time.to_string()),
        DeValue::Array(array) => {
            Value::Array(array.into_iter().map(|value| node_of(value, origin)).collect())
        }
        DeValue::Table(table) => table_of(table, origin),
    };
    Node { value, origin: origin(span) }
}

pub(super) fn table_of(table: DeTable<'_>, origin: &dyn Fn(Range<usize>) -> Origin) -> Value {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            let entry = Entry {
                key: key.into_inner().into_owned(),
                origin: origin(span.clone()),
                node: node_of(value, origin),
            };
            (span.start, entry)
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}
