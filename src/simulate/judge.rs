//! Checks what must hold.
//!
//! - Nothing is committed before it is done: each record below a committed offset, or in its bitmap, has all
//!   its results and dead letters visible to a reader at that moment.
//! - Committed offsets never go back.
//! - At rest each record has what its operator makes of it, and nothing else: at least once, or exactly once.
//! - Order, exactly-once: the results of a partition, or of a key in a partition, are seen in the order of their
//!   records. At-least-once: what a worker writes goes back only where the partition was assigned to it anew, or
//!   records came back undelivered.
//! - A hand-over in a healthy group does not take all of its time.

use std::{collections::BTreeMap, time::Duration};

use super::{
    script::{RecordKind, Script},
    topics::{Partition, TopicLogs, Written, source},
    transactions::Transactions,
    world::ClientId,
};
use crate::{
    engine::{Guarantee, OffsetTracker, Order},
    record::{BatchBuilder, Destination, Headers, Offset},
};

/// How long a fault has effects after its end: a session or a transaction that times out.
const ECHO: Duration = Duration::from_secs(25);

/// How often a record's first result, second result and dead letter are visible.
type Visible = [u32; 3];

pub struct Judge {
    guarantee: Guarantee,
    order: Order,
    seen: BTreeMap<(i32, i64), Visible>,
    committed: BTreeMap<i32, i64>,
    /// How many commits have taken effect.
    pub commits: u64,
    /// The first promise that was broken.
    pub violation: Option<String>,
}

impl Judge {
    pub fn new(script: &Script) -> Judge {
        Judge {
            guarantee: script.guarantee,
            order: script.order,
            seen: BTreeMap::new(),
            committed: BTreeMap::new(),
            commits: 0,
            violation: None,
        }
    }

    pub fn violated(&mut self, what: impl FnOnce() -> String) {
        self.violation.get_or_insert_with(what);
    }

    /// A record was written.
    pub fn written(&mut self, written: &Written) {
        if written.transaction.is_none() {
            self.seen(written);
        }
    }

    /// A record has become visible to a reader.
    pub fn seen(&mut self, written: &Written) {
        let value = written.record.value.as_deref().unwrap_or_default();
        let text = String::from_utf8_lossy(value).into_owned();
        let (Some(at), Some(which)) = (place_of(value), which(written.to, value)) else {
            return self.violated(|| format!("wrong: `{text}` in the {:?} topic", written.to));
        };
        let count = &mut self.seen.entry(at).or_default()[which];
        *count += 1;
        if *count > 1 && self.guarantee == Guarantee::ExactlyOnce {
            self.violated(|| format!("double: `{text}` is seen twice in the {:?} topic", written.to));
        }
    }

    /// A commit took effect.
    pub fn committed(&mut self, partition: i32, offset: i64, metadata: &str, of: &Partition) {
        self.commits += 1;
        let before = self.committed.insert(partition, offset).unwrap_or(0);
        if offset < before {
            self.violated(|| {
                format!("back: offset {offset} of partition {partition} is committed after {before}")
            });
        }
        let below = of.from(before).iter().take_while(|record| record.offset < offset);
        let missing = below.chain(above(partition, offset, metadata, of)).find_map(|record| {
            let seen = self.seen.get(&(partition, record.offset)).copied().unwrap_or_default();
            let done = expected(&record.value).iter().zip(seen).all(|(wanted, seen)| seen >= *wanted);
            (!done).then(|| String::from_utf8_lossy(&record.value).into_owned())
        });
        if let Some(missing) = missing {
            self.violated(|| {
                format!(
                    "lost: offset {offset} of partition {partition} is committed, and `{missing}` is not done"
                )
            });
        }
    }

    /// Partitions were handed over gracefully.
    pub fn handed_over(&mut self, script: &Script, since: Duration, until: Duration) {
        let settings = script.settings;
        let longest = settings.shutdown_timeout;
        if until - since < longest || settings.network * 20 + settings.compute * 4 > longest {
            return;
        }
        let healthy =
            script.faults.iter().all(|(at, fault)| until < *at || *at + fault.lasts() + ECHO < since);
        if healthy {
            let took = until - since;
            self.violated(|| format!("slow: a hand-over took {took:?}, and nothing was wrong"));
        }
    }

