//! A lane: the ordered work of one partition, from its batches to what may be committed.

mod reading;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::stream::BoxStream;
use tokio::sync::mpsc;

use super::{
    Assignment, OffsetTracker, Order, Reservation, Topology,
    chunk::{Chunk, HeldBatch, RECORDS},
    duplicates::Seen,
    fair::FairQueue,
    flow::{LaneEvent, StreamState, lane_stream},
    keys::KeyGate,
    later,
    offsets::WINDOW,
    parked::Parked,
    shared::{LaneId, Shared},
    state::{Changes, LaneState},
    timestamps::Timestamps,
    waiting::Waiting,
};
use crate::{
    operator::Cancel,
    record::{Batch, Offset, TopicPartition},
    telemetry::{Lag, Stage},
};

/// How many records of a lane may be computed and not acknowledged, where operators remember something. No limit but this counts what
/// they have changed, and the more is held, the more memory has left the processor's caches when it is needed next: without this, a
/// record of a few bytes takes a quarter more CPU where the broker is the slower one.
const AHEAD: usize = 4 * RECORDS;

/// One partition's ordered work.
pub struct Lane {
    /// The partition whose records go through the lane.
    pub partition: TopicPartition,
    /// Which of its records are done, and so what may be committed.
    pub tracker: OffsetTracker,
    /// The last commit: its offset and metadata. Another one is made only where it would differ.
    pub committed: (Offset, String),
    /// Chunks that are computed and not acknowledged: a hand-over waits for them.
    pub sending: usize,
    /// The partition's end, as last reported: lag counts up to it.
    pub high_watermark: Offset,
    /// Whether the stream has ended, so that nothing more is computed of a stopped lane.
    pub ended: bool,
    /// Whether records may be done out of order, so that no more may be done above a gap than a commit can
    /// remember.
    windowed: bool,
    /// Chunks in the stream: those that wait for room or a core, and those that compute.
    computing: usize,
    /// Records in the stream, and records that are computed and not acknowledged.
    under_way: usize,
    /// Whether those wait or compute, as the stream sees it: for the metrics.
    stream: Arc<StreamState>,
    /// Records taken in and not done: the lane is idle without any.
    outstanding: u64,
    /// Those of them that are computed: for the metrics.
    computed: u64,
    /// The timestamps of what is not committed: for lag in seconds.
    timestamps: Timestamps,
    /// Order by key: keeps records back whose key is busy.
    gate: Option<KeyGate>,
    /// What has come before, where records that come again are left out.
    seen: Option<Seen>,
    /// How many were, since that was last asked.
    left_out: u64,
    /// Whether the last commit has to be repeated.
    stale: bool,
    /// Whether that is being read which has come before the lane's start.
    reads_history: bool,
    /// Order by key with retry topics: the keys that wait there.
    parked: Option<Arc<Parked>>,
    /// What operators remember of its records.
    state: Option<Arc<LaneState>>,
    /// What of that is acknowledged and not committed, by the chunks' numbers, with the changelog's position after it.
    changes: BTreeMap<u64, (Changes, Offset)>,
    /// The number of the last chunk whose changes are committed.
    kept_of: u64,
    /// Since when the changelog is read, while it is.
    pub restoring: Option<Duration>,
    /// How many partitions of retry topics and of the changelog have to be read first.
    unread: usize,
    /// Batches that wait until all of that is read.
    kept: Vec<Arc<HeldBatch>>,
    /// The place of its topic among the retry topics, if it is one.
    retry: Option<usize>,
    /// Chunks that wait until the window of completed offsets reaches them, or for their time.
    waiting: Waiting,
    /// Where shares are fair: the records that may be computed, and how many chunks may be computing.
    fair: Option<(FairQueue, usize)>,
    /// Where chunks enter the stream; `None` once the lane takes no more.
    input: Option<mpsc::UnboundedSender<Chunk>>,
    /// Has the stream leave out the chunks that it has not begun, once the lane is stopped.
    stopped: Arc<AtomicBool>,
    /// Cancels what is computing, once it is no longer needed.
    cancel: Cancel,
}

