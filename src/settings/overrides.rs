//! Lays `--set path=value` over a file.

use toml::de::DeValue;

use super::{Diagnostic, Diagnostics, Entry, Node, Origin, Severity, Text, Value, tree::node_of};

/// Sets what is at a dotted path. The value is read as TOML, and is a string where it is none.
pub(super) fn lay(root: &mut Node, path: &str, value: &str, name: &str, diagnostics: &mut Diagnostics) {
    let origin = Origin::Override(name.to_owned());
    if path.split('.').any(str::is_empty) {
        return diagnostics.push(Diagnostic {
            severity: Severity::Error,
            sentence: format!("`{path}` is not a path of a setting"),
            origin: Some(origin),
            help: Some("write the keys with dots between them, such as `--set commit.interval=50ms`".into()),
        });
    }
    let node = match DeValue::parse(value) {
        Ok(parsed) => node_of(parsed, &|_| origin.clone()),
        Err(_) => Node {
            value: Value::String(Text { value: value.to_owned(), written: None }),
            origin: origin.clone(),
        },
    };
    set(root, path, node, &origin);
}

/// A key may have dots itself, as properties and topic settings do: an entry that is there already decides how
/// the path is to be read, and so does a value where a table would be needed.
fn set(table: &mut Node, path: &str, node: Node, origin: &Origin) {
    if !matches!(table.value, Value::Table(_)) {
        table.value = Value::Table(Vec::new());
        table.origin = origin.clone();
    }
    let Value::Table(entries) = &mut table.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == path) {
        entry.node = node;
        entry.origin = origin.clone();
        return;
    }
    let inside = |entry: &&mut Entry| {
        path.strip_prefix(entry.key.as_str()).is_some_and(|rest| rest.starts_with('.'))
            && matches!(entry.node.value, Value::Table(_))
    };
    if let Some(entry) = entries.iter_mut().find(inside) {
        let rest = path[entry.key.len() + 1..].to_owned();
        return set(&mut entry.node, &rest, node, origin);
    }
    // `routes.0.topic` is a key of the first table of an array.
    if let Some((node_of_table, rest)) = entries.iter_mut().find_map(|entry| element(entry, path)) {
        return set(node_of_table, &rest, node, origin);
    }
    let taken = |key: &str| entries.iter().any(|entry| entry.key == key);
    match path.split_once('.') {
        Some((first, rest)) if !taken(first) => {
            let mut inner = Node { value: Value::Table(Vec::new()), origin: origin.clone() };
            set(&mut inner, rest, node, origin);
            entries.push(Entry { key: first.to_owned(), origin: origin.clone(), node: inner });
        }
        _ => entries.push(Entry { key: path.to_owned(), origin: origin.clone(), node }),
    }
}

/// The table of an array that a path names by its place from 0, and the rest of the path.
fn element<'n>(entry: &'n mut Entry, path: &str) -> Option<(&'n mut Node, String)> {
    let (place, rest) = path.strip_prefix(entry.key.as_str())?.strip_prefix('.')?.split_once('.')?;
    let Value::Array(nodes) = &mut entry.node.value else { return None };
    let table = nodes.get_mut(place.parse::<usize>().ok()?)?;
    matches!(table.value, Value::Table(_)).then(|| (table, rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::{ProcessEnvironment, Tree};
    use super::*;

    fn laid(text: &str, path: &str, value: &str) -> Tree {
        let overrides = [(path.to_owned(), value.to_owned(), format!("--set {path}={value}"))];
        match Tree::parse("x.toml", text, &overrides, &ProcessEnvironment) {
            Ok((tree, _)) => tree,
            Err(diagnostics) => panic!("{diagnostics}"),
        }
    }

    fn at<'a>(tree: &'a Tree, keys: &[&str]) -> &'a Value {
        keys.iter().fold(&tree.root.value, |value, key| {
            let Value::Table(entries) = value else { panic!("{key}: not in a table") };
            &entries.iter().find(|entry| entry.key == *key).unwrap_or_else(|| panic!("no {key}")).node.value
        })
    }

    fn string(text: &str) -> Value {
        Value::String(Text { value: text.into(), written: None })
    }

    #[test]
    fn a_value_is_toml_and_a_string_where_it_is_none() {
        assert_eq!(at(&laid("", "a.b", "5"), &["a", "b"]), &Value::Integer(5));
        assert_eq!(at(&laid("", "a.b", "true"), &["a", "b"]), &Value::Boolean(true));
        assert_eq!(at(&laid("", "a.b", "50 ms"), &["a", "b"]), &string("50 ms"));
        assert_eq!(at(&laid("", "a.b", "127.0.0.1:9092"), &["a", "b"]), &string("127.0.0.1:9092"));
        assert_eq!(at(&laid("", "a.b", "'5'"), &["a", "b"]), &string("5"));
        assert_eq!(at(&laid("", "a.b", ""), &["a", "b"]), &string(""));
    }

    #[test]
    fn it_wins_over_the_file_and_names_itself_as_the_place() {
        let tree = laid("[a]\nb = 1\nc = 2\n", "a.b", "5");
        assert_eq!(at(&tree, &["a", "b"]), &Value::Integer(5));
        assert_eq!(at(&tree, &["a", "c"]), &Value::Integer(2));
        assert_eq!(tree.origin("a.b"), Origin::Override("--set a.b=5".into()));
        assert_eq!(tree.origin("a.c"), Origin::File(14..15));
    }

    #[test]
    fn a_key_with_dots_is_found_as_it_was_written() {
        let quoted = laid("[kafka]\n\"a.b\" = 'x'\n", "kafka.a.b", "y");
        assert_eq!(at(&quoted, &["kafka", "a.b"]), &string("y"));
        let nested = laid("[kafka]\na.b = 'x'\n", "kafka.a.b", "y");
        assert_eq!(at(&nested, &["kafka", "a", "b"]), &string("y"));
        let both = laid("[kafka]\ngroup.protocol = 'x'\n", "kafka.group.protocol.type", "y");
        assert_eq!(at(&both, &["kafka", "group", "protocol"]), &string("x"));
        assert_eq!(at(&both, &["kafka", "group", "protocol.type"]), &string("y"));
    }

    #[test]
    fn a_number_is_a_place_in_an_array_of_tables() {
        let tree = laid("[[a]]\nb = 1\n[[a]]\nb = 2\nc = 3\n", "a.1.b", "5");
        let Value::Array(tables) = at(&tree, &["a"]) else { panic!("no array") };
        let b = |place: usize| {
            let Value::Table(entries) = &tables[place].value else { panic!("no table") };
            entries.iter().find(|entry| entry.key == "b").map(|entry| entry.node.value.clone())
        };
        assert_eq!((b(0), b(1)), (Some(Value::Integer(1)), Some(Value::Integer(5))));
    }

    #[test]
    fn a_path_with_an_empty_key_is_refused() {
        let overrides = [("a..b".to_owned(), "1".to_owned(), "--set a..b=1".to_owned())];
        let refused = Tree::parse("x.toml", "", &overrides, &ProcessEnvironment).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("`a..b` is not a path of a setting\n   in --set a..b=1"), "{text}");
    }
}
