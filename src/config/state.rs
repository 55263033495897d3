//! The `[state]` table: where operators remember earlier records, and find their tables.

use std::path::PathBuf;

use super::{
    pipeline::{State, Step},
    tables::{legal_topic, topic_name},
};
use crate::settings::Reader;

/// Where nothing is said of it, the database may have so many bytes in memory.
const MEMORY: u64 = 64 << 20;
/// Less is no database.
const LEAST_MEMORY: u64 = 8 << 20;

/// The table, with its defaults, where one of the steps remembers something.
pub(super) fn read(root: &Reader<'_>, steps: &[Step], group: Option<&str>) -> Option<State> {
    let table = root.table("state");
    let changelog = topic_name(&table, "changelog");
    let folder = table.string("folder").map(PathBuf::from);
    let standby = table.boolean("standby").unwrap_or(false);
    let memory = table.size("memory").unwrap_or(MEMORY);
    if memory < LEAST_MEMORY {
        let sentence = format!("`state.memory` has {memory} bytes, which is too little for a database");
        let origin = table.node("memory").map_or(table.origin(), |node| &node.origin);
        table.say(origin, sentence, Some("at least 8 MiB".to_owned()));
    }
    let remembers = steps.iter().any(|step| step.operator.remembers());
    if !remembers && steps.iter().all(|step| step.operator.table().is_none()) {
        if root.node("state").is_some() {
            let sentence = "no operator remembers anything that `[state]` could be for".to_owned();
            table.say(
                table.origin(),
                sentence,
                Some("take it out, or add an operator such as `aggregate`".to_owned()),
            );
        }
        table.finish();
        return None;
    }
    let changelog = match changelog {
        _ if !remembers => None,
        Some(changelog) => Some(changelog),
        None => legal_topic(&table, "changelog", format!("{}-changelog", group?), table.origin()),
    };
    table.finish();
    Some(State { folder, memory, changelog, standby })
}
