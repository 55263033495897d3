//! The `[[routes]]` tables, and where results go without one.

use super::{
    formats::{self, Side},
    operators::refuse,
    pipeline::{SinkRoute, TopicSettings},
    tables::{expression, legal_topic, topic, topic_settings},
};
use crate::{
    format::{Format, Formats},
    operator::{Route as Branch, Router},
    record::ResultTopic,
    settings::{Flat, Node, Reader, Value},
};

/// The most topics of a pipeline.
const MOST: usize = 1_000;

/// The `[[routes]]` tables of a pipeline whose results come with the formats of the input, and whose sink's own topic has those of
/// the output. `None` for the router where every result goes to that topic as it is.
pub(super) fn read(root: &Reader<'_>, sink: &str, formats: Formats) -> (Vec<SinkRoute>, Option<Router>) {
    let (mut routes, mut branches) = (Vec::new(), Vec::new());
    let mut known = vec![sink.to_owned()];
    for table in root.array_of_tables("routes") {
        let route = route(&table, &formats.output);
        if let Some(route) = &route {
            let topics =
                route.topics.iter().map(|(name, topic)| (name.clone(), place(&mut known, &topic.topic)));
            let branch = Branch::new(
                route.when.as_deref(),
                route.by.as_deref(),
                topics.collect(),
                route.format.clone(),
            );
            branches.extend(branch.map_err(|error| refuse(&table, &error, None)).ok());
        }
        routes.extend(route);
        table.finish();
    }
    if known.len() > MOST {
        let sentence = format!("the routes have {} topics, and {MOST} are the most", known.len());
        root.say(root.table("routes").origin(), sentence, None);
    }
    let is_needed = !branches.is_empty() || formats.input != formats.output || formats.keys.differ();
    (routes, is_needed.then(|| Router::new(branches, formats)))
}

/// The place of a topic among the results', which is new where it was not known.
fn place(known: &mut Vec<String>, topic: &str) -> ResultTopic {
    let at = known.iter().position(|name| name == topic).unwrap_or_else(|| {
        known.push(topic.to_owned());
        known.len() - 1
    });
    ResultTopic(u16::try_from(at).unwrap_or(u16::MAX - 1))
}

fn route(table: &Reader<'_>, otherwise: &Format) -> Option<SinkRoute> {
    let (when, by) = (expression(table, "when")?, expression(table, "by")?);
    let format = match (formats::read(table, Side::Route), table.node("format")) {
        (_, None) => otherwise.clone(),
        (format, Some(_)) => format?,
    };
    let topics = topics(table, by.is_some())?;
    Some(SinkRoute { when, by, topics, format })
}

/// The topics of a route: `topic`, or `topics` and `by`.
fn topics(table: &Reader<'_>, has_by: bool) -> Option<Vec<(String, TopicSettings)>> {
    match (table.node("topic"), table.node("topics")) {
        (Some(_), Some(node)) => {
            let sentence = format!("`{}` has both `topic` and `topics`", table.path());
            table.say(&node.origin, sentence, Some("write one of them".to_owned()));
            None
        }
        (Some(_), None) if has_by => {
            let sentence = format!("`{}` chooses among topics, and there is one", table.path_of("by"));
            table.say(
                table.origin(),
                sentence,
                Some("write `topics.de = \"orders-de\"` for each of them".to_owned()),
            );
            None
        }
        (None, Some(node)) if !has_by => {
            let sentence =
                format!("`{}` needs an expression that chooses one of them", table.path_of("topics"));
            let help =
                "write `by = \"value.country\"`; where it gives none of the names, the route takes nothing";
            table.say(&node.origin, sentence, Some(help.to_owned()));
            None
        }
        (None, Some(node)) => named(table, node),
        _ => topic(table, "the topic that these results go to").map(|topic| vec![(String::new(), topic)]),
    }
}

fn named(table: &Reader<'_>, node: &Node) -> Option<Vec<(String, TopicSettings)>> {
    let named = table.flat("topics");
    if named.is_empty() {
        let sentence = format!("`{}` names no topic", table.path_of("topics"));
        table.say(
            &node.origin,
            sentence,
            Some("write `topics.de = \"orders-de\"` for each of them".to_owned()),
        );
        return None;
    }
    if let Value::Table(entries) = &node.value
        && let Some(entry) =
            entries.iter().find(|e| !matches!(e.node.value, Value::String(_) | Value::Table(_)))
    {
        let sentence =
            format!("`{}.{}` must be a topic's name in quotes", table.path_of("topics"), entry.key);
        table.say(&entry.node.origin, sentence, None);
        return None;
    }
    let topic = |Flat { key, text, origin, .. }| {
        let topic = legal_topic(table, &format!("topics.{key}"), text.value, &origin)?;
        Some((key, topic_settings(table, topic)))
    };
    named.into_iter().map(topic).collect()
}
