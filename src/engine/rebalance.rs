//! Partitions come and go. A shutdown is a revocation of all.

use std::time::Duration;

use super::{
    Assignment, Handover, Sink, Source, SourceEvent,
    lane::{Lane, LaneId},
    run::Engine,
};
use crate::record::TopicPartition;

/// Partitions that are being handed over.
pub struct Revocation {
    lanes: Vec<LaneId>,
    since: Duration,
    /// When nothing was in work any more.
    finished: Option<Duration>,
    /// Until then what is in work is finished; then it is abandoned, and what is done is committed.
    deadline: Duration,
    /// Until then that commit is tried.
    last_call: Duration,
    _handover: Handover,
}

impl Revocation {
    pub fn next_deadline(&self, now: Duration) -> Duration {
        if now < self.deadline { self.deadline } else { self.last_call }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    pub(super) fn source_event(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Assigned(assignments) => self.assign(assignments),
            SourceEvent::Batch(batch, room) => {
                let Some(lane) =
                    self.by_partition.get(&batch.partition).and_then(|id| self.lanes.get_mut(id))
                else {
                    return;
                };
                self.progress.consumed(batch.len() as u64, batch.bytes() as u64);
                lane.push(batch, room, &self.shared.compute.topology);
            }
            SourceEvent::End(partition, offset) => {
                if let Some(lane) = self.lane_mut(&partition) {
                    lane.tracker.read_to(offset);
                    lane.high_watermark = lane.high_watermark.max(offset);
                }
            }
            SourceEvent::HighWatermarks(ends) => {
                for (partition, end) in ends {
                    if let Some(lane) = self.lane_mut(&partition) {
                        lane.high_watermark = end;
                    }
                }
            }
            SourceEvent::Revoked(partitions, handover) => self.revoke(&partitions, handover),
            SourceEvent::Lost(partitions, handover) => self.lose(&partitions, handover),
        }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    fn lane_mut(&mut self, partition: &TopicPartition) -> Option<&mut Lane> {
        self.lanes.get_mut(self.by_partition.get(partition)?)
    }

    fn assign(&mut self, assignments: Vec<Assignment>) {
        let numbers = assignments.iter().map(|assignment| assignment.partition.partition).collect();
        if !assignments.is_empty() {
            self.targets.retain(|partition, _| self.by_partition.contains_key(partition));
        }
        for assignment in assignments {
            self.targets.insert(assignment.partition.clone(), assignment.end);
            let id = LaneId(self.next_lane);
            self.next_lane += 1;
            if let Some(old) = self.by_partition.insert(assignment.partition.clone(), id) {
                self.lanes.remove(&old);
            }
            let (lane, stream) = Lane::new(id, assignment, &self.shared);
            self.lanes.insert(id, lane);
            self.streams.push(stream);
        }
        self.tell_lag();
        self.progress.assigned(numbers);
    }

    fn revoke(&mut self, partitions: &[TopicPartition], handover: Handover) {
        let lanes: Vec<LaneId> =
            partitions.iter().filter_map(|p| self.by_partition.get(p).copied()).collect();
        for id in &lanes {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.stop();
            }
        }
        let (now, timeout) = (self.environment.now(), self.plan.shutdown_timeout);
        let (deadline, last_call) = (now + timeout * 3 / 4, now + timeout);
        self.revocation =
            Some(Revocation { lanes, since: now, finished: None, deadline, last_call, _handover: handover });
    }

    fn lose(&mut self, partitions: &[TopicPartition], handover: Handover) {
        let lanes: Vec<LaneId> =
            partitions.iter().filter_map(|p| self.by_partition.get(p).copied()).collect();
        if lanes.is_empty() {
            return;
        }
        self.progress.lost(self.numbers(&lanes));
        if self.committer.has_transaction() {
            // The transaction may hold results of records that somebody else does now.
            self.abort("partitions were lost");
        } else {
            self.remove_lanes(&lanes);
            // Offsets that are sent by the member that the worker becomes next could move the next owner's back.
            self.letting_go = self.committer.is_under_way().then_some(handover);
        }
    }

    /// Hands partitions over once they are finished and committed, or out of time.
    pub(super) fn advance_revocation(&mut self, now: Duration) {
        let Some(revocation) = &self.revocation else { return };
        let ids = revocation.lanes.clone();
        let (since, late, too_late) =
            (revocation.since, now >= revocation.deadline, now >= revocation.last_call);
        let drained = |id: &LaneId| self.lanes.get(id).is_none_or(Lane::is_drained);
        if !late && !ids.iter().all(drained) {
            return;
        }
        if late {
            ids.iter().for_each(|id| self.outbox.abandon(*id));
        }
        let finished = self.revocation.as_mut().map_or(now, |r| *r.finished.get_or_insert(now));
        let uncommitted = ids.iter().any(|id| self.lanes.get(id).is_some_and(|l| l.uncommitted().is_some()));
        let committed = self.committer.is_idle() && !uncommitted && !self.committer.is_open();
        if committed || too_late {
            if !committed {
                tracing::warn!(
                    "partitions are handed over before all that was done is committed: it is done again"
                );
                if self.committer.is_transactional() {
                    self.abort("its partitions are handed over");
                }
            }
            let phases = vec![("finishing", finished - since), ("committing", now - finished)];
            let note = if committed { "" } else { "not all was committed in time" };
            self.progress.revoked(self.numbers(&ids), phases, note);
            let gone = ids.iter().filter_map(|id| self.lanes.get(id)).map(|lane| &lane.partition);
            for partition in gone {
                self.targets.remove(partition);
            }
            self.remove_lanes(&ids);
            self.revocation = None;
        } else {
            self.commit(now);
        }
    }

    /// The partitions' numbers, in order.
    fn numbers(&self, ids: &[LaneId]) -> Vec<i32> {
        let lanes = ids.iter().filter_map(|id| self.lanes.get(id));
        let mut numbers: Vec<i32> = lanes.map(|lane| lane.partition.partition).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(super) fn remove_lanes(&mut self, ids: &[LaneId]) {
        for id in ids {
            self.outbox.abandon(*id);
            if let Some(mut lane) = self.lanes.remove(id) {
                lane.stop();
                if self.by_partition.get(&lane.partition) == Some(id) {
                    self.by_partition.remove(&lane.partition);
                }
            }
        }
        self.tell_lag();
    }
}
