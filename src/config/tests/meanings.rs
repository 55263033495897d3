//! `docs/settings.md` says what is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{
    super::{
        document::settings_document,
        meanings::tables,
        setting::{Otherwise, Setting},
    },
    *,
};
use crate::operator::{FAILURES, registry};

type Keys = BTreeMap<String, BTreeSet<String>>;

#[test]
fn settings_document_agrees_with_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, settings_document()).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    assert!(committed == settings_document(), "make it anew: UPDATE=1 cargo test settings_document");
}

/// The keys of each table, as the document has them. A table within another one is a key of it.
fn documented() -> Keys {
    let mut keys = Keys::new();
    let mut add = |table: &str, key: &str| {
        keys.entry(table.to_owned()).or_default().insert(key.to_owned());
    };
    for table in tables() {
        for setting in table.settings {
            add(table.path, setting.key);
        }
        let (outer, inner) = match table.path.split_once('.') {
            Some(("operators", _)) => ("", "operators"),
            Some(split) => split,
            None => ("", table.path),
        };
        if !inner.is_empty() {
            add(outer, inner);
        }
    }
    let of_failures = keys.remove("retry.NAME").unwrap();
    keys.get_mut("retry").unwrap().remove("NAME");
    for (failure, _) in FAILURES {
        keys.get_mut("retry").unwrap().insert((*failure).to_owned());
        keys.insert(format!("retry.{failure}"), of_failures.clone());
    }
    let of_each = keys.remove("operators.NAME").unwrap();
    for factory in registry() {
        let path = format!("operators.{}", factory.name);
        // The list of operators has their keys, whether or not a table of their own says what each means.
        let listed = || (factory.settings)().iter().map(|key| (*key).to_owned()).collect();
        keys.entry(path).or_insert_with(listed).extend(of_each.clone());
    }
    keys
}

/// The keys of each table, as its reader names them where there is one that it does not know.
fn read(tables: impl Iterator<Item = String>) -> Keys {
    let text: String = tables
        .map(|table| match table.as_str() {
            "" => "'?' = 1\n".to_owned(),
            "test" | "routes" => format!("[[{table}]]\n'?' = 1\n"),
            "test.input" => "[[test]]\ninput = { '?' = 1 }\n".to_owned(),
            table => format!("[{table}]\n'?' = 1\n"),
        })
        .collect();
    let wrong = parsed(&text, &[]).unwrap_err();
    let of_one = |diagnostic: &Diagnostic| {
        let table = diagnostic.sentence.strip_prefix("`?` is not a setting of ")?;
        let table = table.strip_prefix("`[").map_or("", |table| table.trim_end_matches("]`"));
        let known = diagnostic.help.as_deref()?.strip_prefix("its settings are ")?;
        let known = known.split(", ").map(|key| key.trim_matches('`').to_owned());
        Some((table.to_owned(), known.collect()))
    };
    wrong.iter().filter_map(of_one).collect()
}

#[test]
fn what_is_documented_is_read_and_what_is_read_is_documented() {
    let documented = documented();
    let read = read(documented.keys().cloned());
    for (table, keys) in &documented {
        assert_eq!(
            read.get(table),
            Some(keys),
            "`[{table}]`: what is read, and what src/config/meanings.rs has"
        );
    }
}

/// The path of a table, and each of its settings.
fn settings() -> impl Iterator<Item = (&'static str, &'static Setting)> {
    tables().flat_map(|table| table.settings.iter().map(|setting| (table.path, setting)))
}

