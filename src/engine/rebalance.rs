//! Partitions come and go. A shutdown is a revocation of all partitions.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::stream::BoxStream;

use super::{
    Assignment, Handover, Order, Sink, Source, flow::LaneEvent, lane::Lane, later, parked::Parked,
    run::Engine, shared::LaneId,
};
use crate::{
    plant::{Fault, planted},
    record::{Offset, TopicPartition},
};

/// Partitions that are being handed over.
pub struct Revocation {
    lanes: Vec<LaneId>,
    partitions: Vec<TopicPartition>,
    since: Duration,
    /// When all work of these partitions was finished.
    finished: Option<Duration>,
    /// Until then work is finished. After it the rest is abandoned, and what is done is committed.
    deadline: Duration,
    /// Until then that commit is tried; after it the partitions go without it.
    last_call: Duration,
    _handover: Handover,
}

impl Revocation {
    pub fn lanes(&self) -> &[LaneId] {
        &self.lanes
    }

    pub fn next_deadline(&self, now: Duration) -> Duration {
        if now < self.deadline { self.deadline } else { self.last_call }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    /// A partition has other records than before: its topic was made again, or has lost its end.
    pub(super) fn begin_anew(&mut self, partition: &TopicPartition, start: Offset) {
        let old = self.by_partition.get(partition).copied();
        // Its end as it was at the start no longer means anything.
        self.targets.insert(partition.clone(), start);
        let id = self.next_lane_id();
        let state = self.state_of(partition);
        let before = old.and_then(|old| self.lanes.get(&old));
        let lane = Lane::anew(id, partition.clone(), start, before, state, &self.shared);
        self.remove_lanes(old.as_slice());
        self.add_lane(id, lane);
        self.remember(id, partition);
    }

    pub(super) fn assign(&mut self, assignments: Vec<Assignment>) {
        let partitions = assignments.iter().map(|assignment| assignment.partition.clone()).collect();
        if !assignments.is_empty() {
            self.targets.retain(|partition, _| self.by_partition.contains_key(partition));
        }
        // A partition of the source comes together with those of the retry topics that have its number.
        let mut by_number = HashMap::new();
        let mut waiting = Vec::new();
        for assignment in assignments {
            let (partition, start) = (assignment.partition.clone(), assignment.start);
            self.targets.insert(partition.clone(), assignment.end);
            let id = self.next_lane_id();
            let parked = self.parks_keys().then(|| {
                by_number.entry(partition.partition).or_insert_with(|| Arc::new(Parked::new())).clone()
            });
            let state = self.state_of(&partition);
            self.add_lane(id, Lane::new(id, assignment, (parked.clone(), state), &self.shared));
            self.remember(id, &partition);
            if let Some(parked) = parked {
                waiting.push((partition, start, parked));
            }
        }
        waiting.retain(|(partition, ..)| later::place(&self.plan.retries.topics, &partition.topic).is_some());
        for (partition, start, parked) in waiting {
            self.read_parked(&partition, start, &parked);
        }
        self.report_lag();
        self.progress.assigned(partitions);
    }

    /// Whether records wait behind one of their key that waits in a retry topic.
    fn parks_keys(&self) -> bool {
        self.plan.order == Order::Key && !self.plan.retries.topics.is_empty()
    }

    fn next_lane_id(&mut self) -> LaneId {
        self.next_lane += 1;
        LaneId(self.next_lane)
    }

    fn add_lane(&mut self, id: LaneId, (lane, stream): (Lane, BoxStream<'static, LaneEvent>)) {
        if let Some(old) = self.by_partition.insert(lane.partition.clone(), id) {
            self.lanes.remove(&old);
        }
        self.lanes.insert(id, lane);
        self.streams.push(stream);
    }

    pub(super) fn revoke(&mut self, partitions: Vec<TopicPartition>, handover: Handover) {
        self.suspects.forget(&partitions);
        let lanes = self.lanes_of(&partitions);
        if lanes.is_empty() {
            // Nothing of them is left to commit: their work is being taken back.
            self.progress.revoked(partitions, vec![], "nothing of them was in work");
            return;
        }
        for id in &lanes {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.stop();
            }
        }
        let (now, timeout) = (self.runtime.now(), self.plan.shutdown_timeout);
        self.revocation = Some(Revocation {
            lanes,
            partitions,
            since: now,
            finished: None,
            deadline: now + timeout * 3 / 4,
            last_call: now + timeout,
            _handover: handover,
        });
    }

    pub(super) fn lose(&mut self, partitions: &[TopicPartition], handover: Handover) {
        self.suspects.forget(partitions);
        let lanes = self.lanes_of(partitions);
        if lanes.is_empty() {
            return;
        }
        self.progress.lost(partitions.to_vec());
        if self.committer.has_transaction() && !planted(Fault::NoAbort) {
            // The transaction may hold results of records that the next owner does again.
            self.abort("partitions were lost");
            return;
        }
        // What is queued would be written after the next owner's results.
        lanes.iter().for_each(|id| self.outbox.cut_off(*id));
        if !self.committer.is_transactional() {
            self.sink.discard();
        }
        self.remove_lanes(&lanes);
        // Sent as the member that this worker becomes next, the offsets could move the next owner's back.
        self.letting_go = self.committer.is_under_way().then_some(handover);
    }

    fn lanes_of(&self, partitions: &[TopicPartition]) -> Vec<LaneId> {
        partitions.iter().filter_map(|partition| self.by_partition.get(partition).copied()).collect()
    }

    /// Hands partitions over once they are finished and committed, or out of time.
    pub(super) fn advance_revocation(&mut self, now: Duration) {
        let Some(revocation) = &mut self.revocation else { return };
        let (late, too_late) = (now >= revocation.deadline, now >= revocation.last_call);
        let ids = revocation.lanes.clone();
        if planted(Fault::NoDrain) {
            return self.hand_over(now, true);
        }
        let drained = |id: &LaneId| self.lanes.get(id).is_none_or(Lane::is_drained);
        if !late && !ids.iter().all(drained) {
            return;
        }
        revocation.finished.get_or_insert(now);
        if late {
            for id in &ids {
                self.outbox.abandon(*id);
                self.lanes.get(id).inspect(|lane| lane.cancel());
            }
        }
        let uncommitted = ids.iter().any(|id| self.lanes.get(id).is_some_and(|l| l.uncommitted().is_some()));
        // When it is late, a chunk may be half sent: its results must not stay in the transaction that the
        // others go on with.
        let is_left = self.outbox.has_begun_any_of(&ids);
        let at_rest = self.committer.is_idle() || self.committer.is_going_back();
        let waits = planted(Fault::WaitForNoTransaction) && self.committer.has_transaction();
        let committed = !uncommitted && !is_left && at_rest && !waits;
        if committed || too_late {
            self.hand_over(now, committed);
        } else {
            self.commit(now);
        }
    }

    fn hand_over(&mut self, now: Duration, committed: bool) {
        let Some(revocation) = self.revocation.take() else { return };
        if !committed {
            tracing::warn!(
                "partitions are handed over before everything that is done is committed: it is done again"
            );
            if self.committer.has_transaction() {
                self.abort("its partitions are handed over");
            }
            // A chunk that waits for the sink would be sent after the next owner's results.
            revocation.lanes.iter().for_each(|id| self.outbox.cut_off(*id));
        }
        let finished = revocation.finished.unwrap_or(now);
        let phases = vec![("finishing", finished - revocation.since), ("committing", now - finished)];
        let note = if committed { "" } else { "not all was committed in time" };
        self.progress.revoked(revocation.partitions.clone(), phases, note);
        self.targets.retain(|partition, _| !revocation.partitions.contains(partition));
        self.remove_lanes(&revocation.lanes);
    }

    pub(super) fn remove_lanes(&mut self, ids: &[LaneId]) {
        for id in ids {
            self.outbox.abandon(*id);
            if let Some(mut lane) = self.lanes.remove(id) {
                lane.stop();
                if lane.restoring.is_some() {
                    self.progress.remembered().forget(lane.partition.partition);
                }
                if self.by_partition.get(&lane.partition) == Some(id) {
                    self.by_partition.remove(&lane.partition);
                }
            }
        }
        self.report_lag();
    }
}
