//! The `[state]` of a gateway's file: the topics of which it says the newest value of a key.

use std::path::PathBuf;

use super::tables::topic_name;
use crate::settings::Reader;

/// Where nothing is said of it, they may take so many bytes of memory.
const MEMORY: u64 = 64 << 20;
const FORMATS: &[(&str, &str)] = &[
    ("json", "application/json"),
    ("string", "text/plain; charset=utf-8"),
    ("bytes", "application/octet-stream"),
];

/// What a gateway says under `/state`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayState {
    /// Where it is kept on this machine; `None` for a folder of the user's own.
    pub folder: Option<PathBuf>,
    /// The most bytes of it in memory, about.
    pub memory: u64,
    /// What can be asked for.
    pub tables: Vec<StateTable>,
}

/// The newest values of a topic's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateTable {
    /// Its table's name: `state.NAME`.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// What its values are, as HTTP says it.
    pub content_type: &'static str,
}

/// The table, with its defaults. `None` where there is none.
pub(super) fn read(root: &Reader<'_>) -> Option<GatewayState> {
    let table = root.table("state");
    root.node("state")?;
    let folder = table.string("folder").map(PathBuf::from);
    let memory = table.size("memory").unwrap_or(MEMORY);
    let tables = table.tables_beside().into_iter().filter_map(|(name, table)| {
        let topic = topic_name(&table, "topic");
        let topic = table.required("topic", topic, "the topic whose newest values are asked for");
        let content_type = table.choice("format", FORMATS).unwrap_or(FORMATS[0].1);
        table.finish();
        Some(StateTable { name: name.to_owned(), topic: topic?, content_type })
    });
    let tables: Vec<StateTable> = tables.collect();
    if tables.is_empty() {
        let help = "such as `[state.orders]`, with the `topic` whose newest values are asked for";
        table.say(
            table.origin(),
            "nothing can be asked for under `/state`".to_owned(),
            Some(help.to_owned()),
        );
    }
    table.finish();
    Some(GatewayState { folder, memory, tables })
}
