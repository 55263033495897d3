//! Reads what has to be known before records are computed: what has come before them, and which keys wait in retry topics.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use futures::{StreamExt, future::ready, stream};

use super::{Past, Sink, Source, flow::LaneEvent, lane::Lane, parked::Parked, run::Engine, shared::LaneId};
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
        lanes.for_each(Lane::await_parked);
        let parked = Arc::downgrade(parked);
        let (found, read) = (parked.clone(), parked.clone());
        let batches = self.source.history(partition, Past::From(start));
        let events = batches.map(move |batch| LaneEvent::Parked(found.clone(), Some(batch)));
        let events = events.chain(stream::once(ready(LaneEvent::Parked(read, None))));
        self.streams.push(events.take_while(move |_| ready(parked.strong_count() > 0)).boxed());
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
                lane.parked_read(&self.shared.compute.topology);
            }
            self.taken_in(id);
        }
    }
}