    /// Everything is at rest.
    pub fn end(&mut self, topics: &TopicLogs, transactions: &Transactions) {
        for (partition, of) in topics.source.iter().enumerate() {
            for record in of.from(0) {
                let seen = self.seen.get(&(partition as i32, record.offset)).copied().unwrap_or_default();
                let wanted = expected(&record.value);
                let text = || String::from_utf8_lossy(&record.value).into_owned();
                if seen.iter().zip(wanted).any(|(seen, wanted)| *seen < wanted) {
                    self.violated(|| format!("lost: `{}` has no result at the end: {seen:?}", text()));
                }
                if seen.iter().zip(wanted).any(|(seen, wanted)| *seen > 0 && wanted == 0) {
                    self.violated(|| format!("wrong: `{}` has what it should not have: {seen:?}", text()));
                }
            }
        }
        let seen = topics.written.iter().filter(|written| {
            written.to == Destination::SINK && transactions.is_committed(written.transaction)
        });
        self.check_order(seen);
    }

    fn check_order<'a>(&mut self, seen: impl Iterator<Item = &'a Written>) {
        /// By writer (at-least-once), partition, and partition of the result topic or key.
        type Whose = (Option<ClientId>, i32, Vec<u8>);
        // The last offset, and how often it went back.
        let mut last: BTreeMap<Whose, (i64, u32)> = BTreeMap::new();
        let exactly_once = self.guarantee == Guarantee::ExactlyOnce;
        for written in seen {
            let record = &written.record;
            let value = record.value.as_deref().unwrap_or_default();
            let Some((partition, offset)) = place_of(value) else { continue };
            let of = match (self.order, &record.key) {
                (Order::Partition, _) => written.partition.to_string().into_bytes(),
                (Order::Key, Some(key)) => key.to_vec(),
                (Order::Key, None) | (Order::None, _) => continue,
            };
            let whose = ((!exactly_once).then_some(written.by), partition, of);
            let (before, back) = last.entry(whose).or_insert((offset, 0));
            *back += u32::from(offset < *before);
            // The first assignment does not excuse going back.
            if *back > if exactly_once { 0 } else { written.again.saturating_sub(1) } {
                let before = *before;
                return self.violated(|| {
                    format!("order: `{}` comes after offset {before}", String::from_utf8_lossy(value))
                });
            }
            *before = offset;
        }
    }
}

/// The results and dead letters that a record must have.
fn expected(value: &[u8]) -> Visible {
    let is = |kind: RecordKind| value.starts_with(kind.name().as_bytes());
    match () {
        () if is(RecordKind::Bad) || is(RecordKind::Refused) => [0, 0, 1],
        () if is(RecordKind::Drop) => [0, 0, 0],
        () if is(RecordKind::Twice) => [1, 1, 0],
        () => [1, 0, 0],
    }
}

fn which(to: Destination, value: &[u8]) -> Option<usize> {
    match (to, value) {
        (Destination::SINK, [.., b'-', b'>', b' ', b'1']) => Some(0),
        (Destination::SINK, [.., b'-', b'>', b' ', b'2']) => Some(1),
        (Destination::DeadLetter, [.., b'0'..=b'9']) if !value.contains(&b'>') => Some(2),
        _ => None,
    }
}

/// The source of a record, or of the record that a result was made from.
pub fn place_of(value: &[u8]) -> Option<(i32, i64)> {
    let place = std::str::from_utf8(value).ok()?.split(' ').nth(1)?;
    let (partition, offset) = place.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// The records that a commit's metadata says are done above its offset.
fn above<'a>(
    partition: i32,
    offset: i64,
    metadata: &str,
    of: &'a Partition,
) -> Vec<&'a super::topics::Stored> {
    if metadata.is_empty() {
        return Vec::new();
    }
    let records = of.from(offset);
    let mut batch = BatchBuilder::new(source(partition));
    for record in records {
        batch.push(Offset(record.offset), None, None, None, Headers::default());
    }
    let mut tracker = OffsetTracker::new(Offset(offset), metadata);
    let first = tracker.extend(&batch.build());
    let numbered = records.iter().zip(first..);
    numbered.filter(|(_, sequence)| tracker.is_done(*sequence)).map(|(record, _)| record).collect()
}
