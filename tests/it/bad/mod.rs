//! Many records of each format, a tenth of them bad in each way that the format can be: every good one has its result, and every
//! bad one is a dead letter, byte for byte.

mod avro;
mod plain;
mod protobuf;

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Consumed, Site};

/// What makes of a good value a bad one, and the class of its dead letter.
type Bad = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

/// What a format is tried with.
struct Tried<'a> {
    /// All that the file says beside its name and the topics.
    file: &'a str,
    /// How many records there are.
    count: usize,
    /// A good value, and what becomes of it.
    good: &'a dyn Fn(usize) -> (Option<Vec<u8>>, Option<Vec<u8>>),
    bad: &'a [Bad],
}

impl Tried<'_> {
    /// How the record of that number is bad, for one in ten.
    fn bad(&self, id: usize) -> Option<&Bad> {
        (id % 10 == 3).then(|| &self.bad[id / 10 % self.bad.len()])
    }

    /// Sends the records, has a worker drain them, and looks at each result and each dead letter.
    fn holds(&self, site: &Site, folder: &tempfile::TempDir) {
        let producer = site.producer(3);
        for id in 0..self.count {
            let value = match self.bad(id) {
                None => (self.good)(id).0,
                // Not every good value has bytes to spoil.
                Some((_, spoil)) => {
                    spoil(&(id..).find_map(|id| (self.good)(id).0.filter(|value| !value.is_empty())).unwrap())
                }
            };
            producer.send(&format!("{id}"), value.as_deref(), None);
        }
        producer.flush();
        let file = folder.path().join("bad.toml");
        std::fs::write(&file, format!("name = 'bad'\n{}", self.file)).unwrap();
        let (code, _, log) = site.pipeline(&["run", file.to_str().unwrap(), "--drain"]);
        assert_eq!(code, 0, "{log}");

        let sent: BTreeMap<usize, Consumed> =
            site.read(&site.source).into_iter().map(|record| (id(&record), record)).collect();
        let (bad, good): (BTreeSet<usize>, BTreeSet<usize>) =
            (0..self.count).partition(|id| self.bad(*id).is_some());
        each_once(&site.read(&site.sink), good, |id, result| {
            assert_eq!(result.value, (self.good)(id).1, "{id}: {:?}", sent[&id]);
            assert_eq!((&result.headers, result.timestamp), (&sent[&id].headers, sent[&id].timestamp));
        });
        each_once(&site.read(&site.dead_letters), bad, |id, letter| {
            let (sent, class) = (&sent[&id], self.bad(id).unwrap().0);
            let found = letter.header("pipeline.error.class");
            assert_eq!(found, Some(class), "{id}: {:?}", letter.header("pipeline.error.message"));
            assert!(letter.value == sent.value && letter.timestamp == sent.timestamp, "{id} as it came");
            let (own, added) = letter.headers.split_at(sent.headers.len());
            assert_eq!(own, sent.headers);
            assert!(added.iter().all(|(name, _)| name.starts_with("pipeline.error.")), "{added:?}");
            for (name, expected) in [
                ("topic", site.source.clone()),
                ("partition", sent.partition.to_string()),
                ("offset", sent.offset.to_string()),
                ("attempts", "1".to_owned()),
            ] {
                assert_eq!(letter.header(&format!("pipeline.error.{name}")), Some(&expected[..]), "{id}");
            }
            let message = letter.header("pipeline.error.message").unwrap();
            assert!((10..1_000).contains(&message.len()), "{id}: {message}");
        });
    }
}

fn id(record: &Consumed) -> usize {
    record.key().parse().unwrap()
}

/// That each of these ids is there once, and is what `look` says.
fn each_once(records: &[Consumed], mut missing: BTreeSet<usize>, look: impl Fn(usize, &Consumed)) {
    for record in records {
        let id = id(record);
        assert!(missing.remove(&id), "{id} is there twice, or should not be there: {record:?}");
        look(id, record);
    }
    assert!(missing.is_empty(), "{} are missing: {:?}", missing.len(), missing.iter().next());
}

/// Seven bits a byte, the least significant first.
fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// All but the last byte.
fn cut(good: &[u8]) -> Option<Vec<u8>> {
    Some(good[..good.len() - 1].to_vec())
}

/// With a byte more.
fn longer(good: &[u8]) -> Option<Vec<u8>> {
    Some([good, &[7]].concat())
}
