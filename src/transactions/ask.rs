//! Asks the leaders of partitions and the coordinators of transactions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Coordinated, Open, PlaceError, Places, Verdict, judge::judge, now};
use crate::{
    record::TopicPartition,
    wire::{
        Brokers, Connection, Described, NOT_COORDINATOR, OfPartition, Producer, Topics, UNKNOWN_TRANSACTION,
        WireError, meaning,
    },
};

/// The states in which a transaction is open. Coordinators leave names out that they do not know.
const OPEN: &[&str] = &["Ongoing", "PrepareCommit", "PrepareAbort"];

/// What there is at some partitions now.
pub struct Survey {
    /// When it was asked, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The transactions that are open.
    pub transactions: Vec<Transaction>,
    /// What could not be asked, and why, in sentences.
    pub gaps: Vec<String>,
}

/// An open transaction.
pub struct Transaction {
    /// What its coordinator says of it, if one knows its producer.
    pub of: Option<Coordinated>,
    /// Its producer's id.
    pub producer: i64,
    /// Where it is open, of the partitions that were asked.
    pub open: Vec<OpenAt>,
}

/// A transaction that is open at a partition, and what it holds back there.
pub struct OpenAt {
    /// What the partition's leader says.
    pub open: Open,
    /// Whether it hangs.
    pub verdict: Verdict,
    /// The partition's last stable offset and its end, where they are known.
    pub ends: Option<(i64, i64)>,
}

impl OpenAt {
    /// Whether this is the one that holds the partition's last stable offset: the first of those that are open.
    pub fn holds(&self) -> bool {
        self.ends.is_some_and(|(stable, _)| stable == self.open.start)
    }
}

impl Places {
    /// Which transactions are open at the partitions, and which of them hang.
    ///
    /// # Errors
    /// No broker answers.
    pub fn survey(&mut self) -> Result<Survey, PlaceError> {
        let mut gaps = Vec::new();
        // A transaction that ends while this asks would not be known to its coordinator any more. So what counts is what is open before
        // the coordinators are asked and after that.
        let before = self.open(&mut gaps);
        let producers: BTreeSet<i64> = before.values().map(|open| open.producer).collect();
        let (known, unseen) = self.coordinated(&producers, &mut gaps)?;
        let mut after = self.open(&mut Vec::new());
        after.retain(|place, open| before.get(place).is_some_and(|before| before.epoch == open.epoch));
        let ends = self.ends(after.values().map(|open| &open.partition), &mut gaps);
        let at = now();
        let mut transactions = grouped(after.into_values(), known, |open, of| OpenAt {
            verdict: judge(&open, of, unseen.as_deref(), at, self.interval),
            ends: ends.get(&open.partition).copied(),
            open,
        });
        transactions.retain(|one| !one.open.is_empty() || self.is_meant(one.of.as_ref()));
        Ok(Survey { at, transactions, gaps })
    }

    /// The same, with new connections: brokers close those that were idle for minutes.
    ///
    /// # Errors
    /// No broker answers.
    pub fn survey_again(&mut self) -> Result<Survey, PlaceError> {
        self.brokers.forget_all();
        self.survey()
    }

    /// What the coordinator of a transactional id says of it; `None` where none knows it. And what could not be asked.
    pub fn described(&mut self, id: &str) -> (Option<Coordinated>, Vec<String>) {
        let mut gaps = Vec::new();
        let ids = [id.to_owned()];
        for broker in self.brokers.ids() {
            let described =
                asked(&mut self.brokers, broker, |connection| connection.describe_transactions(&ids));
            match described.map(|described| described.into_iter().find(|of| of.id == id)) {
                Ok(Some(of)) if of.code == 0 => return (Some(of_described(of, broker)), gaps),
                Ok(Some(of)) if of.code == NOT_COORDINATOR || of.code == UNKNOWN_TRANSACTION => {}
                Ok(Some(of)) => {
                    gaps.push(format!("broker {broker} says nothing of it: {}", meaning(of.code)))
                }
                Ok(None) => {}
                Err(error) => gaps.push(gap(broker, &error)),
            }
        }
        (None, gaps)
    }

