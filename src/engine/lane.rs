//! A lane: one partition's ordered work, from its batches to what may be committed.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Assignment, Budget, FairBy, OffsetTracker, Order, Reservation, Topology,
    chunk::{Chunk, HeldBatch},
    compute::{Compute, Outcome, RECORD_OVERHEAD},
    fair::FairQueue,
    keys::KeyGate,
    offsets::WINDOW,
    timestamps::Timestamps,
};
use crate::{
    operator::Cancel,
    record::{Batch, Offset, TopicPartition},
    telemetry::{Lag, Stage},
};

/// Names a lane; a partition that comes back gets another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LaneId(pub u64);

/// What a lane's stream gives.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the large kind, one a chunk")]
pub enum LaneEvent {
    /// A chunk has been computed, in the order that was asked for.
    Computed(Computed),
    /// Nothing more will come: the lane was stopped, and what was in work is finished.
    Ended(LaneId),
}

/// A chunk that can be sent.
pub struct Computed {
    pub lane: LaneId,
    pub chunk: Chunk,
    pub outcome: Outcome,
    /// The room that the results hold.
    pub room: Reservation,
}

/// How a lane's stream stands with the budget.
#[derive(Default)]
struct Room {
    /// Whether a chunk waits for room.
    waits: AtomicBool,
    /// Chunks that have the room they need, and are not computed yet.
    computing: AtomicUsize,
}

/// What all lanes of a pipeline share.
pub struct Shared {
    pub order: Order,
    /// By what those who ask get fair shares, if they do.
    pub fair_by: Option<FairBy>,
    pub compute: Arc<Compute>,
    /// The budget for results.
    pub budget: Budget,
    /// How many chunks of one lane may be computing, or computed and waiting for an earlier one.
    pub width: usize,
}

