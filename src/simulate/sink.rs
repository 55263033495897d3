//! The engine's sink, on a simulated producer.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use super::{
    judge::place_of,
    producer::{QueuedRecord, Turn},
    world::{ClientId, Shared, lock},
};
use crate::{
    engine::{CommitError, CommitOffset, Delivery, DeliveryError, Guarantee, SendError, Sink, Stop, Token},
    record::{Destination, Record},
};

/// The engine's sink.
pub struct SimulatedSink {
    pub world: Shared,
    pub client: ClientId,
}

impl Sink for SimulatedSink {
    fn send(&mut self, to: Destination, _from: i32, record: &Record, token: Token) -> Result<(), SendError> {
        let mut world = lock(&self.world);
        let room = world.script.settings.room;
        let transactional = world.script.guarantee == Guarantee::ExactlyOnce;
        let producer = world.producer(self.client);
        if let Some(reason) = producer.failed() {
            return Err(DeliveryError::Abort(reason.to_owned()).into());
        }
        if producer.queued() >= room || (!producer.open && producer.renewing) {
            return Err(SendError::Full);
        }
        producer.open |= transactional;
        let value = record.value.as_deref().unwrap_or_default();
        let again = place_of(value).map_or(0, |(partition, _)| {
            let count = |counts: &BTreeMap<i32, u32>| counts.get(&partition).copied().unwrap_or_default();
            count(&world.producer(self.client).returned) + count(&world.consumer(self.client).taken)
        });
        world.produce(self.client, QueuedRecord { token, to, record: record.clone(), again });
        Ok(())
    }

    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()> {
        let mut world = lock(&self.world);
        let producer = world.producer(self.client);
        if producer.deliveries.is_empty() && !std::mem::take(&mut producer.room) {
            producer.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        deliveries.append(&mut producer.deliveries);
        Poll::Ready(())
    }

    fn discard(&mut self) {
        lock(&self.world).producer(self.client).purge();
    }

    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        let mut world = lock(&self.world);
        let aborts = world.producer(self.client).aborts;
        world.take_turn(self.client, Turn::Commit { offsets, aborts, reply });
        let gone = || CommitError::Stop(Stop::Restart("no answer".to_owned()));
        answer.map(move |answer| answer.unwrap_or_else(|_| Err(gone()))).boxed()
    }

    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>> {
        let (reply, answer) = oneshot::channel();
        let mut world = lock(&self.world);
        world.producer(self.client).aborts += 1;
        world.take_turn(self.client, Turn::Abort { reply });
        answer.map(|answer| answer.unwrap_or(Err(Stop::Restart("no answer".to_owned())))).boxed()
    }
}
