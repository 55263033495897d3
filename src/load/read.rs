//! Reads a load script from its file.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    read_model::{self, number},
    script::{LoadModel, Phase, Script, Target, TargetTopics},
    threshold::Threshold,
    values::Values,
};
use crate::{
    config::{self, LoadError, NUMBER_FORMATS, Override, Properties, Property, positive, store, topic_name},
    settings::{Diagnostics, Environment, Node, Origin, ProcessEnvironment, Reader, Value},
};

/// The largest n that is asked for: its factorial has 65 million digits.
const LARGEST: i64 = 10_000_000;
/// The most numbers in a list or a file; 4 bytes each are kept.
const NUMBERS: usize = 1_000_000;
/// The most phases; each has histograms of its own.
const PHASES: usize = 100;

#[derive(Clone, Copy)]
enum Over {
    Kafka,
    Http,
}

/// The names of the scripts that are in the binary.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    config::loads()
}

/// Reads and checks a load script: the file of that name, otherwise the one in `pipelines/` or
/// `pipelines/load/`, otherwise the one built in. Overrides win over `PIPELINE_BOOTSTRAP_SERVERS`, which wins
/// over the file.
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn read_script(name: &str, overrides: &[Override]) -> Result<Script, LoadError> {
    let (file, text) = config::load_script(Path::new(""), name)?;
    parse(&file, &text, overrides, &ProcessEnvironment).map_err(LoadError::Invalid)
}

/// Reads and checks a load script from its text; `file` is its name in messages.
///
/// ```
/// use pipeline::{load, settings::ProcessEnvironment};
///
/// let toml = r#"
///     name = "short"
///     thresholds = ["p99 < 50 ms"]
///     values.uniform = { min = 1, max = 100 }
///     phases.steady = { rate = "100/s", time = "10 s" }
/// "#;
/// let script = load::parse("short.toml", toml, &[], &ProcessEnvironment)?;
/// assert_eq!(script.largest(), 100);
/// # Ok::<(), pipeline::settings::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong, at once, each with its place.
pub fn parse(
    file: &str,
    text: &str,
    overrides: &[Override],
    environment: &dyn Environment,
) -> Result<Script, Diagnostics> {
    let (tree, diagnostics) = config::tree(file, text, overrides, environment)?;
    let diagnostics = RefCell::new(diagnostics);
    let script = script(Reader::root(&tree, "a load script", &diagnostics), file);
    let diagnostics = diagnostics.into_inner();
    match script {
        Some(script) if !diagnostics.has_errors() => Ok(script),
        _ => Err(diagnostics),
    }
}

fn script(root: Reader<'_>, file: &str) -> Option<Script> {
    if !root.has_our_version() {
        return None;
    }
    let name = root.string("name").filter(|name| is_file_name(&root, name));
    let name = root.required("name", name, "the name of its reports, and a label on its metrics");
    let thresholds = thresholds(&root);
    let kafka = config::kafka_properties(&root);
    let table = root.table("target");
    let (target, timeout) = (target(&table), positive(&table, "timeout"));
    table.finish();
    let values = values(&root, file);
    let phases = phases(&root, values.as_ref(), file);
    let limits = root.table("limits");
    let in_flight = limits.integer("in_flight", 1..=1_000_000).and_then(|n| usize::try_from(n).ok());
    limits.finish();
    let report = root.table("report");
    let reports = report.string("folder").map_or_else(|| PathBuf::from("load-reports"), PathBuf::from);
    report.finish();
    let metrics = config::metrics(&root);
    root.finish();
    Some(Script {
        name: name?,
        kafka,
        target: target?,
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        phases: phases?,
        thresholds,
        in_flight: in_flight.unwrap_or(10_000),
        reports,
        metrics,
    })
}

/// The reports are files of that name.
fn is_file_name(root: &Reader<'_>, name: &str) -> bool {
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = name.chars().all(legal) && !name.starts_with('.') && name.len() <= 100;
    if !fits {
        let help = "its reports go by that name: use letters, digits, `-`, `_` and `.`, at most 100";
        say(root, "name", "`name` cannot be the name of a file".to_owned(), help);
    }
    fits
}

fn target(table: &Reader<'_>) -> Option<Target> {
    let over = table.choice("over", &[("kafka", Over::Kafka), ("http", Over::Http)]);
    let (kafka, http) = (topics(table.table("kafka")), http(table.table("http")));
    match over.unwrap_or(Over::Kafka) {
        Over::Kafka => Some(Target::Kafka(kafka)),
        Over::Http => http,
    }
}

