//! Dead letters: records as they came, with headers that say what was wrong.

use bytes::Bytes;

use crate::record::{Headers, Offset, Record, TopicPartition, error, wire_size};

/// How many bytes of key and value a bare dead letter keeps, each.
const BARE: usize = 512;

/// Where a record was read.
pub struct Origin<'a> {
    pub partition: &'a TopicPartition,
    pub offset: Offset,
}

/// The record as it came, with headers that say what was wrong and where it was read:
/// `pipeline.error.class`, `.message`, `.topic`, `.partition`, `.offset`, `.timestamp` (milliseconds since
/// 1970 UTC, of the record) and `.attempts`.
pub fn of(mut record: Record, origin: &Origin<'_>, class: &str, message: &str, attempts: u32) -> Record {
    let timestamp = record.timestamp.map(|timestamp| timestamp.to_string()).unwrap_or_default();
    for (name, value) in [
        (error::CLASS, class.to_owned()),
        (error::MESSAGE, message.to_owned()),
        (error::TOPIC, origin.partition.topic.to_string()),
        (error::PARTITION, origin.partition.partition.to_string()),
        (error::OFFSET, origin.offset.to_string()),
        (error::TIMESTAMP, timestamp),
        (error::ATTEMPTS, attempts.to_string()),
    ] {
        record.headers.push(name, Some(value.into()));
    }
    record
}

/// Cuts a dead letter that is larger than its topic takes: the value first, then the record's own headers and
/// its key. The header `pipeline.error.cut` says so. The whole record is in the source topic, for as long as
/// that retains it.
pub fn fit(letter: Record, largest: u64) -> Record {
    if wire_size(&letter) <= largest {
        return letter;
    }
    let mut cut = marked(&letter, letter.headers.clone());
    let without_value = wire_size(&Record { value: None, ..cut.clone() });
    if without_value < largest {
        cut.value = letter.value.map(|value| head(&value, (largest - without_value) as usize));
        return cut;
    }
    bare(letter)
}

/// The least of a dead letter that its topic refuses: our own headers, the beginnings of key and value, and
/// no timestamp, which may be what it was refused for.
pub fn bare(letter: Record) -> Record {
    let ours = letter.headers.iter().filter(|header| header.name.starts_with(error::PREFIX));
    let ours = ours.filter_map(|header| Some((header.name.clone(), header.value.clone()?))).collect();
    Record {
        key: letter.key.as_ref().map(|key| head(key, BARE)),
        value: letter.value.as_ref().map(|value| head(value, BARE)),
        headers: marked(&letter, ours).headers,
        ..Record::default()
    }
}

fn marked(letter: &Record, mut headers: Headers) -> Record {
    let bytes = letter.size();
    headers.push(error::CUT, Some(format!("it was cut to fit: it had {bytes} bytes").into()));
    Record { headers, ..letter.clone() }
}

/// A copy, so that what is cut off is not kept in memory.
fn head(bytes: &Bytes, length: usize) -> Bytes {
    Bytes::copy_from_slice(&bytes[..length.min(bytes.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(value: usize, header: usize) -> Record {
        let record = Record {
            key: Some("k".into()),
            value: Some(vec![b'v'; value].into()),
            headers: [("h", vec![b'h'; header])].into_iter().collect(),
            timestamp: Some(1),
            ..Record::default()
        };
        let partition = TopicPartition::new("in", 0);
        of(record, &Origin { partition: &partition, offset: Offset(7) }, "bad", "it is bad", 1)
    }

    #[test]
    fn a_dead_letter_that_fits_stays_as_it_is() {
        assert_eq!(fit(letter(1_000, 10), 10_000), letter(1_000, 10));
    }

    #[test]
    fn the_value_is_cut_first_and_the_letter_says_so() {
        let cut = fit(letter(50_000, 10), 10_000);
        assert!((9_900..=10_000).contains(&wire_size(&cut)), "{}", wire_size(&cut));
        assert_eq!((cut.key.as_deref(), cut.timestamp), (Some(&b"k"[..]), Some(1)));
        assert_eq!(cut.headers.get("h"), Some(&[b'h'; 10][..]));
        let said = String::from_utf8(cut.headers.get("pipeline.error.cut").unwrap().to_vec()).unwrap();
        assert!(said.contains("50"), "{said}");
    }

    #[test]
    fn of_a_letter_with_a_huge_header_our_own_are_left() {
        let cut = fit(letter(1_000, 50_000), 10_000);
        assert!(wire_size(&cut) <= 10_000);
        assert_eq!(cut.headers.get("h"), None);
        assert_eq!(cut.headers.get("pipeline.error.offset"), Some(&b"7"[..]));
    }
}
