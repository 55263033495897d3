//! The file as a tree in which every key and value knows where it comes from.

use std::time::Duration;

use toml::{Spanned, de::DeTable, de::DeValue};

use super::{Diagnostics, Place, interpolate::interpolate};

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// What a setting can be.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, and whether part of it came from the environment or a file.
    String(String, bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, or a date, as it was written.
    Other(String),
    /// `true` or `false`.
    Boolean(bool),
    /// Several.
    Array(Vec<Node>),
    /// Named ones.
    Table(Table),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// A table in the order of the file. Keys are taken out as they are read; what is left is not known.
#[derive(Clone, Debug)]
pub struct Table {
    /// The path to it, such as `source.config`; empty for the file itself.
    pub path: String,
    /// Where it stands.
    pub place: Place,
    entries: Vec<Entry>,
    /// The keys that were asked for, for suggestions.
    asked: Vec<&'static str>,
}

/// Reads a file and the overrides (`path`, `value`, how it was given). What is wrong is added to the
/// diagnostics; what could be read is returned all the same, so that more can be found.
pub fn parse(source: &str, overrides: &[(String, String, String)], diagnostics: &mut Diagnostics) -> Table {
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        diagnostics.error(&Place::File(span), format!("not TOML: {}", error.message()), None);
    }
    let mut root = Table::read(String::new(), 0..0, table.get_ref(), diagnostics);
    for (path, value, given) in overrides {
        root.set(path, value, &Place::Override(given.clone()), diagnostics);
    }
    root
}

impl Node {
    fn read(path: &str, value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics) -> Node {
        let place = Place::File(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::text(text, &place, diagnostics),
            DeValue::Integer(number) => {
                match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => Value::Other(number.as_str().to_owned()),
                }
            }
            DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(datetime) => Value::Other(datetime.to_string()),
            DeValue::Array(values) => {
                Value::Array(values.iter().map(|value| Node::read(path, value, diagnostics)).collect())
            }
            DeValue::Table(table) => {
                Value::Table(Table::read(path.to_owned(), value.span(), table, diagnostics))
            }
        };
        Node { value, place }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::String(..) => "a string",
            Value::Integer(_) => "a whole number",
            Value::Other(_) => "a number or date",
            Value::Boolean(_) => "true or false",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// As a plain TOML value, for what serde reads.
    pub fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::String(text, _) | Value::Other(text) => text
                .parse::<f64>()
                .ok()
                .filter(|_| matches!(self.value, Value::Other(_)))
                .map_or_else(|| text.clone().into(), toml::Value::Float),
            Value::Integer(number) => (*number).into(),
            Value::Boolean(value) => (*value).into(),
            Value::Array(nodes) => toml::Value::Array(nodes.iter().map(Node::to_toml).collect()),
            Value::Table(table) => toml::Value::Table(table.to_toml()),
        }
    }
}

impl Value {
    fn text(text: &str, place: &Place, diagnostics: &mut Diagnostics) -> Value {
        match interpolate(text) {
            Ok(interpolated) => Value::String(interpolated.text, interpolated.secret),
            Err(message) => {
                diagnostics.error(place, message, None);
                Value::String(String::new(), true)
            }
        }
    }
}