    /// What coordinators know of these producers' transactions, and of all that are open anywhere; and why there may be more of them, if
    /// there may.
    fn coordinated(
        &mut self,
        producers: &BTreeSet<i64>,
        gaps: &mut Vec<String>,
    ) -> Result<(Vec<Coordinated>, Option<String>), PlaceError> {
        let headless = self.headless()?;
        if headless > 0 {
            gaps.push(format!(
                "{headless} partitions of __transaction_state have no leader, so nothing is known of what these coordinate: is a broker down?"
            ));
        }
        let before = gaps.len();
        let known = coordinated(&mut self.brokers, producers, gaps);
        let unseen = if headless > 0 || gaps.len() > before {
            Some(
                "no coordinator that could be asked knows its producer, and not all of them could".to_owned(),
            )
        } else if !sees_all(&mut self.brokers) {
            Some(
                "no coordinator says that it knows its producer, and of transactional ids on which this user lacks the right DESCRIBE they \
                 say nothing; ask as a user who has it on all of them"
                    .to_owned(),
            )
        } else {
            None
        };
        Ok((known, unseen))
    }

    /// Whether a transaction that has written nothing to the partitions yet is one of theirs all the same.
    fn is_meant(&self, of: Option<&Coordinated>) -> bool {
        of.is_some_and(|of| {
            of.is_open()
                && (of.id.starts_with(&self.own)
                    || of.partitions.iter().any(|partition| self.leaders.contains_key(partition)))
        })
    }

    /// The transactions that are open, by partition, producer and first offset.
    pub(super) fn open(&mut self, gaps: &mut Vec<String>) -> BTreeMap<(TopicPartition, i64, i64), Open> {
        let said = at_leaders(&mut self.brokers, &self.leaders, gaps, Connection::describe_producers);
        let open = said.into_iter().flat_map(|(partition, producers)| {
            let open = producers.into_iter().filter(|producer| producer.start >= 0);
            open.map(move |producer| {
                ((partition.clone(), producer.id, producer.start), of_producer(partition.clone(), &producer))
            })
        });
        open.collect()
    }

    /// The last stable offset and the end of each of these partitions.
    pub(super) fn ends<'a>(
        &mut self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
        gaps: &mut Vec<String>,
    ) -> BTreeMap<TopicPartition, (i64, i64)> {
        let leaders: BTreeMap<TopicPartition, i32> = partitions
            .filter_map(|partition| Some((partition.clone(), *self.leaders.get(partition)?)))
            .collect();
        let mut ends = |committed| -> BTreeMap<TopicPartition, i64> {
            let ends = at_leaders(&mut self.brokers, &leaders, gaps, |broker, topics| {
                broker.ends(topics, committed)
            });
            ends.into_iter().collect()
        };
        // In this order: a last stable offset is never behind an end that is asked for after it.
        let (stable, end) = (ends(true), ends(false));
        let both = |(partition, stable): (TopicPartition, i64)| {
            let end = *end.get(&partition)?;
            Some((partition, (stable, end)))
        };
        stable.into_iter().filter_map(both).collect()
    }
}

/// The transactions of these producers, and all that are open anywhere.
fn coordinated(brokers: &mut Brokers, producers: &BTreeSet<i64>, gaps: &mut Vec<String>) -> Vec<Coordinated> {
    let producers: Vec<i64> = producers.iter().copied().collect();
    let mut known = Vec::new();
    for broker in brokers.ids() {
        let described = asked(brokers, broker, |connection| {
            let mut listed = connection.list_transactions(OPEN, &[])?;
            // Those that are over, too: with no producers, it would be all that there have ever been.
            if !producers.is_empty() {
                listed.extend(connection.list_transactions(&[], &producers)?);
            }
            let ids: BTreeSet<String> = listed.into_iter().map(|of| of.id).collect();
            let ids: Vec<String> = ids.into_iter().collect();
            if ids.is_empty() { Ok(Vec::new()) } else { connection.describe_transactions(&ids) }
        });
        match described {
            Err(error) => gaps.push(gap(broker, &error)),
            Ok(described) => {
                for of in described {
                    match of.code {
                        0 => known.push(of_described(of, broker)),
                        // It was forgotten meanwhile.
                        UNKNOWN_TRANSACTION => {}
                        code => gaps.push(format!(
                            "broker {broker} does not describe {}: {}",
                            of.id,
                            meaning(code)
                        )),
                    }
                }
            }
        }
    }
    known
}

