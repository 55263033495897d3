//! Chooses the partition of a result where librdkafka does not: the one that its request names, and one that
//! keeps results without a key in the order of their requests.

use std::{
    sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    producer::{BaseProducer, Producer, ProducerContext},
};

use super::SinkTopics;
use crate::{
    engine::reply,
    pieces::is_part,
    record::{Record, ResultTopic},
};

/// How long the broker may take to answer.
const ASK: Duration = Duration::from_secs(5);
/// How many times it is asked before the first request, and the pause in between.
const FIRST_TIMES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The shortest time between two requests after that.
const INTERVAL: Duration = Duration::from_secs(1);

/// Knows how many partitions the result topics have, and so which one a result goes to.
pub struct Places {
    requests: bool,
    in_order: bool,
    /// How many topics, the last ones, have their records in the partition `from`.
    beside: usize,
    topics: Vec<Topic>,
}

/// What is known about a result topic.
struct Topic {
    name: String,
    /// Its partitions; 0 where that is not known yet.
    count: AtomicI32,
    /// Whether a request has named a partition that is not known yet.
    asked_for_more: AtomicBool,
}

impl Places {
    /// For results whose requests may name a partition, or which are in order, as the topics say.
    pub fn new(topics: &SinkTopics) -> Self {
        let SinkTopics { requests, in_order, beside, ref names } = *topics;
        let topic = |name: &String| Topic {
            name: name.clone(),
            count: AtomicI32::new(0),
            asked_for_more: AtomicBool::new(false),
        };
        Places { requests, in_order, beside, topics: names.results.iter().map(topic).collect() }
    }

    /// The partition, in that topic, for the result of a record from the source's partition `from`;
    /// `None` where librdkafka chooses, by the key if there is one.
    pub fn of(&self, to: ResultTopic, record: &Record, from: i32) -> Option<i32> {
        if usize::from(to.0) >= self.topics.len() - self.beside {
            return Some(from);
        }
        let topic = &self.topics[usize::from(to.0)];
        let wish = if self.requests { reply::partition(record) } else { None };
        let count = topic.count.load(Relaxed);
        match wish {
            Some(wish) if wish < count => return Some(wish),
            // librdkafka would fail a record for an unknown partition.
            Some(_) => topic.asked_for_more.store(true, Relaxed),
            None => {}
        }
        // librdkafka would choose another partition for each batch, and for a record that is done again,
        // which breaks the order.
        if record.key.is_some() {
            return None;
        }
        if is_part(record) {
            // They have to be in one partition, and the first one is always there.
            return Some(from % count.max(1));
        }
        (self.in_order && count > 0).then(|| from % count)
    }

    /// Asks the broker how many partitions there are, where that is not known or a request has named an
    /// unknown one. Blocks meanwhile, and asks at most once a second.
    pub fn refresh<C: ProducerContext + ClientContext>(
        &self,
        producer: &BaseProducer<C>,
        next: &mut Instant,
    ) {
        if Instant::now() < *next {
            return;
        }
        for topic in &self.topics {
            let unknown = self.matters() && topic.count.load(Relaxed) == 0;
            if topic.asked_for_more.swap(false, Relaxed) || unknown {
                *next = Instant::now() + INTERVAL;
                topic.fetch_count(producer);
            }
        }
    }

    /// Asks the broker before the first request is answered: several times, as not all brokers know a new
    /// topic at once; and not for long, as the topic may only be created by the first result.
    pub fn ask_first<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>) {
        if !self.matters() {
            return;
        }
        for _ in 0..FIRST_TIMES {
            let unknown = || self.topics.iter().filter(|topic| topic.count.load(Relaxed) == 0);
            unknown().for_each(|topic| topic.fetch_count(producer));
            if unknown().next().is_none() {
                return;
            }
            std::thread::sleep(FIRST_PAUSE);
        }
    }

    fn matters(&self) -> bool {
        self.requests || self.in_order
    }
}

impl Topic {
    /// Fetches the number of partitions; keeps the old one if the broker does not answer.
    fn fetch_count<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>) {
        let Ok(metadata) = producer.client().fetch_metadata(Some(&self.name), ASK) else { return };
        let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        if count > 0 {
            self.count.store(i32::try_from(count).unwrap_or(i32::MAX), Relaxed);
        }
    }
}
