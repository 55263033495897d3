//! Runs one `[[test]]` of a file.

use std::{collections::HashSet, fmt};

use bytes::Bytes;
use serde_json::Value;

use super::{TestDriver, json, rows};
use crate::{
    config::{Pipeline, Source, TestCase, TestRecord},
    format::Format,
    operator::{OperatorError, Output},
    record::{Headers, Offset, Record, TopicPartition},
};

/// A difference between a case and its outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What is compared, such as `result 2` or `result 2's key`.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What came out.
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { what, expected, actual } = self;
        write!(f, "{what}\n  expected  {expected}\n  but was   {actual}")
    }
}

/// Runs one case. Of a result's topic, key and headers, only what the case names is compared; of dead letters, the
/// classes.
///
/// JSON is compared as JSON: blanks and the order of fields do not count. Values are text in the file
/// whatever the topics' formats: for `bincode` they are converted, `30` to a request and `5;120` from a
/// result; for formats with a schema from and to JSON.
///
/// # Errors
/// A fatal error of an operator.
pub fn run_case(pipeline: &Pipeline, case: &TestCase) -> Result<Vec<Difference>, OperatorError> {
    rows::give(pipeline, case);
    let mut driver = TestDriver::new(pipeline);
    let (mut results, mut came) = (Vec::new(), HashSet::new());
    for record in &case.input {
        let made = input(record, &pipeline.source);
        if has_come(&pipeline.source, record.topic.as_deref(), &made, &mut came) {
            continue;
        }
        results.extend(match &record.topic {
            None => driver.pipe(made),
            Some(topic) => driver.pipe_from(topic, made),
        }?);
    }
    let mut differences = Vec::new();
    let passes = pipeline.steps.iter().all(|step| step.operator.keeps_value());
    let keeps_keys = pipeline.steps.iter().all(|step| step.operator.keeps_key());
    let own_keys = pipeline.source.key_format.as_ref().filter(|_| keeps_keys);
    let keys = pipeline.sink.key_format.as_ref().or(own_keys);
    let topics = pipeline.result_topics();
    for index in 0..results.len().max(case.output.len()) {
        let topic = results.get(index).map_or("", |result| &topics[usize::from(result.to.0)].topic);
        let format = pipeline.format_of(topic);
        let actual = results.get(index).map(|record| output(record, topic, format, keys, passes));
        compare(index + 1, format, keys, case.output.get(index), actual.as_ref(), &mut differences);
    }
    let classes: Vec<&str> = driver.dead_letters().iter().map(|letter| letter.class).collect();
    if classes != case.dead_letters {
        let described =
            driver.dead_letters().iter().map(|letter| format!("{} ({})", letter.class, letter.message));
        differences.push(Difference {
            what: "dead letters".into(),
            expected: list(case.dead_letters.iter().cloned()),
            actual: lines(described),
        });
    }
    Ok(differences)
}

/// Whether a record would be left out, as its id has come before in this case; all of a case happens at one time.
fn has_come(
    source: &Source,
    topic: Option<&str>,
    record: &Record,
    came: &mut HashSet<(Option<String>, Bytes)>,
) -> bool {
    let Some(deduplication) = &source.deduplication else { return false };
    let mut place = Output::default();
    if let Some(topic) = topic {
        place.set_place(&TopicPartition::new(topic, 0), Offset(0));
    }
    let id = deduplication.id.of(record, &place);
    id.is_some_and(|id| !came.insert((topic.map(str::to_owned), id)))
}

fn input(record: &TestRecord, source: &Source) -> Record {
    // What the format cannot write goes in as it is: bad input.
    let written =
        |format: &Format, text: &String| format.from_text(text).unwrap_or_else(|_| text.clone().into());
    let format = record.topic.as_ref().map_or(&source.format, |topic| source.format_of(topic));
    let value = record.value.as_ref().map(|text| written(format, text));
    let keys = source.key_format.as_ref().unwrap_or(&Format::Bytes);
    let key = record.key.as_ref().map(|text| written(keys, text));
    let headers: Headers = record.headers.iter().cloned().collect();
    Record { key, value, headers, ..Record::default() }
}

