//! The `[source.deduplicate]` table: which records are the same.

use std::{sync::Arc, time::Duration};

use super::{
    operators::{filled_in, refuse},
    tables::positive,
};
use crate::{
    engine::Deduplication,
    format::{Format, Formats, Keys},
    operator::RecordId,
    settings::Reader,
};

/// Where nothing is said of it, ids may take so many bytes.
const MEMORY: u64 = 64 << 20;

/// The table, if there is one, for records that come in with these formats: that of most topics, those of some, and that of keys.
pub(super) fn read(
    source: &Reader<'_>,
    format: Option<&Format>,
    of_topics: &[(String, Format)],
    keys: Option<Format>,
) -> Option<Arc<Deduplication>> {
    let table = source.table("deduplicate");
    source.node("deduplicate")?;
    let by = table.string("by");
    let by = table.required("by", by, "an expression that gives a record's id: `by = \"headers.id\"`");
    let within = positive(&table, "within");
    let within = within.or_else(|| match table.node("within") {
        Some(_) => None,
        None => table.required::<Duration>(
            "within",
            None,
            "how far apart two records are at most that are the same: `within = \"24 h\"`",
        ),
    });
    let memory = table.size("memory").unwrap_or(MEMORY);
    let is_secret = table.node("by").and_then(filled_in);
    if let Some(secret) = is_secret {
        let sentence = format!("`{}` has a `${{…}}` in an expression", table.path_of("by"));
        table.say(&secret.origin, sentence, Some("write the expression itself".to_owned()));
    }
    let id = match (format, by) {
        (Some(format), Some(by)) if is_secret.is_none() => {
            let keys = Keys { input: keys, output: None };
            let formats = Formats { input: format.clone(), keys, ..Formats::default() };
            RecordId::new(&by, &formats, of_topics).map_err(|error| refuse(&table, &error, None)).ok()
        }
        _ => None,
    };
    table.finish();
    Some(Arc::new(Deduplication::new(id?, within?, memory)))
}
