//! `docs/settings.md`, made from the settings' meanings.

use std::fmt::Write as _;

use super::{
    kafka::OWNED,
    meanings::tables,
    setting::{
        Otherwise::{Refused, Value, Words},
        Setting,
    },
};
use crate::operator::{FAILURES, registry};

const INTRODUCTION: &str = "\
# Settings of a pipeline

[`pipelines/factorial.toml`](../pipelines/factorial.toml) is the whole worker. `pipeline check FILE` reports
everything that is wrong with such a file at once, `pipeline graph FILE` draws it, and `pipeline test FILE` runs its
test cases.

Every setting can be overridden: `pipeline run factorial.toml --set guarantee=exactly-once --set limits.memory=\"1
GiB\"`.

A time is written with its unit (`\"100 ms\"`, `\"10 s\"`, `\"5 min\"`), a size too (`\"256 MiB\"`), or as a number of
bytes. Secrets do not belong in the file: `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` are filled in,
in every string but expressions, and not printed.

Results keep the key, headers and timestamp of their record. (So a request with an old timestamp has an old result,
which the topic's `retention.ms` may delete at once.) With `order = \"partition\"` results without a key go to the
result partition with their record's partition number, modulo the number of partitions, so that they stay in order.
";

const ORIGIN: &str = "
<!-- Made from `src/config/meanings.rs` (`UPDATE=1 cargo test settings_document`); a test holds it against what is read. -->
";

/// `docs/settings.md`.
pub fn settings_document() -> String {
    let mut text = String::from(INTRODUCTION);
    for table in tables() {
        // Writing to memory does not fail.
        let _ = write!(text, "\n## {}\n", table.title);
        if !table.about.is_empty() {
            let _ = write!(text, "\n{}\n", table.about);
        }
        if !table.settings.is_empty() {
            text.push_str("\n| setting | default | meaning |\n|---|---|---|\n");
        }
        for Setting { key, otherwise, meaning } in table.settings {
            let _ = match otherwise {
                Refused => writeln!(text, "| `{key}` | must be written | {meaning} |"),
                Value(value) => writeln!(text, "| `{key}` | `{value}` | {meaning} |"),
                Words(words) => writeln!(text, "| `{key}` | {words} | {meaning} |"),
            };
        }
        match table.path {
            "operators.NAME" => text.push_str(&operators()),
            "retry.NAME" => text.push_str(&failures()),
            "kafka" => text.push_str(&owned()),
            _ => {}
        }
    }
    text.push_str(ORIGIN);
    text
}

fn operators() -> String {
    let rows = registry().iter().map(|factory| {
        let keys: Vec<String> = (factory.settings)().iter().map(|key| format!("`{key}`")).collect();
        let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
        format!("| `{}` | {} | {keys} |\n", factory.name, factory.summary)
    });
    format!("\n| operator | what it does | its settings |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn failures() -> String {
    let rows = FAILURES.iter().map(|(name, meaning)| format!("| `{name}` | {meaning} |\n"));
    format!("\n| failure | what it is |\n|---|---|\n{}", rows.collect::<String>())
}

fn owned() -> String {
    let rows = OWNED.iter().map(|(property, instead)| format!("| `{property}` | {instead} |\n"));
    format!("\n| cannot be written | because |\n|---|---|\n{}", rows.collect::<String>())
}