/// One partition's ordered work.
pub struct Lane {
    pub partition: TopicPartition,
    pub tracker: OffsetTracker,
    /// What was committed last.
    pub committed: (Offset, String),
    /// Chunks that are computed and not acknowledged yet.
    pub sending: usize,
    /// The partition's end, as last heard.
    pub high_watermark: Offset,
    /// Whether the stream has ended.
    pub ended: bool,
    windowed: bool,
    computing: usize,
    room: Arc<Room>,
    /// Records taken in and not done yet.
    outstanding: u64,
    /// Those of them that are computed.
    computed: u64,
    timestamps: Timestamps,
    gate: Option<KeyGate>,
    waiting: VecDeque<Chunk>,
    /// Where shares are fair: those of them that may be computed, and how many chunks may be computing.
    fair: Option<(FairQueue, usize)>,
    /// `None` once the lane takes no more.
    input: Option<mpsc::UnboundedSender<Chunk>>,
    stopped: Arc<AtomicBool>,
    /// Ends what is computing, once nobody wants it any more.
    cancel: Cancel,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Lane {
    /// A lane, and the stream that computes what goes into it.
    pub fn new(id: LaneId, assignment: Assignment, shared: &Shared) -> (Lane, BoxStream<'static, LaneEvent>) {
        let (input, chunks) = mpsc::unbounded_channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let room = Arc::<Room>::default();
        let cancel = Cancel::default();
        let stream = lane_stream(id, chunks, stopped.clone(), cancel.clone(), room.clone(), shared);
        let lane = Lane {
            tracker: OffsetTracker::new(assignment.start, &assignment.metadata),
            committed: (assignment.start, assignment.metadata),
            partition: assignment.partition,
            sending: 0,
            high_watermark: assignment.end,
            ended: false,
            windowed: shared.order != Order::Partition,
            computing: 0,
            room,
            outstanding: 0,
            computed: 0,
            timestamps: Timestamps::default(),
            gate: (shared.order == Order::Key).then(KeyGate::default),
            waiting: VecDeque::new(),
            fair: shared.fair_by.clone().map(|by| {
                let queue = FairQueue::new(by, shared.compute.topology.clone());
                // The fewer, the sooner is it somebody else's turn; so many keep the cores busy.
                (queue, shared.width / 2)
            }),
            input: Some(input),
            stopped,
            cancel,
        };
        (lane, stream)
    }

    /// A lane in the place of one whose partition begins anew at `start`: what was committed says nothing any more.
    pub fn anew(
        id: LaneId,
        partition: TopicPartition,
        start: Offset,
        shared: &Shared,
    ) -> (Lane, BoxStream<'static, LaneEvent>) {
        let assignment = Assignment { partition, start, metadata: String::new(), end: start };
        let (mut lane, stream) = Lane::new(id, assignment, shared);
        // Below any watermark, so that even the start is worth a commit.
        lane.committed.0 = Offset(-1);
        (lane, stream)
    }

    /// Takes records in.
    pub fn push(&mut self, batch: Batch, room: Reservation, topology: &Topology) {
        if self.input.is_none() {
            return;
        }
        let first = self.tracker.extend(&batch);
        self.timestamps.extend(&batch, self.committed.0);
        let held = Arc::new(HeldBatch { batch, first, _room: room });
        let fresh = (0..held.batch.len()).filter(|index| !self.tracker.is_done(first + *index as u64));
        let chunks = Chunk::cut(fresh.map(|index| (&held, index)), topology);
        self.outstanding += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.waiting.extend(chunks);
        self.pump();
    }

    /// Lets through what the window of completed offsets has room for.
    pub fn pump(&mut self) {
        while self.waiting.front().is_some_and(|chunk| self.fits(chunk)) {
            let Some(chunk) = self.waiting.pop_front() else { break };
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

    /// Keeps back what has to wait for an earlier record of its key.
    fn admit(&mut self, chunk: Chunk) -> Option<Chunk> {
        match &mut self.gate {
            Some(gate) => gate.admit(chunk),
            None => Some(chunk),
        }
    }

    /// A computed chunk has left the lane's stream, for the outbox.
    pub fn computed(&mut self, chunk: &Chunk) {
        self.computing -= 1;
        self.sending += 1;
        self.computed += chunk.len() as u64;
        if self.fair.is_some() {
            self.pump();
        }
    }

    /// A chunk has been handed to the sink: records of the same keys may follow.
    pub fn sent(&mut self, chunk: &Chunk, topology: &Topology) {
        if let Some(gate) = &mut self.gate {
            let next = gate.release(chunk, topology);
            self.compute(next);
        }
    }

    /// All that a chunk caused is acknowledged, but for the records at the places `again`: those are computed and
    /// sent again.
    pub fn done(&mut self, chunk: &Chunk, again: &[usize], topology: &Topology) {
        self.sending -= 1;
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

    /// Takes no more; what is computing now still comes, then the stream ends.
    pub fn stop(&mut self) {
        self.stopped.store(true, Relaxed);
        self.input = None;
        self.waiting.clear();
        (self.gate, self.fair) = (None, None);
    }

    /// Gives up what is computing: nobody waits for it any more.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it takes no more.
    pub fn is_stopped(&self) -> bool {
        self.input.is_none()
    }

    /// Records that are not computed yet, and that are computed and not acknowledged.
    pub fn held(&self) -> (u64, u64) {
        (self.outstanding - self.computed, self.computed)
    }

    /// What the lane is busy with. `has_room` is for a chunk that the stream has not looked at yet.
    pub fn stage(&self, has_room: bool, may_send: bool, committing: bool) -> Stage {
        if self.input.is_none() {
            Stage::Rebalance
        } else if self.computing > 0 {
            let waits = self.room.waits.load(Relaxed) || !has_room;
            if waits && self.room.computing.load(Relaxed) == 0 { Stage::Wait } else { Stage::Compute }
        } else if self.sending > 0 {
            if may_send { Stage::Send } else { Stage::Commit }
        } else if committing && self.timestamps.first_after(self.committed.0).is_some() {
            Stage::Commit
        } else {
            Stage::Poll
        }
    }

    /// Whether everything that was taken in is done.
    pub fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// Whether a stopped lane has nothing more in work.
    pub fn is_drained(&self) -> bool {
        self.ended && self.sending == 0
    }

    /// Whether more could be committed than was, though no record was done since: markers, and what an earlier owner
    /// has done.
    pub fn has_moved(&self) -> bool {
        self.tracker.watermark() > self.committed.0
    }

    /// What would be committed now; `None` where it has been already.
    pub fn uncommitted(&self) -> Option<(Offset, String)> {
        let now = (self.tracker.watermark(), self.tracker.metadata());
        // A partition that has just come may still know of completed records that it has not read again.
        (now.0 >= self.committed.0 && now != self.committed).then_some(now)
    }

    /// From the low watermark to the partition's end.
    pub fn lag(&self) -> Lag {
        let end = self.high_watermark.0.max(self.tracker.position().0);
        Lag {
            records: (end - self.tracker.watermark().0).max(0) as u64,
            uncommitted: self.timestamps.first_after(self.committed.0),
        }
    }

    fn fits(&self, chunk: &Chunk) -> bool {
        let last = chunk.last_offset().map_or(0, |offset| offset.0);
        !self.windowed || self.is_busy_with_nothing() || last - self.tracker.watermark().0 < WINDOW
    }

    fn is_busy_with_nothing(&self) -> bool {
        self.computing == 0 && self.sending == 0
    }

    fn compute(&mut self, chunks: impl IntoIterator<Item = Chunk>) {
        let Some(input) = &self.input else { return };
        for chunk in chunks {
            // The stream holds the other end until the lane is stopped.
            if input.send(chunk).is_ok() {
                self.computing += 1;
            }
        }
    }
}

/// The flow of one lane: wait for room, compute on the pool, and give back in the order that was asked for.
fn lane_stream(
    id: LaneId,
    chunks: mpsc::UnboundedReceiver<Chunk>,
    stopped: Arc<AtomicBool>,
    cancel: Cancel,
    state: Arc<Room>,
    shared: &Shared,
) -> BoxStream<'static, LaneEvent> {
    let (budget, compute) = (shared.budget.clone(), shared.compute.clone());
    let computing = UnboundedReceiverStream::new(chunks)
        .take_while(move |_| ready(!stopped.load(Relaxed)))
        .then(move |chunk| {
            let (budget, state) = (budget.clone(), state.clone());
            async move {
                state.waits.store(true, Relaxed);
                let room = budget.reserve(chunk.bytes + chunk.len() as u64 * RECORD_OVERHEAD).await;
                state.waits.store(false, Relaxed);
                state.computing.fetch_add(1, Relaxed);
                (chunk, room, state)
            }
        })
        .map(move |(chunk, mut room, state)| {
            let (compute, cancel) = (compute.clone(), cancel.clone());
            async move {
                let (chunk, outcome) = compute.run(chunk, cancel).await;
                state.computing.fetch_sub(1, Relaxed);
                room.resize(outcome.size());
                LaneEvent::Computed(Computed { lane: id, chunk, outcome, room })
            }
        });
    let computed = match shared.order {
        Order::Partition => computing.buffered(shared.width).boxed(),
        Order::Key | Order::None => computing.buffer_unordered(shared.width).boxed(),
    };
    computed.chain(stream::once(ready(LaneEvent::Ended(id)))).boxed()
}
