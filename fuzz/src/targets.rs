//! One function a target: it takes any bytes, and must neither panic nor believe them. `fuzz/run` looks for bytes that
//! make it; the tests below try the corpus, and changes to it, in seconds.

use std::{cell::RefCell, fmt::Display, sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    expression::{Expression, Scope},
    format::{Avro, AvroSchema, Format, Protobuf, ProtobufMessage},
    gateway::{
        Question,
        http::{
            headers::{Form, Prefer, bearer, is_json, trace},
            questions::{Refusal, question, questions},
        },
    },
    offsets::OffsetTracker,
    pieces::{Manifest, Place},
    record::{DEADLINE, Headers, Offset, REPLY_PARTITION, Record, TopicPartition},
    reply,
    settings::{Environment, Reader, Tree},
    trace::Span,
    value::{Others, Value, Wanted},
};

/// A record's value, in each format: what is read is what would have been written, and a refusal is a short sentence.
pub fn formats(bytes: &[u8]) {
    for format in [Format::Text, Format::Json, Format::Bincode] {
        match format.decode_request(bytes) {
            Ok(n) => {
                let written = format.encode_request(n);
                assert_eq!(written.and_then(|written| format.decode_request(&written)), Ok(n));
            }
            Err(error) => is_short(&error),
        }
        match format.decode_result(bytes) {
            Ok((n, digits)) => {
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
                // It reads less, and may take less for a result.
                assert!(format.result_number(bytes).is_none_or(|found| found == n));
            }
            Err(error) => is_short(&error),
        }
    }
    SCHEMAS.iter().for_each(|format| of_schema(format, &Bytes::copy_from_slice(bytes)));
    manifest(bytes);
}

/// Where the pieces of a result are: each byte is in one of them.
fn manifest(bytes: &[u8]) {
    match Manifest::read(bytes) {
        Ok(manifest) => {
            let all = manifest.all();
            // An object may say that it has any size.
            if let Place::Topic(pieces) = &manifest.place {
                assert_eq!(all, 0..pieces.offsets.len());
                assert_eq!(all.map(|place| manifest.size_of(place)).sum::<u64>(), manifest.bytes);
            } else {
                assert_eq!(all.len() as u64, manifest.bytes.div_ceil(manifest.piece_bytes()));
                assert!((1..=manifest.piece_bytes()).contains(&manifest.size_of(all.end - 1)));
            }
        }
        Err(error) => is_short(&error),
    }
}

/// Formats with a schema that has all kinds of types, itself among them.
static SCHEMAS: LazyLock<[Format; 2]> = LazyLock::new(|| {
    let avro = r#"{"type":"record","name":"R","fields":[
        {"name":"i","type":"int"},{"name":"l","type":["null","long","string","double"]},{"name":"b","type":"bytes"},
        {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":40,"scale":3}},
        {"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
        {"name":"f","type":{"type":"fixed","name":"F","size":2}},
        {"name":"a","type":{"type":"array","items":["null","R"]}},
        {"name":"m","type":{"type":"map","values":{"type":"array","items":"null"}}}]}"#;
    let protobuf = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message R {
        int32 i = 1; optional uint64 u = 2; string s = 3; bytes b = 4; repeated sint64 l = 5; map<int32, R> m = 6;
        google.protobuf.Timestamp t = 7; oneof o { double d = 8; R r = 9; } enum E { A = 0; B = 1; } E e = 10; }";
    [
        Format::Avro(Avro::new(AvroSchema::parse(avro).unwrap()).into()),
        Format::Protobuf(Protobuf::new(ProtobufMessage::parse(protobuf, &[], None).unwrap()).into()),
    ]
});

/// What is read and can be written is read again as the same.
fn of_schema(format: &Format, bytes: &Bytes) {
    let read = |bytes: &Bytes| format.read(bytes, &Wanted::All, Others::Kept);
    match read(bytes) {
        Ok(value) => {
            // A number that is none is not the same as itself, but looks the same.
            if let Ok(again) = format.write(&value) {
                assert_eq!(format!("{:?}", read(&again).unwrap()), format!("{value:?}"));
            }
        }
        Err(error) => is_short(&error),
    }
}

