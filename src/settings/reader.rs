//! Takes values out of a table, and reports what is wrong with them.

use std::{
    cell::RefCell,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;

use super::{Diagnostic, Diagnostics, Entry, Node, Origin, Severity, Text, Tree, Value};

/// The version of the files' format. A file of the next one would mean something else to us.
const VERSION: i64 = 1;

/// Reads one table key by key. What is wrong goes to the diagnostics and reads as if it were not there; which
/// keys there may be is what was asked for until [`finish`](Reader::finish).
pub struct Reader<'a> {
    entries: &'a [Entry],
    /// Where the table, or what should have been it, was written.
    origin: Origin,
    /// The table's own path: empty for the root.
    path: String,
    /// What the whole file describes, for messages.
    whole: &'static str,
    asked: RefCell<Vec<String>>,
    diagnostics: &'a RefCell<Diagnostics>,
}

/// A value from a flattened table.
pub struct Flat {
    /// The keys down to it, with dots between them.
    pub key: String,
    /// The value, as text.
    pub text: Text,
    /// Where the key was written.
    pub key_origin: Origin,
    /// Where the value was written.
    pub origin: Origin,
}

impl<'a> Reader<'a> {
    /// The file's top table; `whole` is what the file describes: "a pipeline".
    pub fn root(tree: &'a Tree, whole: &'static str, diagnostics: &'a RefCell<Diagnostics>) -> Self {
        let parent = Reader {
            entries: &[],
            origin: tree.root.origin.clone(),
            path: String::new(),
            whole,
            asked: RefCell::default(),
            diagnostics,
        };
        parent.of(&tree.root, parent.origin.clone(), String::new())
    }

    /// Another table of the same file.
    fn of(&self, node: &'a Node, origin: Origin, path: String) -> Reader<'a> {
        let mut reader = Reader { origin, path, ..self.empty() };
        match &node.value {
            Value::Table(entries) => reader.entries = entries,
            other => reader.say(
                &node.origin,
                format!("`{}` must be a table, not {}", reader.path, other.kind()),
                Some(format!("write `[{}]` on a line of its own, and its settings below", reader.path)),
            ),
        }
        reader
    }

    fn empty(&self) -> Reader<'a> {
        Reader {
            entries: &[],
            origin: self.origin.clone(),
            path: String::new(),
            whole: self.whole,
            asked: RefCell::default(),
            diagnostics: self.diagnostics,
        }
    }

    /// The table's path, such as `source.kafka`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its keys.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The place within a string, `at` bytes from its beginning; `None` where the file does not have it letter by letter, as
    /// with escapes.
    pub fn within(&self, string: &Origin, value: &str, at: usize) -> Option<Origin> {
        let Origin::File(span) = string else { return None };
        let start = span.start + self.diagnostics.borrow().text(span.clone())?.find(value)? + at;
        Some(Origin::File(start..start + 1))
    }