fn output(record: &Record, topic: &str, format: &Format, keys: Option<&Format>, passes: bool) -> TestRecord {
    let value = record.value.as_ref().map(|value| match (format, passes) {
        (Format::Bincode, true) => {
            format.decode_request(value).map_or_else(|_| text(value), |n| n.to_string())
        }
        (Format::Bincode, false) => {
            format.decode_result(value).map_or_else(|_| text(value), |(n, digits)| format!("{n};{digits}"))
        }
        _ => format.to_text(value),
    });
    let headers = record
        .headers
        .iter()
        .map(|header| (header.name.clone(), header.value.as_deref().map_or_else(|| "null".into(), text)));
    let topic = Some(topic.to_owned());
    let key = record.key.as_ref().map(|key| keys.unwrap_or(&Format::Bytes).to_text(key));
    TestRecord { topic, key, value, headers: headers.collect() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Both texts as JSON, where the format has fields and both are.
fn json_of(format: &Format, expected: Option<&str>, actual: Option<&str>) -> Option<(Value, Value)> {
    let read = |text: Option<&str>| serde_json::from_str(text?).ok();
    if format.has_fields() { read(expected).zip(read(actual)) } else { None }
}

fn compare(
    number: usize,
    format: &Format,
    keys: Option<&Format>,
    expected: Option<&TestRecord>,
    actual: Option<&TestRecord>,
    differences: &mut Vec<Difference>,
) {
    let what = format!("result {number}");
    let (Some(expected), Some(actual)) = (expected, actual) else {
        let shown = |record: Option<&TestRecord>| {
            record.map_or_else(|| "nothing".to_owned(), |record| shown(format, record.value.as_deref(), 0))
        };
        return differences.push(Difference { what, expected: shown(expected), actual: shown(actual) });
    };
    let values = (expected.value.as_deref(), actual.value.as_deref());
    match json_of(format, values.0, values.1) {
        Some((expected, actual)) => differences.extend(in_json(&what, &expected, &actual)),
        None if values.0 != values.1 => {
            let same = common(values.0.unwrap_or_default(), values.1.unwrap_or_default());
            let (expected, actual) = (shown(format, values.0, same), shown(format, values.1, same));
            differences.push(Difference { what: what.clone(), expected, actual });
        }
        None => {}
    }
    if expected.topic.is_some() && expected.topic != actual.topic {
        differences.push(Difference {
            what: format!("{what}'s topic"),
            expected: text_of(expected.topic.as_deref()),
            actual: text_of(actual.topic.as_deref()),
        });
    }
    let in_json = keys.and_then(|keys| json_of(keys, expected.key.as_deref(), actual.key.as_deref()));
    let is_same = in_json.map_or(expected.key == actual.key, |(expected, actual)| expected == actual);
    if expected.key.is_some() && !is_same {
        differences.push(Difference {
            what: format!("{what}'s key"),
            expected: text_of(expected.key.as_deref()),
            actual: text_of(actual.key.as_deref()),
        });
    }
    for header in expected.headers.iter().filter(|header| !actual.headers.contains(header)) {
        let named = |(name, value): &(String, String)| format!("{name} = {value:?}");
        differences.push(Difference {
            what: format!("{what}'s headers"),
            expected: named(header),
            actual: list(actual.headers.iter().map(named)),
        });
    }
}

/// The length of the common prefix, up to a character boundary.
fn common(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// The fields that differ, each by itself.
fn in_json(what: &str, expected: &Value, actual: &Value) -> Vec<Difference> {
    let places = json::differences(expected, actual);
    let text = |value: Option<&Value>| value.map(Value::to_string);
    let difference = |place: &json::Place<'_>| {
        let (expected, actual) = (text(place.expected), text(place.actual));
        let same = common(expected.as_deref().unwrap_or_default(), actual.as_deref().unwrap_or_default());
        let shown = |text: Option<String>| {
            text.map_or("no such field".into(), |text| shown(&Format::Json, Some(&text), same))
        };
        Difference {
            what: format!("{what}: {}", place.path),
            expected: shown(expected),
            actual: shown(actual),
        }
    };
    places.iter().map(difference).collect()
}

/// A key or a topic.
fn text_of(text: Option<&str>) -> String {
    text.map_or_else(|| "none".into(), |text| shown(&Format::String, Some(text), 0))
}

/// A value: JSON as it is, anything else in quotes. Of a long one the part around `from`, and its length.
fn shown(format: &Format, value: Option<&str>, from: usize) -> String {
    let Some(text) = value else { return "a tombstone".into() };
    let as_it_is = format.has_fields() && !text.contains(char::is_control);
    let most = if as_it_is { 300 } else { 60 };
    let quoted = |text: &str| if as_it_is { text.to_owned() } else { format!("{text:?}") };
    if text.chars().nth(most).is_none() {
        return quoted(text);
    }
    let start = text[..from].char_indices().rev().nth(19).map_or(0, |(at, _)| at);
    let part: String = text[start..].chars().take(most).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if start + part.len() < text.len() { "…" } else { "" };
    format!("{before}{}{after} ({} bytes, from {start})", quoted(&part), text.len())
}

/// What is too long to stand beside another, one below the other.
fn lines(sentences: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = sentences.collect();
    if lines.is_empty() { "none".into() } else { lines.join("\n            ") }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::settings::ProcessEnvironment;

    fn differences(case: &str, sets: &[&str]) -> Vec<String> {
        let text = format!("{}\n[[test]]\n{case}", include_str!("../../pipelines/factorial.toml"));
        let sets: Vec<_> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let (pipeline, _) = parse("f.toml", &text, &sets, &ProcessEnvironment).unwrap();
        let differences = run_case(&pipeline, pipeline.tests.last().unwrap()).unwrap();
        differences.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn a_case_holds_where_values_named_keys_and_headers_and_classes_are_as_it_says() {
        let case = "input = ['3', { key = 'k', value = '4', headers = { a = '1', b = '2' } }, 'x', {}]\n\
                    output = ['3;6', { key = 'k', value = '4;24', headers = { b = '2' } }]\n\
                    dead_letters = ['not-a-number', 'tombstone']\n";
        assert_eq!(differences(case, &[]), [""; 0]);
    }

    #[test]
    fn values_are_text_for_bincode_too() {
        let case = "input = ['3', 'three']\noutput = '3;6'\ndead_letters = ['not-a-number']";
        assert_eq!(differences(case, &["source.format=bincode", "sink.format=bincode"]), [""; 0]);
        let wrong = differences("input = '3'\noutput = '3;7'", &["sink.format=bincode"]);
        assert_eq!(wrong, ["result 1\n  expected  \"3;7\"\n  but was   \"3;6\""]);
    }

    #[test]
    fn keys_with_a_format_and_topics_with_their_own_are_written_as_their_formats_say() {
        let text = |case: &str| {
            format!(
                "name = 'k'\n[source]\ntopics = ['a', 'b']\nformat = 'json'\nkey_format = 'json'\nformats.b.format = 'bincode'\n\
                 [operators.filter]\nwhen = 'key.eu && topic != \"c\"'\n[operators.key]\nto = 'key.id'\n\
                 [sink]\ntopic = 'out'\nformat = 'json'\nkey_format = 'bincode'\n[[test]]\n{case}"
            )
        };
        let differences = |case: &str| {
            let (pipeline, _) = parse("f.toml", &text(case), &[], &ProcessEnvironment).unwrap();
            let differences = run_case(&pipeline, &pipeline.tests[0]).unwrap();
            differences.iter().map(Difference::to_string).collect::<Vec<_>>()
        };
        let case = "input = [{ key = { eu = true, id = 7 }, value = { n = 1 } }, { topic = 'b', key = { eu = true, id = 8 }, value = 5 }, \
                    { key = 'no JSON', value = 1 }, { topic = 'b', key = { eu = true, id = -1 }, value = 5 }, { key = { eu = false } }]\n\
                    output = [{ key = 7, value = { n = 1 } }, { key = 8, value = 5 }]\n\
                    dead_letters = ['not-json', 'not-writable']";
        assert_eq!(differences(case), [""; 0]);
        let wrong = differences("input = { key = { eu = true, id = 7 } }\noutput = { key = 6 }");
        assert_eq!(wrong, ["result 1's key\n  expected  \"6\"\n  but was   \"7\""]);
    }

    #[test]
    fn each_difference_is_said() {
        let case = "input = [{ key = 'a', value = '3' }, '4', 'x']\n\
                    output = [{ key = 'b', value = '3;6', headers = { h = '1' } }]";
        assert_eq!(
            differences(case, &[]),
            [
                "result 1's key\n  expected  \"b\"\n  but was   \"a\"",
                "result 1's headers\n  expected  h = \"1\"\n  but was   none",
                "result 2\n  expected  nothing\n  but was   \"4;24\"",
                "dead letters\n  expected  none\n  but was   not-a-number (the value is not a number: \"x\")",
            ]
        );
        assert_eq!(
            differences("input = []\noutput = '3;6'", &[]),
            ["result 1\n  expected  \"3;6\"\n  but was   nothing"]
        );
    }

    #[test]
    fn of_json_each_field_that_differs_is_said_with_its_path() {
        let json = ["source.format=json", "sink.format=json"];
        let case = "input = 3\noutput = { value = { n = 3, result = '7', more = [1] } }";
        assert_eq!(
            differences(case, &json),
            [
                "result 1: value.result\n  expected  \"7\"\n  but was   \"6\"",
                "result 1: value.more\n  expected  [1]\n  but was   no such field",
            ]
        );
        assert_eq!(differences("input = 3\noutput = { value = { result = '6', n = 3.0 } }", &json), [""; 0]);
        assert_eq!(
            differences("input = 3\noutput = {}", &json),
            ["result 1\n  expected  a tombstone\n  but was   {\"n\":3,\"result\":\"6\"}"]
        );
    }

    #[test]
    fn of_a_long_value_the_difference_is_shown() {
        let digits = crate::factorial::factorial_decimal(100);
        let wrong = digits.replacen("00000", "00001", 1);
        let shown = differences(&format!("input = '100'\noutput = '100;{wrong}'"), &[]);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].contains("162 bytes, from "), "{}", shown[0]);
        let lines: Vec<&str> = shown[0].lines().collect();
        assert_ne!(lines[1].trim_start_matches("  expected  "), lines[2].trim_start_matches("  but was   "));
    }
}