/// Both tables are read whichever target is used, so that one file serves for both.
fn topics(table: Reader<'_>) -> TargetTopics {
    let requests = topic_name(&table, "requests").unwrap_or_else(|| "factorials-to-be-calculated".to_owned());
    let topics = TargetTopics {
        request_format: table.choice("request_format", NUMBER_FORMATS).unwrap_or_default(),
        results: topic_name(&table, "results").unwrap_or_else(|| "factorials-result".to_owned()),
        result_format: table.choice("result_format", NUMBER_FORMATS).unwrap_or_default(),
        dead_letters: topic_name(&table, "dead_letters").unwrap_or_else(|| format!("{requests}.dlq")),
        store: store(&table),
        requests,
    };
    table.finish();
    topics
}

fn http(table: Reader<'_>) -> Option<Target> {
    let target = address(&table);
    table.finish();
    target
}

fn address(table: &Reader<'_>) -> Option<Target> {
    let url = table.string("url").unwrap_or_else(|| "http://127.0.0.1:8080/factorial/{n}".to_owned());
    let headers: Properties = table
        .flat("headers")
        .into_iter()
        .map(|flat| (flat.key, Property { secret: flat.text.written.is_some(), value: flat.text.value }))
        .collect();
    let sample = url.replace("{n}", "1").parse::<hyper::Uri>().ok();
    let fits = sample.is_some_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if !fits || !url.contains("{n}") {
        let help =
            "write where to ask, with `{n}` in the number's place: \"http://127.0.0.1:8080/factorial/{n}\"";
        say(table, "url", format!("`{}` is no such address", table.path_of("url")), help);
        return None;
    }
    for (name, value) in &headers {
        let legal = hyper::header::HeaderName::try_from(name).is_ok()
            && hyper::header::HeaderValue::try_from(&value.value).is_ok();
        if !legal {
            let sentence = format!("`{}.{name}` cannot be a header", table.path());
            say(table, "headers", sentence, "a name has no blanks, and a value is one line of ASCII");
        }
    }
    Some(Target::Http { url, headers })
}

/// `uniform`, `zipf`, `list` or `file`; `None` where the table is not there, or is wrong.
fn values(root: &Reader<'_>, file: &str) -> Option<Values> {
    root.node("values")?;
    let table = root.table("values");
    let read = [
        table.node("uniform").map(|node| range(table.inner("uniform", node)).map(Values::Uniform)),
        table.node("zipf").map(|node| zipf(table.inner("zipf", node))),
        table.node("list").map(|node| list(&table, node)),
        table.node("file").map(|_| numbers_of_file(&table, file)),
    ];
    let given = read.iter().flatten().count();
    if given != 1 {
        let sentence = format!("`{}` needs one of `uniform`, `zipf`, `list` and `file`", table.path());
        let help = "such as `values.uniform = { min = 1, max = 1_000 }`";
        table.say(table.origin(), sentence, Some(help.to_owned()));
    }
    table.finish();
    read.into_iter().flatten().next().flatten().filter(|_| given == 1)
}

fn range(table: Reader<'_>) -> Option<std::ops::RangeInclusive<u64>> {
    let range = bounds(&table);
    table.finish();
    range
}

fn bounds(table: &Reader<'_>) -> Option<std::ops::RangeInclusive<u64>> {
    let (min, max) = (table.integer("min", 0..=LARGEST), table.integer("max", 0..=LARGEST));
    let min = table.required("min", min, "the smallest number that is asked for");
    let max = table.required("max", max, "the largest number that is asked for");
    let (min, max) = (min?.unsigned_abs(), max?.unsigned_abs());
    if min > max {
        table.say(table.origin(), format!("`{}`: `min` is above `max`", table.path()), None);
        return None;
    }
    Some(min..=max)
}

fn zipf(table: Reader<'_>) -> Option<Values> {
    let range = bounds(&table);
    let exponent = number(&table, "exponent", 0.01..=20.0);
    table.finish();
    Some(Values::Zipf { range: range?, exponent: exponent.unwrap_or(1.0) })
}

fn list(table: &Reader<'_>, node: &Node) -> Option<Values> {
    let number = |node: &Node| match node.value {
        Value::Integer(n) if (0..=LARGEST).contains(&n) => u32::try_from(n).ok(),
        _ => None,
    };
    let numbers = match &node.value {
        Value::Array(nodes) => nodes.iter().map(number).collect::<Option<Vec<u32>>>(),
        _ => None,
    };
    if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
        return Some(Values::List(numbers.into()));
    }
    let sentence = format!("`{}.list` must be an array of integers, 0 to {LARGEST}", table.path());
    table.say(&node.origin, sentence, Some("such as `list = [10, 20, 30]`".to_owned()));
    None
}

