//! Which partition a result goes to where librdkafka does not choose it: where its request says so, and where results that
//! have no key keep their requests' order.

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

/// How many partitions the result topic has, as far as is known, and what follows from it.
pub struct Places {
    requests: bool,
    in_order: bool,
    count: AtomicI32,
    /// Whether a partition was wished for that is not known.
    asked_for_more: AtomicBool,
}

impl Places {
    /// Of records that may wish for a partition where they are `requests`, and otherwise follow their source's partition
    /// where they go `in_order`.
    pub fn new(requests: bool, in_order: bool) -> Self {
        Places { requests, in_order, count: AtomicI32::new(0), asked_for_more: AtomicBool::new(false) }
    }

    /// The partition that the result of a record from the source's partition `from` goes to; `None` where librdkafka
    /// chooses, by the key if there is one.
    pub fn of(&self, record: &Record, from: i32) -> Option<i32> {
        let wish = if self.requests { reply::partition(record) } else { None };
        let count = self.count.load(Relaxed);
        match wish {
            Some(wish) if wish < count => return Some(wish),
            // librdkafka would fail the record.
            Some(_) => self.asked_for_more.store(true, Relaxed),
            None => {}
        }
        // librdkafka would choose anew for each batch, and for a record that is done again: that is no order.
        (self.in_order && record.key.is_none() && count > 0).then(|| from % count)
    }

    /// Asks the broker, if it has not said yet or a partition was wished for that is not known. Blocks meanwhile, and
    /// asks no more than once a second.
    pub fn refresh<C: ProducerContext + ClientContext>(
        &self,
        producer: &BaseProducer<C>,
        topic: &str,
        next: &mut Instant,
    ) {
        let unknown = self.matters() && self.count.load(Relaxed) == 0;
        if Instant::now() < *next || !(self.asked_for_more.swap(false, Relaxed) || unknown) {
            return;
        }
        *next = Instant::now() + INTERVAL;
        self.ask(producer, topic);
    }

    /// Asks the broker before the first request is answered: a few times, as a topic that is new is not known everywhere
    /// at once, and soon no more, as it may only come with the first result.
    pub fn ask_first<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>, topic: &str) {
        if !self.matters() {
            return;
        }
        for _ in 0..FIRST_TIMES {
            self.ask(producer, topic);
            if self.count.load(Relaxed) > 0 {
                return;
            }
            std::thread::sleep(FIRST_PAUSE);
        }
    }

    fn matters(&self) -> bool {
        self.requests || self.in_order
    }

    /// Asks the broker. Where it does not answer, it is asked again.
    fn ask<C: ProducerContext + ClientContext>(&self, producer: &BaseProducer<C>, topic: &str) {
        let Ok(metadata) = producer.client().fetch_metadata(Some(topic), ASK) else { return };
        let count = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        if count > 0 {
            self.count.store(i32::try_from(count).unwrap_or(i32::MAX), Relaxed);
        }
    }
}
