//! The requests themselves, each in the oldest version that says what is needed and that Kafka 4 still knows.

use std::collections::BTreeMap;

use super::{
    Connection, WireError,
    bytes::{Malformed, Reader, Writer},
    connection::Api,
};

/// The codes of a broker that does not coordinate a transactional id, and of one that has never heard of it.
pub const NOT_COORDINATOR: i16 = 16;
/// See [`NOT_COORDINATOR`].
pub const UNKNOWN_TRANSACTION: i16 = 105;

const LIST_OFFSETS: Api = Api { key: 2, name: "ListOffsets", version: 2, flexible: false };
const WRITE_MARKERS: Api = Api { key: 27, name: "WriteTxnMarkers", version: 1, flexible: true };
const DESCRIBE_PRODUCERS: Api = Api { key: 61, name: "DescribeProducers", version: 0, flexible: true };
const DESCRIBE_TRANSACTIONS: Api = Api { key: 65, name: "DescribeTransactions", version: 0, flexible: true };
const LIST_TRANSACTIONS: Api = Api { key: 66, name: "ListTransactions", version: 0, flexible: true };

/// Asks for the offset behind the last record that may be read.
const LATEST: i64 = -1;

/// Partitions by their topics' names.
pub type Topics = BTreeMap<String, Vec<i32>>;

/// What a broker says of one partition, or with which code it refuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfPartition<T> {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// What it says, or Kafka's error code.
    pub said: Result<T, i16>,
}

/// A transaction as its coordinator lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The transactional id.
    pub id: String,
    /// Its producer's id.
    pub producer: i64,
    /// Kafka's name of its state, such as `Ongoing`.
    pub state: String,
}

/// A transaction as its coordinator describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// The transactional id.
    pub id: String,
    /// Kafka's error code; the rest says nothing where it is not 0.
    pub code: i16,
    /// Kafka's name of its state, such as `Ongoing`.
    pub state: String,
    /// Its time-out, in milliseconds.
    pub timeout: i32,
    /// When it began, in milliseconds since 1970 UTC; -1 where none is open.
    pub start: i64,
    /// Its producer's id.
    pub producer: i64,
    /// Its producer's epoch.
    pub epoch: i16,
    /// The partitions that are part of it and do not have its end yet.
    pub topics: Topics,
}

/// A producer that a partition remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// When it last wrote, in milliseconds since 1970 UTC.
    pub last_write: i64,
    /// The epoch of the coordinator that last ended a transaction of it here; -1 where none has.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction; -1 where none is open.
    pub start: i64,
}

type Read<T> = Result<T, Malformed>;