/// What the whole engine is doing, as far as the stage of a lane depends on it.
#[derive(Clone, Copy)]
pub struct EngineState {
    /// Whether the budget has room, for chunks that the streams have not looked at yet.
    pub has_room: bool,
    /// Whether the sink may be given more.
    pub may_send: bool,
    /// Whether a commit or an abort is under way.
    pub committing: bool,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Lane {
    /// A lane, and the stream that computes its chunks.
    pub fn new(
        id: LaneId,
        assignment: Assignment,
        (parked, state): (Option<Arc<Parked>>, Option<Arc<LaneState>>),
        shared: &Shared,
    ) -> (Lane, BoxStream<'static, LaneEvent>) {
        let (input, chunks) = mpsc::unbounded_channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let stream_state = Arc::<StreamState>::default();
        let cancel = Cancel::default();
        let stream = lane_stream(id, chunks, stopped.clone(), cancel.clone(), stream_state.clone(), shared);
        let topics = &shared.compute.retries.topics;
        let retry = later::place(topics, &assignment.partition.topic);
        let longest_wait = retry.map(|place| topics[place].after);
        let (by_key, runtime) = (retry.is_some() && parked.is_some(), &shared.compute.runtime);
        let lane = Lane {
            tracker: OffsetTracker::new(assignment.start, &assignment.metadata),
            committed: (assignment.start, assignment.metadata),
            partition: assignment.partition,
            sending: 0,
            high_watermark: assignment.end,
            ended: false,
            windowed: shared.order != Order::Partition,
            computing: 0,
            under_way: 0,
            stream: stream_state,
            outstanding: 0,
            computed: 0,
            timestamps: Timestamps::default(),
            gate: (shared.order == Order::Key).then(KeyGate::default),
            seen: shared.deduplication.clone().filter(|_| longest_wait.is_none()).map(Seen::new),
            left_out: 0,
            stale: false,
            reads_history: false,
            parked,
            state,
            changes: BTreeMap::new(),
            kept_of: 0,
            restoring: None,
            unread: 0,
            kept: Vec::new(),
            retry,
            waiting: Waiting::new(longest_wait, by_key, runtime.now(), runtime.unix_millis()),
            fair: shared.fair_by.clone().map(|by| {
                let queue = FairQueue::new(by, shared.compute.topology.clone());
                // With fewer it is sooner the next requester's turn; this many keep the cores busy.
                (queue, shared.width / 2)
            }),
            input: Some(input),
            stopped,
            cancel,
        };
        (lane, stream)
    }

    /// A lane for a partition that begins anew at `start`, so that what was committed no longer means anything; `before` is the one that
    /// it had.
    pub fn anew(
        id: LaneId,
        partition: TopicPartition,
        start: Offset,
        before: Option<&Lane>,
        state: Option<Arc<LaneState>>,
        shared: &Shared,
    ) -> (Lane, BoxStream<'static, LaneEvent>) {
        let assignment = Assignment { partition, start, metadata: String::new(), end: start };
        let parked = before.and_then(|before| before.parked.clone());
        let (mut lane, stream) = Lane::new(id, assignment, (parked, state), shared);
        // Below any watermark, so that even the start is committed.
        lane.committed.0 = Offset(-1);
        lane.unread = before.filter(|before| before.parked.is_some()).map_or(0, |before| before.unread);
        (lane, stream)
    }

    /// Takes in a batch, and computes what may be computed of it.
    pub fn push(&mut self, batch: Batch, room: Reservation, topology: &Topology) {
        if self.input.is_none() {
            return;
        }
        let first = self.tracker.extend(&batch);
        self.timestamps.extend(&batch, self.committed.0);
        let held = Arc::new(HeldBatch {
            batch,
            first,
            _room: room,
            parked: self.parked.clone(),
            state: self.state.clone(),
        });
        self.kept.push(held);
        self.take_kept(topology);
    }

    /// Computes what may be computed of a batch, but for what has come before.
    fn take_in(&mut self, held: Arc<HeldBatch>, topology: &Topology) {
        if let Some(seen) = &mut self.seen {
            let again = (0..held.batch.len()).filter(|index| seen.take(&held.batch, *index));
            let again = again.map(|index| held.first + index as u64);
            let again: Vec<u64> = again.filter(|sequence| !self.tracker.is_done(*sequence)).collect();
            self.left_out += again.len() as u64;
            self.tracker.complete(again.into_iter());
        }
        let fresh = (0..held.batch.len()).filter(|index| !self.tracker.is_done(held.first + *index as u64));
        let chunks = if self.waiting.has_times() {
            later::cut(&held, fresh, &mut self.waiting, topology)
        } else {
            let chunks = Chunk::cut(fresh.map(|index| (&held, index)), topology);
            chunks.into_iter().map(|chunk| (0, chunk)).collect()
        };
        for (at, chunk) in chunks {
            self.outstanding += chunk.len() as u64;
            self.waiting.push(at, chunk);
        }
        self.pump();
    }

    /// Says when the lane is stopped, to what reads for it.
    pub fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }

    /// How many records were left out since this was last asked.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// The clock of a lane whose records wait for it: those whose time has come are computed.
    pub fn tick(&mut self, now: Duration, unix_millis: u64) {
        if self.waiting.has_times() {
            self.waiting.tick(now, unix_millis);
            self.pump();
        }
    }

    /// How long the next record has to wait for its time; `None` where none does.
    pub fn wait(&self) -> Option<Duration> {
        self.waiting.wait()
    }

    /// Lets chunks through as far as the window of completed offsets reaches.
    pub fn pump(&mut self) {
        while let Some(chunk) = self.next_waiting() {
            match &mut self.fair {
                Some((queue, _)) => queue.push(&chunk),
                None => {
                    let admitted = self.admit(chunk);
                    self.compute(admitted);
                }
            }
        }
        while let Some((queue, width)) = &mut self.fair
            && self.computing < *width
            && let Some(chunk) = queue.pop()
        {
            let admitted = self.admit(chunk);
            self.compute(admitted);
        }
    }

    /// The next chunk that is not so far above what is done that a commit could not remember it; one with which the watermark moves
    /// goes in any case.
    fn next_waiting(&mut self) -> Option<Chunk> {
        let (watermark, first) = (self.tracker.watermark(), self.tracker.first());
        if self.state.is_some() && self.under_way >= AHEAD {
            return None;
        }
        let (windowed, idle) = (self.windowed, self.computing == 0 && self.sending == 0);
        self.waiting.pop(|chunk| {
            let last = chunk.last_offset().map_or(0, |offset| offset.0);
            !windowed || last - watermark.0 < WINDOW || (idle && chunk.sequences().next() == Some(first))
        })
    }

    /// Keeps back the records that have to wait for an earlier one of their key.
    fn admit(&mut self, chunk: Chunk) -> Option<Chunk> {
        match &mut self.gate {
            Some(gate) => gate.admit(chunk),
            None => Some(chunk),
        }
    }

    /// A computed chunk has left the lane's stream, for the outbox.
    pub fn chunk_computed(&mut self, chunk: &Chunk) {
        self.computing -= 1;
        self.sending += 1;
        self.computed += chunk.len() as u64;
        if self.fair.is_some() {
            self.pump();
        }
    }

    /// A chunk has been handed to the sink: records of the same keys may follow.
    pub fn sent(&mut self, chunk: &Chunk, topology: &Topology) {
        if let (Some(parked), Some(place)) = (&self.parked, self.retry) {
            parked.leave(place, chunk);
        }
        if let Some(gate) = &mut self.gate {
            let next = gate.release(chunk, topology);
            self.compute(next);
        }
    }