impl Table {
    fn read(
        path: String,
        span: std::ops::Range<usize>,
        table: &DeTable<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let node = Node::read(&join(&path, &name), value, diagnostics);
                Entry { key: name, place: Place::File(key.span()), node }
            })
            .collect();
        // The parser sorts by name; what the file says first comes first.
        entries.sort_by_key(|entry| match &entry.place {
            Place::File(span) => span.start,
            Place::Override(_) => usize::MAX,
        });
        Table { path, place: Place::File(span), entries, asked: Vec::new() }
    }

    /// An empty table where the file has none.
    fn empty(path: String, place: Place) -> Table {
        Table { path, place, entries: Vec::new(), asked: Vec::new() }
    }

    fn set(&mut self, path: &str, value: &str, place: &Place, diagnostics: &mut Diagnostics) {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let full = join(&self.path, first);
        let Some(rest) = rest else {
            let value = match DeValue::parse(value) {
                Ok(parsed) => Node::read(&full, &parsed, diagnostics).value,
                // What is not TOML is taken as it is: `--set name=factorial`.
                Err(_) => Value::text(value, place, diagnostics),
            };
            let node = Node { value, place: place.clone() };
            self.entries.retain(|entry| entry.key != first || matches!(entry.node.value, Value::Table(_)));
            self.entries.push(Entry { key: first.to_owned(), place: place.clone(), node });
            return;
        };
        let table = self.entries.iter_mut().find_map(|entry| match &mut entry.node.value {
            Value::Table(table) if entry.key == first => Some(table),
            _ => None,
        });
        match table {
            Some(table) => table.set(rest, value, place, diagnostics),
            None => {
                let mut table = Table::empty(full, place.clone());
                table.set(rest, value, place, diagnostics);
                let node = Node { value: Value::Table(table), place: place.clone() };
                self.entries.push(Entry { key: first.to_owned(), place: place.clone(), node });
            }
        }
    }

    /// Takes a key's value out, whatever it is.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).node)
    }

    /// Takes text out.
    pub fn string(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<(String, Place)> {
        let node = self.take(key)?;
        match node.value {
            Value::String(text, _) if text.is_empty() => {
                self.wrong(key, &node.place, "must not be empty", diagnostics)
            }
            Value::String(text, _) => Some((text, node.place)),
            _ => self.wrong(
                key,
                &node.place,
                &format!("must be a string, and is {}", node.kind()),
                diagnostics,
            ),
        }
    }

    /// Takes a whole number in a range out.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        diagnostics: &mut Diagnostics,
    ) -> Option<(i64, Place)> {
        let node = self.take(key)?;
        let (low, high) = (range.start(), range.end());
        match node.value {
            Value::Integer(number) if range.contains(&number) => Some((number, node.place)),
            Value::Integer(number) => self.wrong(
                key,
                &node.place,
                &format!("must be from {low} to {high}, and is {number}"),
                diagnostics,
            ),
            _ => self.wrong(
                key,
                &node.place,
                &format!("must be a whole number, and is {}", node.kind()),
                diagnostics,
            ),
        }
    }

    /// Takes one of several words out.
    pub fn one_of<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        diagnostics: &mut Diagnostics,
    ) -> Option<(T, Place)> {
        let (text, place) = self.string(key, diagnostics)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some((*value, place));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` does not know `{text}`", join(&self.path, key));
        diagnostics.error(&place, message, suggestion(&text, &known));
        None
    }

    /// Takes a time such as `"100 ms"` out; more than none.
    pub fn duration(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Duration, Place)> {
        let (text, place) = self.string(key, diagnostics)?;
        match humantime::parse_duration(&text) {
            Ok(Duration::ZERO) => self.wrong(key, &place, "must be more than none", diagnostics),
            Ok(duration) => Some((duration, place)),
            Err(error) => {
                let message = format!("`{}` is not a time: {error}", join(&self.path, key));
                diagnostics.error(
                    &place,
                    message,
                    "a number and a unit, such as \"100 ms\", \"5 s\" or \"2 min\"".to_owned(),
                );
                None
            }
        }
    }

    /// Takes a number of bytes such as `"256 MiB"` or `1000` out; more than none.
    pub fn bytes(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<(u64, Place)> {
        let node = self.take(key)?;
        let size = match &node.value {
            Value::Integer(number) => u64::try_from(*number).map_err(|error| error.to_string()),
            Value::String(text, _) => text.parse::<bytesize::ByteSize>().map(|size| size.as_u64()),
            _ => Err(format!("it is {}", node.kind())),
        };
        match size {
            Ok(0) => self.wrong(key, &node.place, "must be more than none", diagnostics),
            Ok(size) => Some((size, node.place)),
            Err(error) => {
                let message = format!("`{}` is not a size: {error}", join(&self.path, key));
                diagnostics.error(
                    &node.place,
                    message,
                    "a number and a unit, such as \"256 MiB\"".to_owned(),
                );
                None
            }
        }
    }

    /// Takes a table out; an empty one where there is none.
    pub fn table(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Table {
        let path = join(&self.path, key);
        match self.take(key) {
            None => Table::empty(path, self.place.clone()),
            Some(Node { value: Value::Table(table), .. }) => table,
            Some(node) => {
                let message = format!("`{path}` must be a table, and is {}", node.kind());
                diagnostics.error(&node.place, message, format!("write [{path}] and its settings below it"));
                Table::empty(path, node.place)
            }
        }
    }

    /// Takes all entries out that are left, whatever their keys.
    pub fn take_all(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// The entries that are left.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Says that a value is wrong.
    pub fn wrong<T>(&self, key: &str, place: &Place, what: &str, diagnostics: &mut Diagnostics) -> Option<T> {
        diagnostics.error(place, format!("`{}` {what}", join(&self.path, key)), None);
        None
    }

    /// Says what is left as unknown.
    pub fn finish(self, diagnostics: &mut Diagnostics) {
        for entry in &self.entries {
            let message = format!("there is no setting `{}`", join(&self.path, &entry.key));
            diagnostics.error(&entry.place, message, suggestion(&entry.key, &self.asked));
        }
    }

    /// As a plain TOML table, for what serde reads.
    pub fn to_toml(&self) -> toml::Table {
        self.entries.iter().map(|entry| (entry.key.clone(), entry.node.to_toml())).collect()
    }
}

/// `a.b`, or `b` at the top.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What was probably meant; else what there is.
pub fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, near)) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", known.join(", "))),
    }
}