impl Connection {
    /// The transactions that this broker coordinates, in one of these states and of one of these producers; an empty list of either
    /// stands for all.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn list_transactions(
        &mut self,
        states: &[&str],
        producers: &[i64],
    ) -> Result<Vec<Listed>, WireError> {
        let body = |body: &mut Writer| {
            body.array(states, |body, state| body.string(state));
            body.array(producers, |body, id| body.i64(*id));
            body.end();
        };
        let (code, listed) = self.ask(LIST_TRANSACTIONS, body, |answer| {
            let _throttled = answer.i32()?;
            let code = answer.i16()?;
            let _unknown_states = answer.array(Reader::string)?;
            Ok((code, answer.array(listed)?))
        })?;
        self.unless_refused(LIST_TRANSACTIONS, code).map(|()| listed)
    }

    /// These transactions, as far as this broker coordinates them; see [`Described::code`].
    ///
    /// # Errors
    /// It does not answer.
    pub fn describe_transactions(&mut self, ids: &[String]) -> Result<Vec<Described>, WireError> {
        let body = |body: &mut Writer| {
            body.array(ids, |body, id| body.string(id));
            body.end();
        };
        self.ask(DESCRIBE_TRANSACTIONS, body, |answer| {
            let _throttled = answer.i32()?;
            answer.array(described)
        })
    }

    /// The producers that these partitions remember; this broker must lead them.
    ///
    /// # Errors
    /// It does not answer.
    pub fn describe_producers(
        &mut self,
        topics: &Topics,
    ) -> Result<Vec<OfPartition<Vec<Producer>>>, WireError> {
        let body = |body: &mut Writer| {
            partitions(body, topics);
            body.end();
        };
        self.ask(DESCRIBE_PRODUCERS, body, |answer| {
            let _throttled = answer.i32()?;
            of_partitions(answer, |of| {
                let (partition, code) = (of.i32()?, of.i16()?);
                let _words = of.nullable()?;
                let producers = of.array(producer)?;
                Ok((partition, if code == 0 { Ok(producers) } else { Err(code) }))
            })
        })
    }

    /// The ends of these partitions, which this broker must lead: the last stable offset for readers of what is committed, otherwise
    /// the high watermark.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ends(&mut self, topics: &Topics, committed: bool) -> Result<Vec<OfPartition<i64>>, WireError> {
        let topics: Vec<(&String, &Vec<i32>)> = topics.iter().collect();
        let body = |body: &mut Writer| {
            // A client, not a replica.
            body.i32(-1);
            body.i8(i8::from(committed));
            body.array(&topics, |body, (name, numbers)| {
                body.string(name);
                body.array(numbers, |body, number| {
                    body.i32(*number);
                    body.i64(LATEST);
                });
            });
        };
        self.ask(LIST_OFFSETS, body, |answer| {
            let _throttled = answer.i32()?;
            of_partitions(answer, |of| {
                let (partition, code, _time, offset) = (of.i32()?, of.i16()?, of.i64()?, of.i64()?);
                Ok((partition, if code == 0 { Ok(offset) } else { Err(code) }))
            })
        })
    }

    /// Writes the marker that aborts a producer's transaction in one partition, which this broker must lead.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn abort(&mut self, topic: &str, partition: i32, of: &Producer) -> Result<(), WireError> {
        // What no coordinator has ever ended here takes the first epoch that one has.
        let coordinator_epoch = of.coordinator_epoch.max(0);
        let topics = Topics::from([(topic.to_owned(), vec![partition])]);
        let body = |body: &mut Writer| {
            body.array(&[of], |body, of| {
                body.i64(of.id);
                // Kafka has 16 bits for it everywhere else.
                body.i16(of.epoch as i16);
                // Not committed.
                body.i8(0);
                partitions(body, &topics);
                body.i32(coordinator_epoch);
                body.end();
            });
            body.end();
        };
        let written = self.ask(WRITE_MARKERS, body, |answer| {
            answer.array(|marker| {
                let _producer = marker.i64()?;
                let of = of_partitions(marker, |of| {
                    let (partition, code) = (of.i32()?, of.i16()?);
                    Ok((partition, if code == 0 { Ok(()) } else { Err(code) }))
                })?;
                marker.end()?;
                Ok(of)
            })
        })?;
        let ours = written.into_iter().flatten().find(|of| of.topic == topic && of.partition == partition);
        match ours.map(|of| of.said) {
            Some(Ok(())) => Ok(()),
            Some(Err(code)) => self.unless_refused(WRITE_MARKERS, code),
            None => {
                let nothing = Malformed("it says nothing of the partition");
                Err(WireError::malformed(self.address(), WRITE_MARKERS.name, nothing))
            }
        }
    }

    fn unless_refused(&self, api: Api, code: i16) -> Result<(), WireError> {
        match code {
            0 => Ok(()),
            code => Err(WireError::Refused { address: self.address().to_owned(), api: api.name, code }),
        }
    }
}

/// Topics with their partitions.
fn partitions(body: &mut Writer, topics: &Topics) {
    let topics: Vec<(&String, &Vec<i32>)> = topics.iter().collect();
    body.array(&topics, |body, (name, numbers)| {
        body.string(name);
        body.array(numbers, |body, number| body.i32(*number));
        body.end();
    });
}

