//! Which partition a result goes to where its request says so.

use std::{
    sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    producer::{BaseProducer, Producer, ProducerContext},
};

use crate::{engine::reply, record::Record};

/// How long the broker may take to say how many partitions there are.
const ASK: Duration = Duration::from_secs(5);
/// How often it is asked before the first request, and the pause in between.
const FIRST_TIMES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often it is asked at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many partitions the result topic has, as far as is known: a wish that is out of range is not fulfilled, as
/// librdkafka would fail the record.
#[derive(Default)]
pub struct ReplyPartitions {
    count: AtomicI32,
    /// Whether a partition was wished for that is not known.
    asked_for_more: AtomicBool,
}

impl ReplyPartitions {
    /// The partition that the record is wanted at, if there is one.
    pub fn of(&self, record: &Record) -> Option<i32> {
        let partition = reply::partition(record)?;
        if partition < self.count.load(Relaxed) {
            return Some(partition);
        }
        self.asked_for_more.store(true, Relaxed);
        None
    }

    /// Asks the broker, if it has not said yet or a partition was wished for that is not known. Blocks meanwhile, and
    /// asks no more than once a second.
    pub fn refresh<C: ProducerContext + ClientContext>(
        &self,
        producer: &BaseProducer<C>,
        topic: &str,
        next: &mut Instant,
    ) {
        let unknown = self.count.load(Relaxed) == 0;
        if Instant::now() < *next || !(self.asked_for_more.swap(false, Relaxed) || unknown) {
            return;
        }
        *next = Instant::now() + INTERVAL;
        self.ask(producer, topic);
    }

    /// Asks the broker before the first request is answered: a few times, as a topic that is new is not known everywhere
    /// at once, and soon no more, as it may only come with the first result.
    pub fn ask_first<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>, topic: &str) {
        for _ in 0..FIRST_TIMES {
            self.ask(producer, topic);
            if self.count.load(Relaxed) > 0 {
                return;
            }
            std::thread::sleep(FIRST_PAUSE);
        }
    }

    /// Asks the broker. Where it does not answer, it is asked again.
    pub fn ask<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>, topic: &str) {
        let Ok(metadata) = producer.client().fetch_metadata(Some(topic), ASK) else { return };
        let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        if count > 0 {
            self.count.store(i32::try_from(count).unwrap_or(i32::MAX), Relaxed);
        }
    }
}