fn path(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

#[test]
fn the_words_that_a_setting_may_be_are_those_in_its_meaning() {
    let mut found = 0;
    for (table, setting) in settings() {
        let path = path(table, setting.key);
        let Err(wrong) = parsed(GOOD, &[&format!("{path}=?")]) else { continue };
        let sentence = format!("`{path}` cannot be \"?\"");
        let about = |diagnostic: &&Diagnostic| diagnostic.sentence == sentence;
        let help = wrong.iter().find(about).and_then(|diagnostic| diagnostic.help.as_deref());
        let Some(words) = help.and_then(|help| help.strip_prefix("one of ")) else { continue };
        let words: BTreeSet<&str> = words.split(", ").map(|word| word.trim_matches('`')).collect();
        let said = setting.meaning.split("`\"").skip(1).filter_map(|rest| Some(rest.split_once("\"`")?.0));
        assert_eq!(said.collect::<BTreeSet<_>>(), words, "{path}");
        found += 1;
    }
    assert_eq!(found, 9, "guarantee, order, large, four formats and two subjects");
}

#[test]
fn what_must_be_written_is_missed() {
    let operators = registry().iter().map(|factory| format!("[operators.{}]\n", factory.name));
    let text =
        format!("[[test]]\noutput = 'a'\n[source.deduplicate]\n[control]\n{}", operators.collect::<String>());
    let mut wrong: Vec<Diagnostic> = parsed(&text, &[]).unwrap_err().iter().cloned().collect();
    // The first one alone is said of an operator.
    for one in ["[operators.join]\ntopic = 't'", "[operators.deduplicate]\nby = 'key'"] {
        wrong.extend(parsed(one, &[]).unwrap_err().iter().cloned());
    }
    let missed = |Diagnostic { sentence, .. }: &Diagnostic| {
        // Of an operator's settings, which serde reads.
        if let Some((table, key)) = sentence.split_once("`: `") {
            let key = key.strip_suffix("` is missing")?;
            return Some((table.trim_start_matches('`').to_owned(), key.to_owned()));
        }
        let (key, place) = sentence.split_once("` is missing")?;
        let table = place.strip_prefix(" in `[").map_or("", |table| table.trim_end_matches("]`"));
        Some((table.to_owned(), key.trim_start_matches('`').to_owned()))
    };
    let missed: BTreeSet<(String, String)> = wrong.iter().filter_map(missed).collect();
    let needed = settings().filter(|(_, setting)| setting.otherwise == Otherwise::Refused);
    let mut needed: BTreeSet<(String, String)> =
        needed.map(|(table, setting)| (table.to_owned(), setting.key.to_owned())).collect();
    // `topics` or `pattern` would do too.
    needed.insert(("source".to_owned(), "topic".to_owned()));
    assert_eq!(missed, needed);
}

const COMPONENT: &str =
    concat!("operators.wasm.component=\"", env!("CARGO_MANIFEST_DIR"), "/examples/wasm/score-rust.wasm\"");

#[test]
fn a_file_that_writes_a_default_is_the_file_without_it() {
    let shown = |sets: &[&str]| {
        let mut pipeline = good("", sets);
        // Whether the address was written is what decides if another one will do.
        pipeline.metrics.explicit = false;
        let largest: Vec<Option<u64>> =
            pipeline.steps.iter().map(|step| step.operator.largest_output()).collect();
        format!("{pipeline:?} {largest:?}")
    };
    for (table, setting) in settings() {
        let Otherwise::Value(value) = setting.otherwise else { continue };
        let set = format!("{}={value}", path(table, setting.key));
        // What an operator cannot be without.
        let with: &[&str] = match table {
            "operators.aggregate" | "state" => {
                &["operators.aggregate.results.n=count", "operators.aggregate.window=1 h", "sink.format=json"]
            }
            "operators.join" => {
                &["operators.join.topic=t", "operators.join.into=f", "source.format=json", "sink.format=json"]
            }
            "operators.command" => &["operators.command.run=[\"cat\"]"],
            "operators.http" => &["operators.http.url=http://127.0.0.1"],
            "operators.timestamp" => &["operators.timestamp.to=value"],
            "operators.deduplicate" => &["operators.deduplicate.by=key", "operators.deduplicate.within=1 h"],
            "control" => &["control.token=long-enough-a-token"],
            "source.deduplicate" => &["source.deduplicate.by=key", "source.deduplicate.within=1 h"],
            // Without the feature it cannot be built.
            "operators.wasm" if !cfg!(feature = "wasm") => continue,
            "operators.wasm" => &[COMPONENT],
            _ => &[],
        };
        assert_eq!(shown(&[with, &[&set]].concat()), shown(with), "{set}");
    }
}