/// Whether this user may see all transactional ids: then it is told of one that nobody has that there is none, and not that it lacks a
/// right.
fn sees_all(brokers: &mut Brokers) -> bool {
    let nobodys = [uuid::Uuid::new_v4().to_string()];
    let mut answers = brokers.ids().into_iter().filter_map(|broker| {
        asked(brokers, broker, |connection| connection.describe_transactions(&nobodys)).ok()
    });
    answers.next().is_some_and(|answer| {
        !answer.is_empty() && answer.iter().all(|of| matches!(of.code, NOT_COORDINATOR | UNKNOWN_TRANSACTION))
    })
}

/// Puts what is open and what coordinators say of it together, by producer.
fn grouped(
    open: impl Iterator<Item = Open>,
    known: Vec<Coordinated>,
    mut at: impl FnMut(Open, Option<&Coordinated>) -> OpenAt,
) -> Vec<Transaction> {
    let mut all: BTreeMap<i64, Transaction> = BTreeMap::new();
    for of in known {
        all.insert(of.producer, Transaction { producer: of.producer, of: Some(of), open: Vec::new() });
    }
    for open in open {
        let producer = open.producer;
        let one = all.entry(producer).or_insert_with(|| Transaction { of: None, producer, open: Vec::new() });
        let at = at(open, one.of.as_ref());
        one.open.push(at);
    }
    all.into_values().collect()
}

/// Asks the leader of each partition.
fn at_leaders<T>(
    brokers: &mut Brokers,
    leaders: &BTreeMap<TopicPartition, i32>,
    gaps: &mut Vec<String>,
    ask: impl Fn(&mut Connection, &Topics) -> Result<Vec<OfPartition<T>>, WireError>,
) -> Vec<(TopicPartition, T)> {
    let mut by_leader: BTreeMap<i32, Topics> = BTreeMap::new();
    for (partition, leader) in leaders {
        match leader {
            -1 => {
                gaps.push(format!("{partition} has no leader, so nothing is known of it: is a broker down?"))
            }
            leader => {
                let topics = by_leader.entry(*leader).or_default();
                topics.entry(partition.topic.to_string()).or_default().push(partition.partition);
            }
        }
    }
    let mut all = Vec::new();
    for (leader, topics) in by_leader {
        match asked(brokers, leader, |connection| ask(connection, &topics)) {
            Err(error) => gaps.push(gap(leader, &error)),
            Ok(said) => {
                for OfPartition { topic, partition, said } in said {
                    let partition = TopicPartition::new(topic, partition);
                    match said {
                        Ok(said) => all.push((partition, said)),
                        Err(code) => gaps
                            .push(format!("broker {leader} says nothing of {partition}: {}", meaning(code))),
                    }
                }
            }
        }
    }
    all
}

/// Asks one broker; where that fails, the next time begins with a new connection.
pub(super) fn asked<T>(
    brokers: &mut Brokers,
    broker: i32,
    ask: impl FnOnce(&mut Connection) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let answer = brokers.at(broker).and_then(ask);
    if answer.is_err() {
        brokers.forget(broker);
    }
    answer
}

fn gap(broker: i32, error: &WireError) -> String {
    format!("broker {broker} could not be asked: {error}")
}

fn of_producer(partition: TopicPartition, producer: &Producer) -> Open {
    Open {
        partition,
        producer: producer.id,
        epoch: producer.epoch,
        coordinator_epoch: producer.coordinator_epoch,
        start: producer.start,
        last_write: producer.last_write,
    }
}

fn of_described(of: Described, coordinator: i32) -> Coordinated {
    let partitions = of.topics.into_iter().flat_map(|(topic, numbers)| {
        let topic: std::sync::Arc<str> = topic.into();
        numbers.into_iter().map(move |number| TopicPartition::new(topic.clone(), number))
    });
    Coordinated {
        partitions: partitions.collect(),
        id: of.id,
        coordinator,
        state: of.state,
        timeout: std::time::Duration::from_millis(of.timeout.try_into().unwrap_or(0)),
        start: (of.start >= 0).then_some(of.start),
        producer: of.producer,
        epoch: of.epoch,
    }
}