/// Reads one number a line. A relative path is looked for beside the script, then where the command was
/// started.
fn numbers_of_file(table: &Reader<'_>, script: &str) -> Option<Values> {
    let path = table.string("file")?;
    let wrong = |sentence: String, help: &str| {
        say(table, "file", sentence, help);
        None
    };
    // Beside the script first, as that may be run from anywhere.
    let beside = Path::new(script).parent().map(|folder| folder.join(&path));
    let found = beside.filter(|beside| beside.is_file()).unwrap_or_else(|| PathBuf::from(&path));
    let text = match fs::read_to_string(&found) {
        Ok(text) => text,
        Err(error) => return wrong(format!("{path} cannot be read: {error}"), "one number a line"),
    };
    let mut numbers = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.trim().replace('_', "").parse::<u32>() {
            Ok(n) if i64::from(n) <= LARGEST => numbers.push(n),
            _ => {
                let sentence = format!("{path}, line {}: not a number from 0 to {LARGEST}", index + 1);
                return wrong(sentence, "one number a line");
            }
        }
        if numbers.len() > NUMBERS {
            return wrong(format!("{path} has more than {NUMBERS} numbers"), "leave some out");
        }
    }
    if numbers.is_empty() {
        return wrong(format!("{path} has no numbers"), "one number a line");
    }
    Some(Values::List(numbers.into()))
}

fn phases(root: &Reader<'_>, common: Option<&Values>, file: &str) -> Option<Vec<Phase>> {
    let table = root.table("phases");
    let tables = table.tables();
    if tables.is_empty() {
        let help = "such as `[phases.steady]` with `rate = 100` and `time = \"10 s\"`";
        root.say(root.origin(), "there are no phases".to_owned(), Some(help.to_owned()));
    }
    if tables.len() > PHASES {
        table.say(table.origin(), format!("there are more than {PHASES} phases"), None);
    }
    let expected = tables.len();
    let phases: Vec<Phase> =
        tables.into_iter().filter_map(|(name, table)| phase(name, table, common, file)).collect();
    (phases.len() == expected && expected > 0).then_some(phases)
}

fn phase(name: &str, table: Reader<'_>, common: Option<&Values>, file: &str) -> Option<Phase> {
    let own = values(&table, file);
    let values = if table.node("values").is_some() { own } else { common.cloned() };
    let values = match values {
        None if table.node("values").is_none() && common.is_none() => {
            let sentence = format!("`{}` does not set which numbers to request", table.path());
            let help = "such as `values.uniform = { min = 1, max = 1_000 }`, here or for all phases";
            table.say(table.origin(), sentence, Some(help.to_owned()));
            None
        }
        values => values,
    };
    let time = positive(&table, "time");
    let count = table.integer("count", 1..=i64::MAX).map(i64::unsigned_abs);
    let model = read_model::read(&table, time, count);
    let measured = table.boolean("measured").unwrap_or(true);
    let until_saturated = table.boolean("until_saturated").unwrap_or(false);
    if until_saturated && !matches!(&model, Some(LoadModel::Open(profile)) if profile.rises()) {
        let sentence = format!("`{}.until_saturated` needs a rate that goes up", table.path());
        say(&table, "until_saturated", sentence, "use `ramp` or `steps`");
    }
    table.finish();
    Some(Phase {
        name: name.to_owned(),
        model: model?,
        time,
        count,
        values: values?,
        measured,
        until_saturated,
    })
}

fn thresholds(root: &Reader<'_>) -> Vec<Threshold> {
    let Some(node) = root.node("thresholds") else { return Vec::new() };
    let nodes = match &node.value {
        Value::Array(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    nodes.iter().filter_map(|node| threshold(root, node)).collect()
}

fn threshold(root: &Reader<'_>, node: &Node) -> Option<Threshold> {
    let Value::String(text) = &node.value else {
        let help = "such as `thresholds = [\"p99 < 50 ms\", \"errors < 0.1 %\"]`";
        root.say(
            &node.origin,
            format!("a threshold is a string, not {}", node.value.kind()),
            Some(help.into()),
        );
        return None;
    };
    let parsed = text.value.parse::<Threshold>();
    parsed
        .inspect_err(|error| {
            let origin = match &node.origin {
                // Points into the quoted text, where it has no escapes.
                Origin::File(span) if span.len() == text.value.len() + 2 => {
                    let start = span.start + 1;
                    Origin::File(start + error.at.start..start + error.at.end)
                }
                origin => origin.clone(),
            };
            root.say(&origin, error.sentence.clone(), Some(error.help.clone()));
        })
        .ok()
}

fn say(table: &Reader<'_>, key: &str, sentence: String, help: &str) {
    let origin = table.node(key).map_or(table.origin(), |node| &node.origin);
    table.say(origin, sentence, Some(help.to_owned()));
}
