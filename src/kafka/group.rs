//! A worker's place in its group, as a transaction needs it.

use std::sync::Arc;

use rdkafka::{
    bindings as rd,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata},
};

use super::rebalance::Rebalances;

/// The consumer group as a transaction needs it.
#[derive(Clone)]
pub struct Group(Arc<BaseConsumer<Rebalances>>);

impl Group {
    /// The group that this consumer is a member of.
    pub fn new(consumer: Arc<BaseConsumer<Rebalances>>) -> Self {
        Group(consumer)
    }

    /// The member's place in its group right now; `None` while it has none.
    ///
    /// A broker takes offsets from who says that it is no member of anything (KIP-447 keeps that for clients of
    /// before), so a worker that its group has put out must not ask: it would commit over the next owner.
    pub fn metadata(&self) -> Option<ConsumerGroupMetadata> {
        let metadata = self.0.group_metadata()?;
        // After that: who is put out in between stays so until the engine has taken notice.
        self.is_joined().then_some(metadata)
    }

    /// Whether the worker has a place in its group right now.
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
