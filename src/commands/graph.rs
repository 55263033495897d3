//! `pipeline graph`.

use clap::{Args, ValueEnum};

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::{Guarantee, Order, Pipeline, RetryTopic, SinkRoute, Source, Step, TopicSettings},
    engine::Deduplication,
    format::Format,
    operator::{TableKind, TableOf, registry},
};

/// Draws a pipeline: its topics and operators
#[derive(Args, Debug)]
pub struct Graph {
    /// A file as given, in pipelines/, or built in, such as factorial.toml
    #[arg(value_name = "FILE")]
    file: String,
    /// The output format
    #[arg(long, value_enum, default_value_t = Drawing::Text)]
    format: Drawing,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Drawing {
    /// For a terminal
    Text,
    /// For Graphviz: `pipeline graph FILE --format dot | dot -Tsvg`
    Dot,
    /// For Markdown on code hosts, in a block that begins with ```mermaid
    Mermaid,
}

impl Graph {
    pub fn run(self) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.file, &self.overrides)?;
        stdout(&match self.format {
            Drawing::Text => text(&pipeline),
            Drawing::Dot => dot(&pipeline),
            Drawing::Mermaid => mermaid(&pipeline),
        })
    }
}

fn promise(pipeline: &Pipeline) -> String {
    let guarantee = match pipeline.guarantee {
        Guarantee::AtLeastOnce => "at-least-once",
        Guarantee::ExactlyOnce => "exactly-once",
    };
    let order = match pipeline.order {
        Order::Partition => "in the order of each partition",
        Order::Key => "in the order of each key",
        Order::None => "in no order",
    };
    format!("{guarantee}, {order}")
}

fn summary(step: &Step) -> String {
    let factory = registry().iter().find(|factory| factory.name == step.kind);
    let summary = factory.map_or("", |factory| factory.summary);
    if step.kind == step.name { summary.to_owned() } else { format!("{}: {summary}", step.kind) }
}

/// How much is shown of a setting, in characters.
const SHOWN: usize = 72;

/// An operator's settings, and of long ones the beginning.
fn shortened(step: &Step) -> impl Iterator<Item = String> {
    step.settings.iter().map(|setting| match setting.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &setting[..end]),
        None => setting.clone(),
    })
}

fn partitions(topic: &TopicSettings) -> String {
    match topic.partitions {
        Some(1) => ", 1 partition if it has to be created".to_owned(),
        Some(n) => format!(", {n} partitions if it has to be created"),
        None => String::new(),
    }
}

/// How what is read is written: values, those of topics with another format, and keys.
fn formats(source: &Source) -> String {
    let others = source.formats.iter().map(|(topic, format)| format!(", {topic} {}", format.name()));
    source.format.name().to_owned() + &others.collect::<String>() + &keys(&source.key_format)
}

fn keys(format: &Option<Format>) -> String {
    format.as_ref().map(|format| format!(", keys {}", format.name())).unwrap_or_default()
}

/// The names of a route's topics.
fn topics(route: &SinkRoute) -> String {
    route.topics.iter().map(|(_, topic)| topic.topic.as_str()).collect::<Vec<_>>().join(", ")
}

/// Which results a route takes.
fn condition(route: &SinkRoute) -> String {
    let when = route.when.iter().map(|when| format!(", when {when}"));
    when.chain(route.by.iter().map(|by| format!(", by {by}"))).collect()
}

/// What the source leaves out.
fn comes_again(once: &Deduplication) -> String {
    let within = humantime::format_duration(once.within).to_string().replace(' ', "");
    format!("what comes again within {within}, by {}", once.id.by())
}

