//! Requests that say where their reply is wanted, and until when.

use bytes::Bytes;

use crate::record::{DEADLINE, REPLY_PARTITION, Record, WORKER};

/// The partition of the result topic that a record is wanted at; `None` where its header is no such number.
pub fn partition(record: &Record) -> Option<i32> {
    number(record, REPLY_PARTITION)
}

/// Whether nobody waits for the record's result any more. `now` is in milliseconds since 1970 UTC.
pub fn is_expired(record: &Record, now: impl FnOnce() -> u64) -> bool {
    number::<u64>(record, DEADLINE).is_some_and(|deadline| deadline <= now())
}

/// Says in a result who has computed it.
pub fn sign(result: &mut Record, worker: &str) {
    result.headers.push(WORKER, Some(Bytes::copy_from_slice(worker.as_bytes())));
}

/// What the caller receives of a dead letter: its headers, and an empty value (which is not null, as that would
/// delete a result of a compacted topic).
pub fn of_dead_letter(letter: &Record, worker: &str) -> Record {
    let mut reply = Record { value: Some(Bytes::new()), ..letter.clone() };
    sign(&mut reply, worker);
    reply
}

fn number<N: std::str::FromStr>(record: &Record, header: &str) -> Option<N> {
    if record.headers.is_empty() {
        return None;
    }
    let digits = record.headers.get(header)?;
    // `parse` would take a sign.
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(header: &'static str, value: &'static str) -> Record {
        Record { headers: [(header, value)].into_iter().collect(), ..Record::default() }
    }

    #[test]
    fn a_reply_partition_that_is_no_number_is_none() {
        assert_eq!(partition(&record(REPLY_PARTITION, "12")), Some(12));
        for value in ["", "-1", "+1", " 1", "1.0", "2147483648", "one", "\u{663}"] {
            assert_eq!(partition(&record(REPLY_PARTITION, value)), None, "{value}");
        }
        assert_eq!(partition(&Record::default()), None);
    }

    #[test]
    fn a_record_is_expired_from_its_deadline_on_and_never_without_one() {
        assert!(!is_expired(&record(DEADLINE, "1000"), || 999));
        assert!(is_expired(&record(DEADLINE, "1000"), || 1_000));
        assert!(!is_expired(&record(DEADLINE, "soon"), || u64::MAX));
        assert!(!is_expired(&Record::default(), || panic!("the clock is not read")));
    }
}