/// An expression, an empty line, and a value in JSON: whatever both are, it ends soon, what is wrong is a short sentence, and the
/// interpreter says the same as what was compiled.
pub fn expressions(bytes: &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let source = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let value = Bytes::copy_from_slice(bytes.get(end + 2..).unwrap_or_default());
    let expression = match Expression::new(&source) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(source.is_char_boundary(error.at), "{} is not in {source:?}", error.at);
            return is_short(&error);
        }
    };
    let headers = [("tier", "gold")].into_iter().collect();
    let key = Some("eu-7".into());
    let record =
        Record { key, value: Some(value.clone()), headers, timestamp: Some(1_000), ..Record::default() };
    let partition = TopicPartition::new("orders", 3);
    let place = Some((&partition, Offset(7)));
    for others in [Others::Kept, Others::Dropped] {
        let in_json = match others {
            // What nobody wants is not looked at more closely than the parser does where it drops it.
            Others::Dropped => expression.evaluate_in_json(&record, place),
            Others::Kept => None,
        };
        let read = match Format::Json.read(&value, &expression.needs().value, others) {
            Ok(read) => read,
            Err(error) => {
                assert!(in_json.is_none(), "{in_json:?} of what is no JSON");
                is_short(&error);
                continue;
            }
        };
        let scope = Scope::new(&record, place, expression.needs(), read);
        let given = expression.evaluate(&scope);
        // As text: a NaN is what it is.
        let interpreted = format!("{:?}", expression.interpreted(&scope));
        assert_eq!(format!("{given:?}"), interpreted);
        if let Some(found) = in_json {
            assert_eq!(format!("{:?}", Ok::<_, ()>(found)), interpreted);
        }
        assert_eq!(expression.holds(&scope), expression.interpreted_holds(&scope));
        match given {
            Ok(made) => writes_json(&made),
            Err(failure) => is_short(&failure),
        }
    }
}

/// What is written is JSON, unless a number is none.
fn writes_json(made: &Value) {
    match Format::Json.write(made) {
        Ok(written) => {
            let read = serde_json::from_slice::<serde_json::Value>(&written);
            assert!(read.is_ok() || nests_deep(&written), "{written:?}");
        }
        Err(error) => is_short(&error),
    }
}

/// What goes through as text is not read, and may be nested deeper than what is.
fn nests_deep(json: &[u8]) -> bool {
    json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100
}

/// A record's headers, and the metadata of a committed offset, which anybody in the group may write.
pub fn headers(bytes: &[u8]) {
    if let Some(span) = Span::below(bytes, 7) {
        let child = Span::below(span.traceparent().as_bytes(), 8).expect("what we write we read");
        assert_eq!((child.trace, child.parent), (span.trace, span.id));
    }
    let text = String::from_utf8_lossy(bytes);
    for start in [0, 100, i64::MAX] {
        let tracker = OffsetTracker::new(Offset(start), &text);
        assert_eq!(tracker.watermark(), Offset(start), "nothing is done by hearsay");
        assert!(tracker.metadata().len() <= 4_096, "a broker would refuse it");
    }
    let mut headers = Headers::default();
    for name in [REPLY_PARTITION, DEADLINE] {
        headers.push(name, Some(bytes.to_vec().into()));
    }
    let record = Record { headers, ..Record::default() };
    assert!(reply::partition(&record).is_none_or(|partition| partition >= 0));
    assert!(!reply::is_expired(&record, || 0) || bytes.iter().all(|byte| *byte == b'0'));
}

/// A file of settings: what is wrong with it is said, with its place.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let set = ("source.topic".to_owned(), text.clone().into_owned(), "--set source.topic".to_owned());
    for overrides in [&[][..], &[set]] {
        let diagnostics = match Tree::parse("f.toml", &text, overrides, &Elsewhere) {
            Ok((tree, diagnostics)) => {
                let diagnostics = RefCell::new(diagnostics);
                read(&Reader::root(&tree, "a pipeline", &diagnostics));
                diagnostics.into_inner()
            }
            Err(diagnostics) => {
                assert!(diagnostics.has_errors());
                diagnostics
            }
        };
        assert!(diagnostics.is_empty() || diagnostics.to_string().contains("f.toml"));
    }
}

/// Takes a value of each kind out of the table, and of each table in it, whatever they are.
fn read(table: &Reader<'_>) {
    for (name, inner) in table.tables() {
        let _ = (table.string(name), table.integer(name, 0..=9), table.duration(name), table.size(name));
        let _ = (table.address(name), table.boolean(name), table.choice(name, &[("a", 1)]), table.flat(name));
        table.array_of_tables(name).iter().for_each(read);
        read(&inner);
        inner.finish();
    }
}

/// A request to the gateway, as its server hands it on: a line that is the last part of the path, headers, a line each, an
/// empty line, a body. What is answered depends on what is asked alone, and nobody asks for more than may be asked.
pub fn http(bytes: &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    path(&String::from_utf8_lossy(lines.next().unwrap_or_default()));
    let mut headers = HeaderMap::new();
    // More are refused before.
    for line in lines.take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    request_headers(&headers);
    for max in [None, Some(0), Some(1_000), Some(u64::MAX)] {
        list(body, max);
    }
}

