//! Fills in `${env:NAME}` and `${file:PATH}`.

use super::{Diagnostic, Diagnostics, Node, Severity, Text, Value};

/// What `${env:…}` and `${file:…}` are filled in from.
pub trait Environment {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's contents.
    ///
    /// # Errors
    /// Why it cannot be read, without its contents.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// This process's own environment and files.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Fills in `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in every string. A file's last line break
/// is left out, because editors put it there. `$${` stands for `${`.
pub(super) fn interpolate(node: &mut Node, environment: &dyn Environment, diagnostics: &mut Diagnostics) {
    match &mut node.value {
        Value::String(text) if text.value.contains("${") => match filled(&text.value, environment) {
            Ok(value) if value.secret => {
                let written = std::mem::replace(&mut text.value, value.text);
                text.written = Some(written);
            }
            Ok(value) => *text = Text { value: value.text, written: None },
            Err((sentence, help)) => diagnostics.push(Diagnostic {
                severity: Severity::Error,
                sentence,
                origin: Some(node.origin.clone()),
                help: Some(help.to_owned()),
            }),
        },
        Value::Array(nodes) => nodes.iter_mut().for_each(|node| interpolate(node, environment, diagnostics)),
        Value::Table(entries) => {
            entries.iter_mut().for_each(|entry| interpolate(&mut entry.node, environment, diagnostics));
        }
        _ => {}
    }
}

struct Filled {
    text: String,
    secret: bool,
}

fn filled(written: &str, environment: &dyn Environment) -> Result<Filled, (String, &'static str)> {
    let mut filled = Filled { text: String::with_capacity(written.len()), secret: false };
    let mut rest = written;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            filled.text.push_str(&rest[..start - 1]);
            filled.text.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        filled.text.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err((
                format!("`{}` has no closing brace", &rest[start..]),
                "write `${env:NAME}` or `${file:/path}`, or `$${` where `${` itself is meant",
            ));
        };
        filled.text.push_str(&value_of(&rest[start + 2..start + length], environment)?);
        filled.secret = true;
        rest = &rest[start + length + 1..];
    }
    filled.text.push_str(rest);
    Ok(filled)
}

fn value_of(inside: &str, environment: &dyn Environment) -> Result<String, (String, &'static str)> {
    if let Some(path) = inside.strip_prefix("file:") {
        let contents = environment.file(path).map_err(|error| {
            (
                format!("the file `{path}` cannot be read: {error}"),
                "`${file:/path}` is filled in with the file's contents",
            )
        })?;
        return Ok(contents
            .strip_suffix('\n')
            .map(|c| c.strip_suffix('\r').unwrap_or(c))
            .unwrap_or(&contents)
            .into());
    }
    let Some(variable) = inside.strip_prefix("env:") else {
        return Err((
            format!("`${{{inside}}}` is neither `${{env:NAME}}` nor `${{file:/path}}`"),
            "write `$${` where `${` itself is meant",
        ));
    };
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    environment.variable(name).or(default.map(str::to_owned)).ok_or_else(|| {
        (
            format!("the environment variable `{name}` is not set"),
            "set it, or give a default: `${env:NAME:-default}`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "USER_NAME").then(|| "alice".to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            if path == "/secret" { Ok("hunter2\n".into()) } else { Err("no such file".into()) }
        }
    }

    fn string(text: &str) -> Result<Text, String> {
        let (tree, _) = Tree::parse("x.toml", text, &[], &Fixed).map_err(|d| d.to_string())?;
        let Value::Table(entries) = tree.root.value else { panic!("no table") };
        entries[0].node.value.scalar().ok_or_else(|| "not a scalar".into())
    }

    fn secret(value: &str, written: &str) -> Result<Text, String> {
        Ok(Text { value: value.into(), written: Some(written.into()) })
    }

    #[test]
    fn variables_defaults_and_files_are_filled_in_and_marked() {
        assert_eq!(string("a = 'x-${env:USER_NAME}-y'"), secret("x-alice-y", "x-${env:USER_NAME}-y"));
        assert_eq!(string("a = '${env:NOT_SET:-no:-ne}'"), secret("no:-ne", "${env:NOT_SET:-no:-ne}"));
        assert_eq!(string("a = '${env:NOT_SET:-}'"), secret("", "${env:NOT_SET:-}"));
        assert_eq!(string("a = '${file:/secret}'"), secret("hunter2", "${file:/secret}"));
    }

    #[test]
    fn what_needs_no_filling_in_is_no_secret() {
        assert_eq!(
            string("a = '$${env:X} $5 {}'"),
            Ok(Text { value: "${env:X} $5 {}".into(), written: None })
        );
    }

    #[test]
    fn what_is_missing_is_said_with_its_place() {
        for (text, sentence) in [
            ("b = 'x'\na = '${env:NOT_SET}'", "the environment variable `NOT_SET` is not set"),
            ("b = 'x'\na = '${file:/nowhere}'", "the file `/nowhere` cannot be read: no such file"),
            ("b = 'x'\na = '${vault:x}'", "`${vault:x}` is neither `${env:NAME}` nor `${file:/path}`"),
            ("b = 'x'\na = '${env:X'", "`${env:X` has no closing brace"),
        ] {
            let error = string(text).unwrap_err();
            assert!(error.contains(sentence) && error.contains("x.toml:2:5"), "{error}");
        }
    }
}
