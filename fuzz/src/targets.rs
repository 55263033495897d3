//! One function a target: it takes any bytes, and must neither panic nor believe them. `cargo +nightly fuzz run NAME` looks for
//! bytes that make it; the tests below try the corpus, and changes to it, in seconds.

use std::cell::RefCell;

use crate::{
    format::Format,
    offsets::OffsetTracker,
    record::{DEADLINE, Headers, Offset, REPLY_PARTITION, Record},
    reply,
    settings::{Environment, Reader, Tree},
    trace::Span,
};

/// A record's value, in each format: what is read is what would have been written, and a refusal is a short sentence.
pub fn formats(bytes: &[u8]) {
    for format in [Format::Text, Format::Json, Format::Bincode] {
        match format.decode_request(bytes) {
            Ok(n) => assert_eq!(format.decode_request(&format.encode_request(n)), Ok(n)),
            Err(error) => assert!(error.to_string().len() < 400, "{error}"),
        }
        match format.decode_result(bytes) {
            Ok((n, digits)) => {
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
                // It reads less, and may take less for a result.
                assert!(format.result_number(bytes).is_none_or(|found| found == n));
            }
            Err(error) => assert!(error.to_string().len() < 400, "{error}"),
        }
    }
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

    /// What was found before, and what a beginner would write.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
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
        let mut runner =
            proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2_000, ..ProptestConfig::default() });
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
        try_all("formats", formats);
    }

    #[test]
    fn no_header_breaks_what_reads_it() {
        try_all("headers", headers);
    }

    #[test]
    fn no_file_breaks_what_reads_settings() {
        try_all("configuration", configuration);
    }
}
