//! Reads a part of a topic, within bounds: a look into a topic of millions must come to its end.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::reader::{self, ASK, Ends, Isolation, POLL, Seen, seen};

/// Where reading begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At these offsets; in partitions that are not among them, at their beginnings.
    At(Ends),
    /// So many offsets before the ends, in all partitions together.
    Newest(u64),
}

/// What ends reading before the ends of the partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// How many records are read.
    pub records: u64,
    /// How many bytes of keys, values and headers are read; one record more may be.
    pub bytes: u64,
    /// How long it takes.
    pub time: Duration,
}

/// What was read of a topic.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Looked {
    /// Up to where each partition was read: the first offset that was not.
    pub to: Ends,
    /// How many records were read.
    pub records: u64,
    /// How many offsets lie before where reading began.
    pub before: u64,
    /// How many offsets were left, of those that there were when reading began.
    pub behind: u64,
}

/// A partition that is being read.
struct Reading {
    first: i64,
    at: i64,
    end: i64,
}

/// Reads the committed records of a topic up to the ends that the partitions have at the beginning, or until a bound is met, or
/// `each` breaks off; the record at which it does counts as read.
///
/// # Errors
/// No broker answers within the time.
pub fn read_part(
    config: &ClientConfig,
    topic: &str,
    begin: &Begin,
    bounds: Bounds,
    mut each: impl FnMut(Seen) -> ControlFlow<()>,
) -> Result<Looked, String> {
    let deadline = Instant::now() + bounds.time;
    let consumer = reader::consumer(config, Isolation::Committed).map_err(|error| error.to_string())?;
    let mut parts = parts(&consumer, topic, begin, bounds.time)?;
    let mut looked = Looked {
        before: parts.iter().map(|(_, part)| part.at.abs_diff(part.first)).sum(),
        ..Looked::default()
    };
    let mut open: BTreeSet<i32> =
        parts.iter().filter(|(_, part)| part.at < part.end).map(|(number, _)| *number).collect();
    assign(&consumer, topic, parts.iter().filter(|(number, _)| open.contains(number)))
        .map_err(|error| error.to_string())?;
    let (name, mut bytes) = (Arc::from(topic), 0);
    while !open.is_empty() && Instant::now() < deadline {
        match consumer.poll(POLL) {
            Some(Ok(message)) if open.contains(&message.partition()) => {
                let Some((_, part)) = parts.iter_mut().find(|(number, _)| *number == message.partition())
                else {
                    continue;
                };
                if message.offset() < part.end {
                    let letter = seen(&message, &name);
                    part.at = message.offset() + 1;
                    looked.records += 1;
                    bytes += letter.record.size() as u64;
                    if each(letter).is_break() || looked.records >= bounds.records || bytes >= bounds.bytes {
                        break;
                    }
                }
                if message.offset() + 1 >= part.end {
                    part.at = part.end;
                    open.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                // What is between the last record and the end are marks of transactions.
                if open.remove(&partition)
                    && let Some((_, part)) = parts.iter_mut().find(|(number, _)| *number == partition)
                {
                    part.at = part.end;
                }
            }
            // Brokers come and go; the deadline decides.
            Some(Ok(_) | Err(_)) | None => {}
        }
    }
    if !open.is_empty() && looked.records == 0 {
        return Err(format!(
            "nothing of {topic} could be read in {:?}: does its broker answer?",
            bounds.time
        ));
    }
    looked.behind = parts.iter().map(|(_, part)| part.end.abs_diff(part.at)).sum();
    looked.to = parts.into_iter().map(|(number, part)| (number, part.at)).collect();
    Ok(looked)
}

/// The partitions, each with where reading begins.
fn parts(
    consumer: &BaseConsumer,
    topic: &str,
    begin: &Begin,
    limit: Duration,
) -> Result<Vec<(i32, Reading)>, String> {
    let all = reader::until(limit, || reader::partitions(consumer, topic))
        .ok_or_else(|| format!("the partitions of {topic} cannot be fetched"))?;
    let share = |newest: u64| i64::try_from(newest.div_ceil(all.len() as u64)).unwrap_or(i64::MAX);
    let part = |number: &i32| {
        let asked = reader::until(limit, || consumer.fetch_watermarks(topic, *number, ASK.min(limit)).ok());
        let (first, end) = asked.ok_or_else(|| format!("the end of {topic}[{number}] cannot be fetched"))?;
        let at = match begin {
            Begin::At(offsets) => offsets.get(number).copied().unwrap_or(first),
            Begin::Newest(newest) => end.saturating_sub(share(*newest)),
        };
        Ok((*number, Reading { first, at: at.clamp(first, end), end }))
    };
    all.iter().map(part).collect()
}

fn assign<'a>(
    consumer: &BaseConsumer,
    topic: &str,
    parts: impl Iterator<Item = &'a (i32, Reading)>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (number, part) in parts {
        list.add_partition_offset(topic, *number, Offset::Offset(part.at))?;
    }
    consumer.assign(&list)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
    };

    use super::*;

    const ALL: Bounds = Bounds { records: u64::MAX, bytes: u64::MAX, time: Duration::from_secs(30) };

    /// A topic of two partitions, with the values `0/0` to `0/9` and `1/0` to `1/9`.
    fn twenty() -> (MockCluster<'static, DefaultProducerContext>, ClientConfig) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        for n in 0..20 {
            let value = format!("{}/{}", n % 2, n / 2);
            producer.send(BaseRecord::<(), _>::to("t").payload(&value).partition(n % 2)).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        (cluster, config)
    }

    fn read(config: &ClientConfig, begin: &Begin, bounds: Bounds) -> (BTreeSet<String>, Looked) {
        let mut values = BTreeSet::new();
        let looked = read_part(config, "t", begin, bounds, |seen| {
            values.insert(String::from_utf8(seen.record.value.unwrap().to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        (values, looked.unwrap())
    }

    fn values(list: &[(i32, std::ops::Range<i64>)]) -> BTreeSet<String> {
        let of = |(number, range): &(i32, std::ops::Range<i64>)| {
            let number = *number;
            range.clone().map(move |n| format!("{number}/{n}")).collect::<Vec<_>>()
        };
        list.iter().flat_map(of).collect()
    }

    #[test]
    fn a_part_begins_where_it_is_wanted_and_says_what_lies_before_it() {
        let (_cluster, config) = twenty();
        let (found, looked) = read(&config, &Begin::At(Ends::from([(0, 7)])), ALL);
        assert_eq!(found, values(&[(0, 7..10), (1, 0..10)]));
        let to = Ends::from([(0, 10), (1, 10)]);
        assert_eq!(looked, Looked { to: to.clone(), records: 13, before: 7, behind: 0 });
        let (found, looked) = read(&config, &Begin::Newest(5), ALL);
        assert_eq!(found, values(&[(0, 7..10), (1, 7..10)]));
        assert_eq!(looked, Looked { to: to.clone(), records: 6, before: 14, behind: 0 });
        let (found, looked) = read(&config, &Begin::At(to.clone()), ALL);
        assert_eq!((found, looked), (BTreeSet::new(), Looked { to, records: 0, before: 20, behind: 0 }));
        // Offsets that are not there mean the nearest.
        let (found, _) = read(&config, &Begin::At(Ends::from([(0, -5), (1, 99)])), ALL);
        assert_eq!(found, values(&[(0, 0..10)]));
    }

    #[test]
    fn a_bound_ends_it_and_nothing_counts_as_read_that_was_not() {
        let (_cluster, config) = twenty();
        for bounds in [Bounds { records: 4, ..ALL }, Bounds { bytes: 12, ..ALL }] {
            let (found, looked) = read(&config, &Begin::Newest(100), bounds);
            assert_eq!((looked.records, looked.behind, looked.before), (4, 16, 0));
            let expected: Vec<_> = looked.to.iter().map(|(number, to)| (*number, 0..*to)).collect();
            assert_eq!(found, values(&expected));
        }
        let mut seen = 0;
        let looked = read_part(&config, "t", &Begin::Newest(100), ALL, |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(looked.map(|looked| (looked.records, looked.to.values().sum())), Ok((3, 3_i64)));
    }
}
