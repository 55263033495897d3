//! The headers of requests that say where the reply is wanted, and until when.

use bytes::Bytes;

use crate::record::{DEADLINE, REPLY_PARTITION, Record, WORKER};

/// The partition of the result topic where the reply is wanted; `None` where the header is missing or no
/// partition number.
pub fn partition(record: &Record) -> Option<i32> {
    record.headers.number(REPLY_PARTITION)
}

/// Whether the record's deadline has passed. `now` is in milliseconds since 1970 UTC.
pub fn is_expired(record: &Record, now: impl FnOnce() -> u64) -> bool {
    record.headers.number::<u64>(DEADLINE).is_some_and(|deadline| deadline <= now())
}

/// Names the worker in the headers of its result.
pub fn sign(result: &mut Record, worker: &str) {
    result.headers.push(WORKER, Some(Bytes::copy_from_slice(worker.as_bytes())));
}

/// The reply that reports a dead letter to the caller: its headers and an empty value. (A null value would
/// delete a result in a compacted topic.)
pub fn of_dead_letter(letter: &Record, worker: &str) -> Record {
    let mut reply = Record { value: Some(Bytes::new()), ..letter.clone() };
    sign(&mut reply, worker);
    reply
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
