//! A worker's membership in its group, as a transaction needs it.

use std::sync::Arc;

use rdkafka::{
    bindings as rd,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata},
};

use super::rebalance::Rebalances;

/// The consumer group, for the offsets of a transaction.
#[derive(Clone)]
pub struct Group(Arc<BaseConsumer<Rebalances>>);

impl Group {
    /// The group that this consumer is a member of.
    pub fn new(consumer: Arc<BaseConsumer<Rebalances>>) -> Self {
        Group(consumer)
    }

    /// The worker's current membership; `None` while it has none.
    ///
    /// A broker accepts offsets from clients that name no member (KIP-447 keeps that for older clients), so a
    /// worker that its group has removed must not send any: it would commit over the next owner.
    pub fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        let metadata = self.0.group_metadata()?;
        // Checked afterwards: a worker that is removed in between does not join again before the engine has
        // let go.
        self.is_joined().then_some(metadata)
    }

    /// Whether the worker is a member of its group now.
    pub fn is_joined(&self) -> bool {
        // SAFETY: the consumer is live, and the metadata is destroyed once, after its last use.
        unsafe {
            let metadata = rd::rd_kafka_consumer_group_metadata(self.0.client().native_ptr());
            if metadata.is_null() {
                return false;
            }
            let generation = rd::rd_kafka_consumer_group_metadata_generation_id(metadata);
            rd::rd_kafka_consumer_group_metadata_destroy(metadata);
            // Generations, and the epochs of KIP-848, count from 1.
            generation > 0
        }
    }
}