    /// All results of a chunk are acknowledged, except those of the records at the places `again`, which are
    /// computed and sent again.
    pub fn done(&mut self, chunk: &Chunk, again: &[usize], topology: &Topology) {
        self.sending -= 1;
        self.under_way -= chunk.len();
        self.outstanding -= (chunk.len() - again.len()) as u64;
        self.computed -= chunk.len() as u64;
        let sequences = chunk.sequences().enumerate().filter(|(place, _)| !again.contains(place));
        self.tracker.complete(sequences.map(|(_, sequence)| sequence));
        for place in again {
            let single = chunk.single(*place, topology);
            let admitted = single.and_then(|chunk| self.admit(chunk));
            self.compute(admitted);
        }
        self.pump();
    }

    /// Takes no more. What is computing is finished, then the stream ends.
    pub fn stop(&mut self) {
        self.stopped.store(true, Relaxed);
        self.input = None;
        self.waiting.clear();
        self.kept.clear();
        (self.gate, self.fair, self.seen) = (None, None, None);
    }

    /// Cancels what is computing: it is no longer needed.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it takes no more.
    pub fn is_stopped(&self) -> bool {
        self.input.is_none()
    }

    /// How many records are not computed yet, and how many are computed and not acknowledged.
    pub fn held(&self) -> (u64, u64) {
        (self.outstanding - self.computed, self.computed)
    }

    /// What the lane is busy with.
    pub fn stage(&self, engine: EngineState) -> Stage {
        if self.input.is_none() {
            Stage::Rebalance
        } else if self.restoring.is_some() {
            Stage::Restore
        } else if self.computing > 0 {
            let waits = self.stream.waits.load(Relaxed) || !engine.has_room;
            match self.stream.computing.load(Relaxed) {
                0 if waits => Stage::Wait,
                // No core works for it.
                computing if computing > 0 && computing == self.stream.calling.load(Relaxed) => Stage::Call,
                _ => Stage::Compute,
            }
        } else if self.sending > 0 {
            if engine.may_send { Stage::Send } else { Stage::Commit }
        } else if engine.committing && self.timestamps.first_after(self.committed.0).is_some() {
            Stage::Commit
        } else {
            Stage::Poll
        }
    }

    /// Whether everything that was taken in is done.
    pub fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.kept.is_empty()
    }

    /// Whether a stopped lane has finished all of its work.
    pub fn is_drained(&self) -> bool {
        self.ended && self.sending == 0
    }

    /// Whether the watermark is above the last commit, even where no record was done since: it moves over
    /// transaction markers, and over what an earlier owner has done.
    pub fn has_moved(&self) -> bool {
        self.tracker.watermark() > self.committed.0
    }

    /// What a commit would have now; `None` where it would not differ from the last one.
    pub fn uncommitted(&self) -> Option<(Offset, String)> {
        let now = (self.tracker.watermark(), self.tracker.metadata());
        // Of a partition that has just come, records may be known as done that are not read again yet.
        (now.0 >= self.committed.0 && (self.stale || now != self.committed)).then_some(now)
    }

    /// That was committed.
    pub fn set_committed(&mut self, committed: (Offset, String)) {
        (self.committed, self.stale) = (committed, false);
    }

    /// Has the commit of a partition repeated that the group is not subscribed to: the brokers forget it otherwise.
    pub fn repeat_commit(&mut self) {
        self.stale = self.parked.is_some() && self.retry.is_some() && self.committed.0 >= Offset(0);
    }

    /// From the low watermark to the partition's end.
    pub fn lag(&self) -> Lag {
        let end = self.high_watermark.0.max(self.tracker.position().0);
        Lag {
            records: (end - self.tracker.watermark().0).max(0) as u64,
            uncommitted: self.timestamps.first_after(self.committed.0),
        }
    }

    fn compute(&mut self, chunks: impl IntoIterator<Item = Chunk>) {
        let Some(input) = &self.input else { return };
        for chunk in chunks {
            self.under_way += chunk.len();
            // The stream holds the other end until the lane is stopped.
            if input.send(chunk).is_ok() {
                self.computing += 1;
            }
        }
    }
}