    /// The folder of the file, which names of other files in it are relative to.
    pub fn folder(&self) -> PathBuf {
        Path::new(self.diagnostics.borrow().file()).parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Where the table was written.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    fn find(&self, key: &str) -> Option<&'a Entry> {
        let mut asked = self.asked.borrow_mut();
        // Some are looked at more than once.
        if !asked.iter().any(|name| name == key) {
            asked.push(key.to_owned());
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The table under that key; an empty one where there is none.
    pub fn table(&self, key: &str) -> Reader<'a> {
        let path = self.path_of(key);
        match self.find(key) {
            Some(entry) => self.of(&entry.node, entry.origin.clone(), path),
            None => Reader { path, ..self.empty() },
        }
    }

    /// Every key as a table of its own, in the order of the file.
    pub fn tables(&self) -> Vec<(&'a str, Reader<'a>)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), self.table(&entry.key))).collect()
    }

    /// The entries of this table that are tables themselves, each with its name: those beside them have settings.
    pub fn tables_beside(&self) -> Vec<(&'a str, Reader<'a>)> {
        let tables = self.entries.iter().filter(|entry| matches!(entry.node.value, Value::Table(_)));
        tables.map(|entry| (entry.key.as_str(), self.table(&entry.key))).collect()
    }

    /// The tables of an array of tables.
    pub fn array_of_tables(&self, key: &str) -> Vec<Reader<'a>> {
        let Some(entry) = self.find(key) else { return Vec::new() };
        let path = self.path_of(key);
        let Value::Array(nodes) = &entry.node.value else {
            self.say(
                &entry.node.origin,
                format!("`{path}` must be an array of tables, not {}", entry.node.value.kind()),
                Some(format!("write `[[{path}]]` before each")),
            );
            return Vec::new();
        };
        nodes.iter().map(|node| self.of(node, node.origin.clone(), path.clone())).collect()
    }

    /// A table that is a value of one of its keys, or of an array there.
    pub fn inner(&self, key: &str, node: &'a Node) -> Reader<'a> {
        self.of(node, node.origin.clone(), self.path_of(key))
    }

    /// The value as it is.
    pub fn node(&self, key: &str) -> Option<&'a Node> {
        Some(&self.find(key)?.node)
    }

    /// A string that must not be empty.
    pub fn string(&self, key: &str) -> Option<String> {
        let (text, origin) = self.text(key, "a string in quotes")?;
        if text.value.trim().is_empty() {
            self.say(origin, format!("`{}` is empty", self.path_of(key)), None);
            return None;
        }
        Some(text.value)
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let (text, origin) = self.text(key, "a string in quotes")?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(value.clone());
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let help = closest(&text.value, names.iter().copied())
            .map_or_else(|| format!("one of {}", quoted(&names)), |near| format!("did you mean `{near}`?"));
        self.say(origin, format!("`{}` cannot be {}", self.path_of(key), shown(&text)), Some(help));
        None
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        if let Value::Boolean(yes) = node.value {
            return Some(yes);
        }
        let sentence =
            format!("`{}` must be `true` or `false`, not {}", self.path_of(key), node.value.kind());
        self.say(&node.origin, sentence, None);
        None
    }

    /// Whether the file is of the version of the format that is read here: `VERSION`, or none. If not, that is said,
    /// and should be all that is: what else the file has may mean something else there.
    pub fn has_our_version(&self) -> bool {
        let Some(node) = self.node("version") else { return true };
        match node.value {
            Value::Integer(VERSION) => return true,
            Value::Integer(newer) if newer > VERSION => self.say(
                &node.origin,
                format!("this file has `version = {newer}`, and this program reads version {VERSION}"),
                Some("install a newer `pipeline`, or write the file for this one".to_owned()),
            ),
            Value::Integer(other) => self.no_version(node, &other.to_string()),
            _ => self.no_version(node, node.value.kind()),
        }
        false
    }

    fn no_version(&self, node: &Node, got: &str) {
        let help = "without it, a file is of version 1".to_owned();
        self.say(&node.origin, format!("`version` must be the integer {VERSION}, not {got}"), Some(help));
    }

    /// An integer in a range.
    pub fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let value = match &node.value {
            Value::Integer(n) => Some(*n),
            // From `${env:…}`, which has no other way to be a number.
            Value::String(Text { value, written: Some(_) }) => value.trim().parse().ok(),
            _ => None,
        };
        match value.filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                let (low, high) = (range.start(), range.end());
                let bounds =
                    if *high == i64::MAX { format!("at least {low}") } else { format!("{low} to {high}") };
                let got =
                    if value.is_some() { String::new() } else { format!(", not {}", node.value.kind()) };
                self.say(
                    &node.origin,
                    format!("`{}` must be an integer, {bounds}{got}", self.path_of(key)),
                    None,
                );
                None
            }
        }
    }

    /// A duration such as `100 ms`.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        self.duration_of(key, self.node(key)?)
    }

    /// The same of one element of an array under that key.
    pub fn duration_of(&self, key: &str, node: &Node) -> Option<Duration> {
        const EXAMPLE: &str =
            "write a number and a unit in quotes, such as \"100 ms\", \"10 s\" or \"5 min\"";
        let text = match &node.value {
            Value::String(text) => text,
            other => {
                let sentence = format!("`{}` must be a duration, not {}", self.path_of(key), other.kind());
                self.say(&node.origin, sentence, Some(EXAMPLE.into()));
                return None;
            }
        };
        humantime::parse_duration(&text.value)
            .inspect_err(|_| {
                let sentence = format!("`{}`: {} is not a duration", self.path_of(key), shown(text));
                self.say(&node.origin, sentence, Some(EXAMPLE.into()));
            })
            .ok()
    }

    /// A size such as `256 MiB`, or an integer in bytes.
    pub fn size(&self, key: &str) -> Option<u64> {
        const EXAMPLE: &str =
            "write a number and a unit in quotes, such as \"256 MiB\", or a number of bytes";
        let node = self.node(key)?;
        let size = match &node.value {
            Value::Integer(n) => u64::try_from(*n).ok(),
            Value::String(text) => text.value.parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => None,
        };
        if size.is_none() {
            let got = node.value.scalar().map_or_else(|| node.value.kind().to_owned(), |text| shown(&text));
            self.say(
                &node.origin,
                format!("`{}`: {got} is not a size", self.path_of(key)),
                Some(EXAMPLE.into()),
            );
        }
        size
    }

    /// An address and a port.
    pub fn address(&self, key: &str) -> Option<SocketAddr> {
        let (text, origin) = self.text(key, "an address in quotes")?;
        text.value
            .parse()
            .inspect_err(|_| {
                let sentence =
                    format!("`{}`: {} is not an address and a port", self.path_of(key), shown(&text));
                self.say(origin, sentence, Some("such as \"127.0.0.1:9464\" or \"[::1]:9464\"".into()));
            })
            .ok()
    }

    /// Everything below a key that is a single value, its nested tables' keys joined by dots.
    pub fn flat(&self, key: &str) -> Vec<Flat> {
        let mut flat = Vec::new();
        self.table(key).flatten("", None, &mut flat);
        flat
    }

    fn flatten(&self, prefix: &str, start: Option<&Origin>, flat: &mut Vec<Flat>) {
        for entry in self.entries {
            let key = format!("{prefix}{}", entry.key);
            let key_origin = self.dotted(start, &entry.origin);
            match (&entry.node.value, entry.node.value.scalar()) {
                (_, Some(text)) => {
                    flat.push(Flat { key, text, key_origin, origin: entry.node.origin.clone() })
                }
                (Value::Table(_), None) => {
                    self.table(&entry.key).flatten(&format!("{key}."), Some(&key_origin), flat);
                }
                (other, None) => self.say(
                    &entry.node.origin,
                    format!("`{key}` must be a single value, not {}", other.kind()),
                    Some("write a list as one string, with commas".into()),
                ),
            }
        }
    }

    /// Where a key with dots was written, if that was on one line; else where its last part was.
    fn dotted(&self, start: Option<&Origin>, last: &Origin) -> Origin {
        match (start, last) {
            (Some(Origin::File(first)), Origin::File(last)) => {
                let diagnostics = self.diagnostics.borrow();
                let together = diagnostics.line(first.start) == diagnostics.line(last.start);
                Origin::File(if together { first.start..last.end } else { last.clone() })
            }
            _ => last.clone(),
        }
    }

    /// `value`, or an error that this table has no such key.
    pub fn required<T>(&self, key: &str, value: Option<T>, what: &str) -> Option<T> {
        if value.is_none() && !self.entries.iter().any(|entry| entry.key == key) {
            let place = if self.path.is_empty() { String::new() } else { format!(" in `[{}]`", self.path) };
            self.missing(key, format!("`{key}` is missing{place}"), format!("it is {what}"));
        }
        value
    }

    /// An error that a setting of this table is missing. It is not said where another key is probably meant to be it.
    pub fn missing(&self, key: &str, sentence: String, help: String) {
        let origin = Some(self.origin.clone());
        let diagnostic = Diagnostic { severity: Severity::Error, sentence, origin, help: Some(help) };
        self.diagnostics.borrow_mut().push_missing(self.path_of(key), diagnostic);
    }

    /// Whether nothing is written in it, or it is not there.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another key, which nobody has asked for so far, was probably meant to be this one.
    pub fn has_like(&self, key: &str) -> bool {
        let asked = self.asked.borrow();
        let is_like = |other: &String| !asked.contains(other) && closest(other, [key]).is_some();
        self.entries.iter().any(|entry| entry.key != key && is_like(&entry.key))
    }

    /// Whether there is a key that nobody has asked for so far.
    pub fn has_unknown(&self) -> bool {
        let asked = self.asked.borrow();
        self.entries.iter().any(|entry| !asked.contains(&entry.key))
    }

    fn text(&self, key: &str, expected: &str) -> Option<(Text, &'a Origin)> {
        let node = self.node(key)?;
        let from_outside = matches!(node.origin, Origin::Override(_));
        match (&node.value, node.value.scalar()) {
            (Value::String(text), _) => Some((text.clone(), &node.origin)),
            // Whoever wrote `--set name=5` meant the text.
            (_, Some(text)) if from_outside => Some((text, &node.origin)),
            (other, _) => {
                let sentence = format!("`{}` must be {expected}, not {}", self.path_of(key), other.kind());
                self.say(&node.origin, sentence, None);
                None
            }
        }
    }

    /// An error at a place.
    pub fn say(&self, origin: &Origin, sentence: String, help: Option<String>) {
        let origin = Some(origin.clone());
        self.diagnostics.borrow_mut().push(Diagnostic { severity: Severity::Error, sentence, origin, help });
    }

    /// The line of the table's header, from 1; 0 where it is not in the file.
    pub fn line(&self) -> usize {
        match &self.origin {
            Origin::File(span) => self.diagnostics.borrow().line(span.start),
            Origin::Override(_) => 0,
        }
    }

    /// Says that a key that nobody asked for is unknown.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self.entries.iter().filter(|entry| !asked.contains(&entry.key)) {
            let place = if self.path.is_empty() { self.whole.into() } else { format!("`[{}]`", self.path) };
            let sentence = format!("`{}` is not a setting of {place}", entry.key);
            let known: Vec<&str> = asked.iter().map(String::as_str).collect();
            let help = match closest(&entry.key, known.iter().copied()) {
                Some(near) => {
                    self.diagnostics.borrow_mut().was_misspelt(&self.path_of(near), &self.origin);
                    format!("did you mean `{near}`?")
                }
                None if known.is_empty() => "it has no settings".to_owned(),
                None => format!("its settings are {}", quoted(&known)),
            };
            self.say(&entry.origin, sentence, Some(help));
        }
    }
}

/// What may be printed of a string: never what came from the environment or a file.
fn shown(text: &Text) -> String {
    format!("\"{}\"", text.written.as_ref().unwrap_or(&text.value))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The name that was probably meant: at least three fifths of it are right.
pub fn closest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(name, candidate);
    let best = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= 0.6).then_some(best)
}
