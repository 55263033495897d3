//! Computed chunks that are not handed to the sink yet: the lanes take turns.

use std::collections::VecDeque;

use super::{flow::ComputedChunk, shared::LaneId};

/// Computed chunks by lane. A lane with many chunks, or with large ones, does not hold up the others.
#[derive(Default)]
pub struct Ready(VecDeque<(LaneId, VecDeque<ComputedChunk>)>);

impl Ready {
    /// Adds a chunk behind the others of its lane.
    pub fn push(&mut self, computed: ComputedChunk) {
        match self.0.iter_mut().find(|(lane, _)| *lane == computed.lane) {
            Some((_, chunks)) => chunks.push_back(computed),
            None => self.0.push_back((computed.lane, VecDeque::from([computed]))),
        }
    }

    /// Takes the next chunk of the first lane in turn that may go.
    pub fn pop_if(&mut self, may_go: impl Fn(LaneId) -> bool) -> Option<ComputedChunk> {
        let at = self.0.iter().position(|(lane, _)| may_go(*lane))?;
        let (lane, mut chunks) = self.0.remove(at)?;
        let next = chunks.pop_front();
        if !chunks.is_empty() {
            self.0.push_back((lane, chunks));
        }
        next
    }

    /// Drops all chunks of a lane.
    pub fn abandon(&mut self, lane: LaneId) {
        self.0.retain(|(of, _)| *of != lane);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
