//! What is computed on each scrape, because it changes with time alone or is asked for seldom.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    lag,
    names::*,
    progress::{Progress, Stage, lock},
    series::Sample,
};
use crate::record::TopicPartition;

impl Progress {
    /// Each owned partition, with its lag in records and in seconds.
    pub(super) fn lags(&self) -> Vec<(TopicPartition, u64, f64)> {
        let partitions = lock(&self.partitions);
        partitions
            .iter(lag::now())
            .map(|(partition, records, seconds)| (partition.clone(), records, seconds))
            .collect()
    }

    /// The series that are computed on each scrape.
    pub(super) fn samples(&self) -> Vec<Sample<'static>> {
        let mut samples: Vec<Sample<'static>> = Stage::ALL
            .iter()
            .map(|stage| {
                let seconds = self.stage(*stage).as_secs_f64();
                Sample::new(STAGE_SECONDS, [("stage", stage.name().into())], seconds)
            })
            .collect();
        let paused = Duration::from_nanos(self.paused.load(Relaxed)).as_secs_f64();
        samples.push(Sample::new(PAUSED_SECONDS, [], paused));
        let held = lock(&self.held);
        for (of, records, seconds) in self.lags() {
            let TopicPartition { topic, partition } = &of;
            let labels =
                || [("topic", topic.to_string().into()), ("partition", partition.to_string().into())];
            samples.push(Sample::new(LAG_RECORDS, labels(), records as f64));
            samples.push(Sample::new(LAG_SECONDS, labels(), seconds));
            let (records, seconds) = held.of(&of, lag::now());
            samples.push(Sample::new(HELD_RECORDS, labels(), records as f64));
            samples.push(Sample::new(HELD_SECONDS, labels(), seconds));
        }
        drop(held);
        let clients = lock(&self.clients);
        samples.push(Sample::new(FETCH_QUEUE, [], clients.fetch_queue() as f64));
        for (name, broker) in clients.brokers() {
            let labels = || [("broker", name.to_owned().into())];
            samples.push(Sample::new(BROKER_UP, labels(), f64::from(u8::from(broker.up))));
            samples.push(Sample::new(BROKER_ERRORS, labels(), broker.errors as f64));
            if let Some(rtt) = broker.rtt {
                samples.push(Sample::new(BROKER_RTT, labels(), rtt.as_secs_f64()));
            }
        }
        samples
    }
}
