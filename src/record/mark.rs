//! Marks: how far a group has come in a topic, written into that topic.
//!
//! A broker forgets the offsets of a group that has had no members for a week (`offsets.retention.minutes`, KIP-211). A mark lies behind all
//! that it speaks of, in the same partition, so it is there as long as any of that is.

use super::{Headers, Offset, Record, error, names::REPLAY_MARK};

/// How far a group has come in the partition that this is read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The group.
    pub group: String,
    /// The offset that it has committed.
    pub offset: Offset,
    /// The commit's metadata.
    pub metadata: String,
}

impl Mark {
    /// Whether a record is one. A dead letter has the headers that a stranger gave its record, but a class too.
    pub fn is_one(record: &Record) -> bool {
        record.headers.get(REPLAY_MARK).is_some() && record.headers.get(error::CLASS).is_none()
    }

    /// What a record says, where it is a mark.
    pub fn of(record: &Record) -> Option<Mark> {
        if !Mark::is_one(record) {
            return None;
        }
        let group = record.headers.text(REPLAY_MARK)?.to_owned();
        let value = std::str::from_utf8(record.value.as_deref()?).ok()?;
        let (offset, metadata) = value.split_once(' ').unwrap_or((value, ""));
        Some(Mark { group, offset: Offset(offset.parse().ok()?), metadata: metadata.to_owned() })
    }

    /// The mark as a record. With a key, so that a compacted topic keeps the last one of each group.
    pub fn record(&self) -> Record {
        let Mark { group, offset, metadata } = self;
        let value = if metadata.is_empty() { offset.to_string() } else { format!("{offset} {metadata}") };
        let mut headers = Headers::default();
        headers.push(REPLAY_MARK, Some(group.clone().into()));
        Record {
            key: Some(format!("{REPLAY_MARK} {group}").into()),
            value: Some(value.into()),
            headers,
            ..Record::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_what_was_written_and_other_records_are_none() {
        for (metadata, value) in [("", "70"), ("p2:71:AQ", "70 p2:71:AQ")] {
            let mark = Mark { group: "g".to_owned(), offset: Offset(70), metadata: metadata.to_owned() };
            let record = mark.record();
            // What was written is read by later versions.
            assert_eq!(record.key.as_deref(), Some(&b"pipeline.replay-mark g"[..]));
            assert_eq!(record.value.as_deref(), Some(value.as_bytes()));
            assert_eq!(record.headers.text("pipeline.replay-mark"), Some("g"));
            assert!(Mark::is_one(&record));
            assert_eq!(Mark::of(&record), Some(mark));
            let mut letter = record;
            letter.headers.push(error::CLASS, Some("not-a-number".into()));
            assert!(!Mark::is_one(&letter) && Mark::of(&letter).is_none(), "a stranger has sent it");
        }
        assert!(!Mark::is_one(&Record::default()) && Mark::of(&Record::default()).is_none());
        let headers: Headers = [("pipeline.replay-mark", "g")].into_iter().collect();
        for value in [None, Some("x"), Some(""), Some("7x p2")] {
            let record =
                Record { value: value.map(Into::into), headers: headers.clone(), ..Record::default() };
            assert!(Mark::is_one(&record) && Mark::of(&record).is_none(), "{value:?}");
        }
    }
}