fn text(pipeline: &Pipeline) -> String {
    let Pipeline { source, sink, steps, dead_letters, .. } = pipeline;
    let names = steps.iter().map(|step| step.name.len() + 2);
    let sources = source.names().join(", ");
    let widest = names.chain([sources.len(), sink.topic.topic.len()]).max().unwrap_or(0) + 3;
    let mut lines = vec![
        format!("{}: {}", pipeline.name, promise(pipeline)),
        String::new(),
        format!(
            "{:widest$}source, {}, group {}{}",
            sources,
            formats(source),
            source.group,
            partitions(source.topic())
        ),
    ];
    let once = source.deduplication.iter();
    lines.extend(once.map(|once| format!("{:widest$}without {}", "    │", comes_again(once))));
    for step in steps {
        lines.extend([
            "    │".into(),
            "    ▼".into(),
            format!("{:widest$}{}", format!("  {}", step.name), summary(step)),
        ]);
        lines.extend(shortened(step).map(|setting| format!("{:widest$}{setting}", "    │")));
        let table = step.operator.table();
        lines.extend(
            table.map(|table| format!("    │◀── {}: {}", table.topic(&sink.topic.topic), looked_up(table))),
        );
        let changelog = pipeline.changelog().filter(|_| step.operator.remembers());
        lines.extend(changelog.map(|changelog| format!("    ├──▶ {changelog}: what it remembers")));
    }
    lines.push(format!("    ├──▶ {dead_letters}: what cannot be computed"));
    let retries = pipeline.retries.topics.iter();
    lines.extend(retries.map(|retry| format!("    ├──▶ {}: {}", retry.topic, wait(pipeline, retry))));
    lines.extend(
        pipeline
            .routes
            .iter()
            .map(|route| format!("    ├──▶ {}: {}{}", topics(route), route.format.name(), condition(route))),
    );
    lines.extend([
        "    ▼".into(),
        format!(
            "{:widest$}sink, {}{}",
            sink.topic.topic,
            sink.format.name().to_owned() + &keys(&sink.key_format),
            partitions(&sink.topic)
        ),
        String::new(),
    ]);
    lines.join("\n")
}

/// How long records wait in a retry topic.
fn wait(pipeline: &Pipeline, retry: &RetryTopic) -> String {
    let behind = if pipeline.order == Order::Key { ", with those of its key behind it" } else { "" };
    format!("tried again after {}{behind}", humantime::format_duration(retry.after))
}

/// A box.
struct Node {
    /// Its name, and below it what its table says.
    lines: Vec<String>,
    is_topic: bool,
}

/// An arrow between two boxes.
struct Edge<'a> {
    from: usize,
    to: usize,
    /// What goes there, where that is not everything.
    label: &'a str,
    dead_letters: bool,
}

