//! Chunks that were handed to the sink and are not acknowledged yet.

use std::{collections::VecDeque, time::Duration};

use super::{
    Reservation, Token, Written,
    chunk::{Chunk, RECORDS},
    outcome::Part,
    shared::LaneId,
    state::Changes,
};
use crate::record::{Destination, ResultTopic};

/// A sent chunk.
pub struct InFlight {
    pub lane: LaneId,
    pub chunk: Chunk,
    /// How many of its records are not acknowledged yet.
    pub remaining: usize,
    /// How many of those are not handed over yet.
    pub unsent: usize,
    /// Bytes of all of them but for pieces, of which only a few are under way.
    pub bytes: u64,
    /// When its first record was handed to the sink.
    pub since: Duration,
    /// The places in the chunk of records that were not delivered and are done again.
    pub again: Vec<usize>,
    /// Where the pieces of results are that were acknowledged, with the places in the chunk of what caused them.
    pub pieces: Vec<(usize, Written)>,
    /// How many pieces are handed over and neither acknowledged nor returned.
    pub pieces_out: usize,
    /// What operators remember once it is committed.
    pub changes: Option<Changes>,
    /// The offset after the last of those in the changelog, as far as they are acknowledged.
    pub changed_to: i64,
    pub _room: Reservation,
}

/// Sent chunks by their number. Numbers are given in order, so that finding one is an index; a number that
/// is no longer known belongs to a transaction that was aborted.
#[derive(Default)]
pub struct Ring {
    /// The number of the front.
    base: u32,
    chunks: VecDeque<Option<InFlight>>,
    len: usize,
    bytes: u64,
}

impl Ring {
    /// Adds a chunk; returns its number.
    pub fn push(&mut self, chunk: InFlight) -> u32 {
        self.bytes += chunk.bytes;
        self.chunks.push_back(Some(chunk));
        self.len += 1;
        self.base.wrapping_add(self.chunks.len() as u32 - 1)
    }

    /// The chunk of that number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut InFlight> {
        self.chunks.get_mut(number.wrapping_sub(self.base) as usize)?.as_mut()
    }

    /// Takes the chunk of that number out.
    pub fn remove(&mut self, number: u32) -> Option<InFlight> {
        let chunk = self.chunks.get_mut(number.wrapping_sub(self.base) as usize)?.take()?;
        self.len -= 1;
        self.bytes -= chunk.bytes;
        while let Some(None) = self.chunks.front() {
            self.chunks.pop_front();
            self.base = self.base.wrapping_add(1);
        }
        Some(chunk)
    }

    /// Forgets all chunks; their numbers are not given again soon.
    pub fn clear(&mut self) {
        self.base = self.base.wrapping_add(self.chunks.len() as u32);
        self.chunks.clear();
        (self.len, self.bytes) = (0, 0);
    }

    /// Whether one of these lanes has a chunk in it.
    pub fn has_any_of(&self, lanes: &[LaneId]) -> bool {
        self.chunks.iter().flatten().any(|sent| lanes.contains(&sent.lane))
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Stands for the dead-letter topic among the result topics.
const DEAD_LETTER: u16 = u16::MAX;
/// Set beside the place in a chunk, for a piece of a result.
const PIECE: usize = 1 << 15;

impl Token {
    /// Names what the record at the index `cause` of a chunk has led to.
    pub(super) fn new(chunk: u32, cause: usize, to: Destination, part: Part) -> Token {
        let to = match to {
            Destination::Result(ResultTopic(place)) => place,
            Destination::DeadLetter => DEAD_LETTER,
        };
        let piece = if part == Part::Piece { PIECE } else { 0 };
        Token((chunk as usize) << 32 | usize::from(to) << 16 | piece | cause)
    }

    pub(super) fn chunk(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn cause(self) -> usize {
        usize::from(self.0 as u16) & !PIECE
    }

    /// Whether it is a piece of a result.
    pub(super) fn is_piece(self) -> bool {
        self.0 & PIECE != 0
    }

    pub(super) fn destination(self) -> Destination {
        match (self.0 >> 16) as u16 {
            DEAD_LETTER => Destination::DeadLetter,
            place => Destination::Result(ResultTopic(place)),
        }
    }
}

// A token has to fit librdkafka's opaque pointer, and a place in a chunk 15 bits of it.
const _: () = assert!(usize::BITS == 64 && RECORDS < PIECE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Budget;

    fn chunk() -> InFlight {
        let chunk = Chunk { parts: Vec::new(), bytes: 0, nanos: 0 };
        InFlight {
            lane: LaneId(0),
            chunk,
            remaining: 1,
            unsent: 0,
            bytes: 0,
            since: Duration::ZERO,
            again: Vec::new(),
            pieces: Vec::new(),
            pieces_out: 0,
            changes: None,
            changed_to: 0,
            _room: Budget::new(0).take(0),
        }
    }

    #[test]
    fn numbers_stay_valid_whatever_is_removed_first() {
        let mut ring = Ring::default();
        let [a, b, c] = [ring.push(chunk()), ring.push(chunk()), ring.push(chunk())];
        assert!(ring.remove(b).is_some());
        assert!(ring.remove(b).is_none());
        assert!(ring.remove(a).is_some());
        let d = ring.push(chunk());
        assert!(ring.get_mut(c).is_some() && ring.get_mut(d).is_some());
        assert!(ring.get_mut(a).is_none());
        ring.clear();
        let e = ring.push(chunk());
        assert!([a, b, c, d].iter().all(|old| *old != e && ring.get_mut(*old).is_none()));
        assert!(!ring.is_empty());
    }

    #[test]
    fn a_token_gives_back_what_went_in() {
        for to in [
            Destination::Result(ResultTopic(0)),
            Destination::Result(ResultTopic(300)),
            Destination::DeadLetter,
        ] {
            for part in [Part::Whole, Part::Piece] {
                let token = Token::new(u32::MAX, 1_999, to, part);
                assert_eq!((token.chunk(), token.cause(), token.destination()), (u32::MAX, 1_999, to));
                assert_eq!(token.is_piece(), part == Part::Piece);
            }
        }
    }
}
