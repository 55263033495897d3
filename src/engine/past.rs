//! Reads what has to be known before records are computed: what has come before them, which keys wait in retry topics, and what operators
//! remember.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use futures::{StreamExt, future::ready, stream};

use super::{
    Length, Past, Sink, Source, Stop, flow::LaneEvent, lane::Lane, parked::Parked, run::Engine,
    shared::LaneId, state::LaneState,
};
use crate::record::{Batch, Offset, TopicPartition};

impl<S: Source, K: Sink> Engine<S, K> {
    /// Reads what a lane wants to know before it computes a batch.
    pub(super) fn read_history(&mut self, id: LaneId, batch: &Batch) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(past) = lane.history_before(batch) else { return };
        let stopped = lane.stopped();
        let batches = self.source.history(&lane.partition, past);
        let events = batches.map(move |batch| LaneEvent::History(id, Some(batch)));
        let events = events.chain(stream::once(ready(LaneEvent::History(id, None))));
        self.streams.push(events.take_while(move |_| ready(!stopped.load(Relaxed))).boxed());
    }

    /// What lies before a lane's start has come, or with `None` all of it has.
    pub(super) fn history(&mut self, id: LaneId, batch: Option<&Batch>) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        match batch {
            Some(batch) => lane.history(batch),
            None => {
                lane.history_read(&self.shared.compute.topology);
                self.taken_in(id);
            }
        }
    }

    /// Reads which keys wait in a partition of a retry topic; what has its number waits for that.
    pub(super) fn read_parked(&mut self, partition: &TopicPartition, start: Offset, parked: &Arc<Parked>) {
        let lanes = self.lanes.values_mut().filter(|lane| lane.waits_with(parked));
        lanes.for_each(Lane::await_reading);
        let parked = Arc::downgrade(parked);
        let (found, read) = (parked.clone(), parked.clone());
        let batches = self.source.history(partition, Past::From(start));
        let events = batches.map(move |batch| LaneEvent::Parked(found.clone(), Some(batch)));
        let events = events.chain(stream::once(ready(LaneEvent::Parked(read, None))));
        self.streams.push(events.take_while(move |_| ready(parked.strong_count() > 0)).boxed());
    }

    /// What operators remember of a partition, where they do; its lane has to wait until all of it is there.
    pub(super) fn state_of(&mut self, partition: &TopicPartition) -> Option<Arc<LaneState>> {
        let state = self.plan.state.as_ref()?;
        match state.stores.open(partition.partition) {
            Ok(store) => Some(Arc::new(LaneState::new(store))),
            Err(reason) => {
                self.broken = Some(Stop::Fatal(reason));
                None
            }
        }
    }

    /// Reads on the changelog from where a lane's store is.
    pub(super) fn remember(&mut self, id: LaneId, partition: &TopicPartition) {
        let (Some(plan), Some(lane)) = (&self.plan.state, self.lanes.get_mut(&id)) else { return };
        let Some(state) = lane.state().cloned() else { return };
        lane.await_reading();
        self.progress.remembered().restored(partition.partition, 0, None);
        lane.restoring = Some(self.runtime.now());
        let (stopped, compute) = (lane.stopped(), self.shared.compute.clone());
        let batches = self.source.history(&plan.changelog_of(partition), Past::From(state.position()));
        let batches = batches.then(move |batch| {
            let (state, compute) = (state.clone(), compute.clone());
            async move {
                let restored = compute
                    .on_pool(Length::Short, (Ok(0), batch), move |_, (restored, batch)| {
                        *restored = state.restore(batch).map(|()| batch.len());
                    })
                    .await;
                restored
                    .map_or_else(|| Err("the compute threads are gone".to_owned()), |(restored, _)| restored)
            }
        });
        let events = batches.map(move |restored| LaneEvent::Remembered(id, Some(restored)));
        let events = events.chain(stream::once(ready(LaneEvent::Remembered(id, None))));
        self.streams.push(events.take_while(move |_| ready(!stopped.load(Relaxed))).boxed());
    }

    /// A part of the changelog is in a lane's store, or with `None` all of it is.
    pub(super) fn remembered(&mut self, id: LaneId, part: Option<Result<usize, String>>) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let (told, partition) = (self.progress.remembered(), lane.partition.partition);
        match part {
            Some(Ok(records)) => told.restored(partition, records as u64, None),
            Some(Err(reason)) => self.broken = Some(Stop::Fatal(reason)),
            None => {
                let began = lane.restoring.take().unwrap_or_default();
                told.restored(partition, 0, Some(self.runtime.now().saturating_sub(began)));
                lane.has_read(&self.shared.compute.topology);
                self.taken_in(id);
            }
        }
    }

    /// What was committed is put into the stores of what operators remember.
    ///
    /// # Errors
    /// It could not be put there.
    pub(super) fn apply_state(&mut self) -> Result<(), Stop> {
        for lane in self.lanes.values_mut() {
            let Some(state) = lane.commit_state().map_err(Stop::Fatal)? else { continue };
            self.runtime.compute(Length::Short, Box::new(move || state.apply()));
        }
        Ok(())
    }

    /// What waits in a partition of a retry topic has come, or with `None` all of it has.
    pub(super) fn parked(&mut self, parked: &Arc<Parked>, batch: Option<&Batch>) {
        if let Some(batch) = batch {
            let lane = self.lane_mut(&batch.partition).filter(|lane| lane.waits_with(parked));
            return lane.into_iter().for_each(|lane| lane.find_parked(batch));
        }
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.waits_with(parked));
        for id in lanes.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.has_read(&self.shared.compute.topology);
            }
            self.taken_in(id);
        }
    }
}