fn path(value: &str) {
    assert_eq!(question(value, None), Ok(Question::Value(value.to_owned().into())));
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    for max in [0, 1_000, u64::MAX] {
        match question(value, Some(max)) {
            Ok(Question::Number(n)) => {
                assert!(n <= max);
                assert_eq!(n.to_string().trim_start_matches('0'), value.trim_start_matches('0'));
            }
            Err(Refusal::TooLarge(_)) => assert!(is_number),
            Err(error) => {
                assert!(!is_number);
                is_short(&error);
            }
            Ok(Question::Value(value)) => panic!("{value:?} is no number"),
        }
    }
    // A number is the same one wherever it stands; but JSON knows no leading zeros.
    if is_number && (value == "0" || !value.starts_with('0')) {
        for max in [None, Some(1_000), Some(u64::MAX)] {
            let expected = question(value, max).map(|question| vec![question]);
            assert_eq!(questions(format!("[{value}]").as_bytes(), max, 1), expected);
        }
    }
}

fn request_headers(headers: &HeaderMap) {
    let (form, prefer) = (Form::of(headers), Prefer::of(headers));
    let longest = Duration::from_secs(30);
    assert!(prefer.within(longest) <= longest);
    // A list means the same in one line and in several.
    if let Some(line) = in_one_line(headers, header::ACCEPT) {
        assert_eq!(Form::of(&line), form);
    }
    if let Some(line) = in_one_line(headers, HeaderName::from_static("prefer")) {
        assert_eq!(Prefer::of(&line), prefer);
    }
    assert!(!is_json(headers) || headers.contains_key(header::CONTENT_TYPE));
    if let Some(token) = bearer(headers) {
        assert_eq!(headers[header::AUTHORIZATION].len(), "Bearer ".len() + token.len());
    }
    if let Some(trace) = trace(headers) {
        assert!(trace.state.is_none_or(|state| (1..=512).contains(&state.len())));
    }
}

/// `None` where a line of it is not text.
fn in_one_line(headers: &HeaderMap, name: HeaderName) -> Option<HeaderMap> {
    let lines: Option<Vec<&str>> = headers.get_all(&name).iter().map(|value| value.to_str().ok()).collect();
    let line = HeaderValue::from_str(&lines?.join(", ")).expect("it is made of such");
    Some(HeaderMap::from_iter([(name, line)]))
}

fn list(body: &[u8], max: Option<u64>) {
    const LIMIT: usize = 20;
    match questions(body, max, LIMIT) {
        Ok(questions) => {
            assert!(questions.len() <= LIMIT);
            for question in questions {
                match question {
                    Question::Number(n) => assert!(max.is_some_and(|max| n <= max)),
                    Question::Value(_) => assert_eq!(max, None),
                }
            }
        }
        Err(Refusal::TooMany { asked, limit }) => assert!(asked > limit && asked <= body.len()),
        Err(error) => is_short(&error),
    }
}

/// It is shown to whoever asked, in logs and in headers: some characters of what is wrong, each escaped in up to ten.
fn is_short(error: &impl Display) {
    let sentence = error.to_string();
    assert!(sentence.len() < 1_000 && !sentence.contains(char::is_control), "{sentence}");
}

/// An environment without surprises.
struct Elsewhere;

impl Environment for Elsewhere {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "PASSWORD").then(|| "hunter2".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::sizes::watched;

    /// What was found before, and what a beginner would write.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let files =
            std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let files: Vec<Vec<u8>> = files.collect();
        assert!(files.len() > 5, "{target} has no corpus");
        files
    }

    /// The corpus, then pieces of it one behind the other with some bytes changed.
    fn try_all(target: &str, function: fn(&[u8])) {
        let files = corpus(target);
        files.iter().for_each(|file| function(file));
        let piece = (any::<Index>(), any::<Index>(), any::<Index>());
        let changes = vec((any::<Index>(), any::<u8>()), 0..4);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 2_000,
            ..ProptestConfig::default()
        });
        let outcome = runner.run(&(vec(piece, 1..4), changes), |(pieces, changes)| {
            let mut bytes = Vec::new();
            for (file, from, to) in &pieces {
                let file = file.get(&files);
                let (from, to) = (from.index(file.len() + 1), to.index(file.len() + 1));
                bytes.extend_from_slice(&file[from.min(to)..from.max(to)]);
            }
            for (place, byte) in &changes {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = *byte;
                }
            }
            function(&bytes);
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn no_value_breaks_a_format() {
        try_all("formats", |bytes| watched(formats, bytes));
    }

    #[test]
    fn no_header_breaks_what_reads_it() {
        try_all("headers", |bytes| watched(headers, bytes));
    }

    #[test]
    fn no_file_breaks_what_reads_settings() {
        try_all("configuration", |bytes| watched(configuration, bytes));
    }

    #[test]
    fn no_request_breaks_the_gateway() {
        try_all("http", |bytes| watched(http, bytes));
    }

    #[test]
    fn no_expression_and_no_value_break_each_other() {
        try_all("expressions", expressions);
    }
}