/// Topics with something of each of their partitions.
fn of_partitions<'a, T>(
    answer: &mut Reader<'a>,
    mut each: impl FnMut(&mut Reader<'a>) -> Read<(i32, Result<T, i16>)>,
) -> Read<Vec<OfPartition<T>>> {
    let topics = answer.array(|of| {
        let topic = of.string()?;
        let partitions = of.array(|of| {
            let (partition, said) = each(of)?;
            of.end()?;
            Ok(OfPartition { topic: topic.clone(), partition, said })
        })?;
        of.end()?;
        Ok(partitions)
    })?;
    Ok(topics.into_iter().flatten().collect())
}

fn listed(of: &mut Reader<'_>) -> Read<Listed> {
    let listed = Listed { id: of.string()?, producer: of.i64()?, state: of.string()? };
    of.end()?;
    Ok(listed)
}

fn described(of: &mut Reader<'_>) -> Read<Described> {
    let (code, id, state) = (of.i16()?, of.string()?, of.string()?);
    let (timeout, start, producer, epoch) = (of.i32()?, of.i64()?, of.i64()?, of.i16()?);
    let topics = of.array(|of| {
        let topic = (of.string()?, of.array(Reader::i32)?);
        of.end()?;
        Ok(topic)
    })?;
    of.end()?;
    let topics = topics.into_iter().collect();
    Ok(Described { id, code, state, timeout, start, producer, epoch, topics })
}

fn producer(of: &mut Reader<'_>) -> Read<Producer> {
    let (id, epoch, _last_sequence) = (of.i64()?, of.i32()?, of.i32()?);
    let (last_write, coordinator_epoch, start) = (of.i64()?, of.i32()?, of.i64()?);
    of.end()?;
    Ok(Producer { id, epoch, last_write, coordinator_epoch, start })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn producers(of: &mut Reader<'_>) -> Read<(i32, Result<Vec<Producer>, i16>)> {
        Ok((of.i32()?, Ok(of.array(producer)?)))
    }

    proptest! {
        #[test]
        fn whatever_bytes_an_answer_has_reading_it_ends_and_makes_no_more_of_them(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for flexible in [false, true] {
                let reader = || Reader::new(&bytes, flexible);
                prop_assert!(reader().array(listed).map_or(0, |all| all.len()) <= bytes.len());
                prop_assert!(reader().array(described).map_or(0, |all| all.len()) <= bytes.len());
                prop_assert!(of_partitions(&mut reader(), producers).map_or(0, |all| all.len()) <= bytes.len());
            }
        }
    }

    #[test]
    fn a_producer_and_a_transaction_are_read_as_kafka_writes_them() {
        let mut answer = Writer::new(true);
        answer.i64(4_002);
        answer.i32(3);
        answer.i32(17);
        answer.i64(1_700_000_000_000);
        answer.i32(-1);
        answer.i64(1_042);
        answer.end();
        let found = producer(&mut Reader::new(&answer.finish(), true));
        let last_write = 1_700_000_000_000;
        assert_eq!(
            found,
            Ok(Producer { id: 4_002, epoch: 3, last_write, coordinator_epoch: -1, start: 1_042 })
        );

        let mut answer = Writer::new(true);
        answer.i16(0);
        answer.string("id");
        answer.string("Ongoing");
        answer.i32(60_000);
        answer.i64(5);
        answer.i64(4_002);
        answer.i16(3);
        partitions(&mut answer, &Topics::from([("t".to_owned(), vec![2, 0])]));
        answer.end();
        let found = described(&mut Reader::new(&answer.finish(), true)).unwrap();
        assert_eq!((found.id.as_str(), found.state.as_str(), found.timeout), ("id", "Ongoing", 60_000));
        assert_eq!((found.start, found.producer, found.epoch), (5, 4_002, 3));
        assert_eq!(found.topics, Topics::from([("t".to_owned(), vec![2, 0])]));
    }
}
