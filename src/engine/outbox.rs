//! Computed chunks on their way to the sink, one after the other; those with large results let others pass.

use std::vec;

use super::{
    Order, Token,
    flow::ComputedChunk,
    in_flight::Ring,
    outcome::{Outgoing, Part},
    ready::Ready,
    shared::LaneId,
};
use crate::{
    pieces,
    record::{PerTopic, Record},
};

/// How many pieces of a result are on their way at once: enough for any network, and so few that a small result
/// behind them does not wait long.
const AHEAD: usize = 4;

/// Computed chunks that are not acknowledged yet.
pub struct Outbox {
    /// Chunks that are not handed over yet.
    ready: Ready,
    /// The chunk that is being handed over.
    pub open: Option<Open>,
    /// Chunks that were begun, and wait until some of their pieces are acknowledged.
    aside: Vec<Open>,
    /// Chunks that are handed over, at least in part, and not acknowledged.
    pub in_flight: Ring,
    /// Records that are handed over and not acknowledged.
    pub queued: PerTopic<u64>,
}

/// A chunk that is being handed over.
pub struct Open {
    pub number: u32,
    pub lane: LaneId,
    /// The partition that it was read from.
    pub partition: i32,
    /// The record that the sink had no room for, or that waits to be sent alone, or for pieces.
    pub held: Option<(Token, Outgoing)>,
    /// Its records that are not handed over yet.
    pub left: vec::IntoIter<Outgoing>,
}

/// What became of the pieces of a result.
pub enum Pieces {
    /// All are there, and the manifest says where.
    Acknowledged,
    /// Some were not delivered, so that the result is made again.
    Failed,
    /// Not all are in one partition, as the topic has just got more.
    Scattered,
}

impl Outbox {
    /// For that many result topics.
    pub fn new(results: usize) -> Self {
        let queued = PerTopic { results: vec![0; results], dead_letters: 0 };
        Outbox { ready: Ready::default(), open: None, aside: Vec::new(), in_flight: Ring::default(), queued }
    }

    /// Adds a chunk at the end.
    pub fn push(&mut self, computed: ComputedChunk) {
        self.ready.push(computed);
    }

    /// Whether no chunk is half handed over and everything sent is acknowledged, so that a transaction can
    /// end.
    pub fn is_settled(&self) -> bool {
        self.open.is_none() && self.aside.is_empty() && self.in_flight.is_empty()
    }

    /// Records that are handed over and not acknowledged.
    pub fn queued(&self) -> &PerTopic<u64> {
        &self.queued
    }

    /// Whether nothing waits and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.is_settled() && self.ready.is_empty()
    }

    /// Whether everything that was handed over is acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        self.queued.iter().all(|queued| *queued == 0)
    }

    /// Whether a chunk of these lanes is handed over, at least in part, and not acknowledged as a whole.
    pub fn has_begun_any_of(&self, lanes: &[LaneId]) -> bool {
        // A chunk that is open or aside is among those in flight.
        self.in_flight.has_any_of(lanes)
    }

    /// Whether the chunk of that number is not handed over as a whole.
    pub fn is_begun(&self, number: u32) -> bool {
        self.open.iter().chain(&self.aside).any(|open| open.number == number)
    }

    /// The next chunk to be handed over, first of all of the lanes that are leaving. In order, none passes one of its
    /// own lane.
    pub fn next(&mut self, order: Order, leaving: Option<&[LaneId]>) -> Option<ComputedChunk> {
        let Outbox { ready, aside, .. } = self;
        let may_go = |lane: LaneId| order != Order::Partition || aside.iter().all(|open| open.lane != lane);
        let of_leaving = leaving.and_then(|lanes| ready.pop_if(|lane| lanes.contains(&lane) && may_go(lane)));
        of_leaving.or_else(|| ready.pop_if(may_go))
    }

    /// Goes on with a chunk that was put aside, if one can go on.
    pub fn resume(&mut self) -> bool {
        let Outbox { aside, in_flight, .. } = self;
        let mut waits =
            |open: &Open| matches!(&open.held, Some((token, next)) if must_wait(in_flight, *token, next));
        let next = aside.iter().position(|open| !waits(open));
        self.open = next.map(|at| self.aside.remove(at));
        self.open.is_some()
    }

    /// Whether the record that comes next has to wait for pieces before it.
    pub fn must_wait(&mut self, token: Token, outgoing: &Outgoing) -> bool {
        must_wait(&mut self.in_flight, token, outgoing)
    }

    /// Puts the open chunk aside, with the record that comes next.
    pub fn put_aside(&mut self, token: Token, outgoing: Outgoing) {
        let held = Some((token, outgoing));
        self.aside.extend(self.open.take().map(|open| Open { held, ..open }));
    }

    /// Writes into a manifest where its pieces are, which are all acknowledged or have failed.
    pub fn complete(&mut self, token: Token, manifest: &mut Record) -> Pieces {
        let Some(sent) = self.in_flight.get_mut(token.chunk()) else { return Pieces::Failed };
        if sent.again.contains(&token.cause()) {
            return Pieces::Failed;
        }
        let pieces = sent.pieces.iter().filter(|(cause, _)| *cause == token.cause()).map(|(_, at)| *at);
        let partition = pieces.clone().next().map_or(0, |first| first.partition);
        if pieces.clone().any(|piece| piece.partition != partition) {
            return Pieces::Scattered;
        }
        let offsets: Vec<i64> = pieces.map(|piece| piece.offset).collect();
        match pieces::complete(manifest, partition, &offsets) {
            true => Pieces::Acknowledged,
            false => Pieces::Failed,
        }
    }

    /// Drops the chunks of a lane of which nothing is handed over.
    pub fn abandon(&mut self, lane: LaneId) {
        self.ready.abandon(lane);
    }

    /// Drops everything of a lane that is not handed over, including the rest of a chunk that was begun.
    pub fn cut_off(&mut self, lane: LaneId) {
        self.abandon(lane);
        let open = self.open.take_if(|open| open.lane == lane);
        let aside = self.aside.extract_if(.., |open| open.lane == lane);
        for Open { number, .. } in open.into_iter().chain(aside) {
            // What was handed over still counts until it is acknowledged.
            if let Some(sent) = self.in_flight.get_mut(number) {
                sent.remaining -= sent.unsent;
                sent.unsent = 0;
                if sent.remaining == 0 {
                    self.in_flight.remove(number);
                }
            }
        }
    }

    /// Drops everything; deliveries that still come are ignored.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.open = None;
        self.aside.clear();
        self.in_flight.clear();
        self.queued = self.queued.map(|_| 0);
    }
}

fn must_wait(in_flight: &mut Ring, token: Token, next: &Outgoing) -> bool {
    let out = |in_flight: &mut Ring| in_flight.get_mut(token.chunk()).map_or(0, |sent| sent.pieces_out);
    match next.part {
        Part::Whole => false,
        Part::Piece => out(in_flight) >= AHEAD,
        Part::Manifest => out(in_flight) > 0,
    }
}
