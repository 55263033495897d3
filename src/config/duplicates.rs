//! The `[source.deduplicate]` table: which records are the same.

use std::sync::Arc;

use super::{
    operators::refuse,
    tables::{expression, positive},
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
    let by = expression(&table, "by").flatten();
    let by = table.required("by", by, "an expression that gives a record's id: `by = \"headers.id\"`");
    let within = table.required(
        "within",
        positive(&table, "within"),
        "how far apart two records are at most that are the same: `within = \"24 h\"`",
    );
    let memory = table.size("memory").unwrap_or(MEMORY);
    let id = match (format, by) {
        (Some(format), Some(by)) => {
            let keys = Keys { input: keys, output: None };
            let formats = Formats { input: format.clone(), keys, ..Formats::default() };
            RecordId::new(&by, &formats, of_topics).map_err(|error| refuse(&table, &error, None)).ok()
        }
        _ => None,
    };
    table.finish();
    Some(Arc::new(Deduplication::new(id?, within?, memory)))
}
