//! The flow of one lane: chunks wait for room, are computed on the pool, and leave in the pipeline's order.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use futures::{
    StreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Order, Reservation,
    chunk::Chunk,
    outcome::{Outcome, RECORD_OVERHEAD},
    parked::Parked,
    shared::{LaneId, Shared},
};
use crate::{operator::Cancel, record::Batch};

/// What a lane's stream yields.
pub enum LaneEvent {
    /// A chunk has been computed; they come in the order of the pipeline.
    Computed(Box<ComputedChunk>),
    /// Records that lie before the lane's start; `None` once all of those were read.
    History(LaneId, Option<Batch>),
    /// Records that wait in a retry topic, which the lane there computes later; `None` once all of those were read.
    Parked(Weak<Parked>, Option<Batch>),
    /// A batch of the changelog is in the store of what operators remember, and has so many records; `None` once all is.
    Remembered(LaneId, Option<Result<usize, String>>),
    /// Nothing more will come: the lane was stopped, and all that was computing is finished.
    Ended(LaneId),
}

/// A chunk that can be sent.
pub struct ComputedChunk {
    pub lane: LaneId,
    pub chunk: Chunk,
    pub outcome: Outcome,
    /// The room that the results hold.
    pub room: Reservation,
}

/// What a lane's stream does, for the lane to see.
#[derive(Default)]
pub struct StreamState {
    /// Whether a chunk waits for room in the budget.
    pub waits: AtomicBool,
    /// Chunks that have their room and are not computed yet.
    pub computing: AtomicUsize,
    /// How many of those wait for what an operator asks.
    pub calling: Arc<AtomicUsize>,
}

/// The flow of one lane: waits for room, computes on the pool, and yields chunks in the pipeline's order.
pub fn lane_stream(
    id: LaneId,
    chunks: mpsc::UnboundedReceiver<Chunk>,
    stopped: Arc<AtomicBool>,
    cancel: Cancel,
    state: Arc<StreamState>,
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
                let (chunk, outcome) = compute.run(chunk, cancel, state.calling.clone()).await;
                state.computing.fetch_sub(1, Relaxed);
                room.resize(outcome.size());
                LaneEvent::Computed(Box::new(ComputedChunk { lane: id, chunk, outcome, room }))
            }
        });
    let computed = match shared.order {
        Order::Partition => computing.buffered(shared.width).boxed(),
        Order::Key | Order::None => computing.buffer_unordered(shared.width).boxed(),
    };
    computed.chain(stream::once(ready(LaneEvent::Ended(id)))).boxed()
}