/// A box for each topic and operator, and the arrows between them; every operator can lead to the dead
/// letters.
fn boxes(pipeline: &Pipeline) -> (Vec<Node>, Vec<Edge<'_>>) {
    let topic = |name: &String| Node { lines: vec![name.clone()], is_topic: true };
    let mut nodes: Vec<Node> = pipeline.source.topics.iter().map(|source| topic(&source.topic)).collect();
    let sources = nodes.len();
    let operator = |step: &Step| {
        let lines = std::iter::once(step.name.clone()).chain(shortened(step)).collect();
        Node { lines, is_topic: false }
    };
    nodes.extend(pipeline.steps.iter().map(operator));
    let sink = nodes.len();
    let results = pipeline.result_topics();
    nodes.extend(results.iter().map(|result| topic(&result.topic)));
    let dead_letters = nodes.len();
    nodes.push(topic(&pipeline.dead_letters));
    let first = (0..sources).map(|from| Edge { from, to: sources, label: "", dead_letters: false });
    let on = (sources..sink).map(|from| Edge { from, to: from + 1, label: "", dead_letters: false });
    let mut edges: Vec<Edge<'_>> = first.chain(on).collect();
    for route in &pipeline.routes {
        for (name, topic) in &route.topics {
            let label = if name.is_empty() { route.when.as_deref().unwrap_or_default() } else { name };
            let Some(to) = results.iter().position(|result| result.topic == topic.topic) else { continue };
            // Without an operator, the sources are what leads there.
            let from = if sink == sources { 0..sources } else { sink - 1..sink };
            edges.extend(from.map(|from| Edge { from, to: sink + to, label, dead_letters: false }));
        }
    }
    let lead_to_letters = if sink == sources { 0..sources } else { sources..sink };
    edges.extend(lead_to_letters.map(|from| Edge {
        from,
        to: dead_letters,
        label: "dead letters",
        dead_letters: true,
    }));
    for retry in &pipeline.retries.topics {
        let place = nodes.len();
        nodes.push(Node { lines: vec![retry.topic.clone(), wait(pipeline, retry)], is_topic: true });
        let to = (sources..sink).map(|from| Edge { from, to: place, label: "later", dead_letters: true });
        edges.extend(to.chain([Edge { from: place, to: sources, label: "", dead_letters: false }]));
    }
    for (step, from) in pipeline.steps.iter().zip(sources..) {
        let place = nodes.len();
        if let Some(table) = step.operator.table() {
            let topic = table.topic(&pipeline.sink.topic.topic).to_owned();
            nodes.push(Node { lines: vec![topic], is_topic: true });
            edges.push(Edge { from: place, to: from, label: "looked up", dead_letters: false });
        } else if let Some(changelog) = pipeline.changelog().filter(|_| step.operator.remembers()) {
            nodes.push(Node { lines: vec![changelog.to_owned()], is_topic: true });
            edges.push(Edge { from, to: place, label: "remembers", dead_letters: true });
        }
    }
    (nodes, edges)
}

/// What is taken of a table's topic.
fn looked_up(table: &TableOf) -> &'static str {
    match table.kind() {
        TableKind::Newest(_) => "its newest values",
        TableKind::Own(_) => "the newest values of the same partition",
        TableKind::Finished(_) => "what is finished is not computed again",
    }
}

fn dot(pipeline: &Pipeline) -> String {
    let (nodes, edges) = boxes(pipeline);
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec![
        format!("digraph {} {{", quoted(&pipeline.name)),
        format!("  label={};", quoted(&format!("{}: {}", pipeline.name, promise(pipeline)))),
    ];
    for (index, node) in nodes.iter().enumerate() {
        let shape = if node.is_topic { "cylinder" } else { "box" };
        // The escape of a line's end is dot's own.
        let label = quoted(&node.lines.join("\n")).replace('\n', "\\n");
        lines.push(format!("  n{index} [shape={shape}, label={label}];"));
    }
    for Edge { from, to, label, dead_letters } in edges {
        let dashed = if dead_letters { "style=dashed, " } else { "" };
        let style =
            if label.is_empty() { String::new() } else { format!(" [{dashed}label={}]", quoted(label)) };
        lines.push(format!("  n{from} -> n{to}{style};"));
    }
    lines.push("}\n".into());
    lines.join("\n")
}

fn mermaid(pipeline: &Pipeline) -> String {
    let (nodes, edges) = boxes(pipeline);
    let escaped = |text: &str| {
        let signs = [("&", "#amp;"), ("\"", "#quot;"), ("<", "#lt;"), (">", "#gt;")];
        signs.iter().fold(text.replace('#', "#35;"), |text, (sign, code)| text.replace(sign, code))
    };
    let mut lines = vec!["flowchart LR".to_owned()];
    for (index, node) in nodes.iter().enumerate() {
        let (open, close) = if node.is_topic { ("[(", ")]") } else { ("[", "]") };
        let label = node.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>");
        lines.push(format!("  n{index}{open}\"{label}\"{close}"));
    }
    for Edge { from, to, label, dead_letters } in edges {
        let arrow = if dead_letters { "-.->" } else { "-->" };
        let label = if label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(label)) };
        lines.push(format!("  n{from} {arrow}{label} n{to}"));
    }
    lines.push(String::new());
    lines.join("\n")
}
