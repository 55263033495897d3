//! From computed chunks to acknowledged records.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed, vec};

use super::{
    Delivery, DeliveryError, Destination, SendError, Sink, Source, Stop, Token,
    compute::Outgoing,
    dead_letter,
    in_flight::{InFlight, Ring},
    lane::{Computed, LaneId},
    run::Engine,
};

/// What a record takes in a batch of its own beside its value, at least: see [`wire_size`](super::wire_size).
const FRAME: u64 = 97;

/// Computed chunks on their way to the sink.
#[derive(Default)]
pub struct Outbox {
    /// Not handed over yet.
    ready: VecDeque<Computed>,
    /// The chunk that is being handed over: its number, and what of it is left.
    open: Option<(u32, LaneId, vec::IntoIter<Outgoing>)>,
    /// A record that the sink had no room for, or one to be sent in another's place.
    again: VecDeque<(Token, Outgoing)>,
    in_flight: Ring,
}

impl Outbox {
    /// Adds a chunk at the end.
    pub fn push(&mut self, computed: Computed) {
        self.ready.push_back(computed);
    }

    /// Whether nothing is half handed over and everything sent is acknowledged: where a transaction can end.
    pub fn is_settled(&self) -> bool {
        self.open.is_none() && self.again.is_empty() && self.in_flight.is_empty()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.is_settled() && self.ready.is_empty()
    }

    /// Drops chunks of that lane that were not begun.
    pub fn abandon(&mut self, lane: LaneId) {
        self.ready.retain(|computed| computed.lane != lane);
    }

    /// Drops everything; deliveries that still come are not known any more.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.open = None;
        self.again.clear();
        self.in_flight.clear();
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    /// Hands over what the sink has room for.
    pub(super) fn send(&mut self) -> Result<(), Stop> {
        loop {
            while let Some((token, outgoing)) = self.outbox.again.pop_front() {
                if !self.send_one(token, outgoing)? {
                    return Ok(());
                }
            }
            let Some((number, _, left)) = &mut self.outbox.open else {
                if !self.committer.may_send() || !self.open_next()? {
                    return Ok(());
                }
                continue;
            };
            let number = *number;
            match left.next() {
                Some(outgoing) => {
                    let token = Token::new(number, outgoing.cause, outgoing.to);
                    if !self.send_one(token, outgoing)? {
                        return Ok(());
                    }
                }
                None => self.close_open(number),
            }
        }
    }

    /// Begins to hand over the next chunk; `false` where there is none.
    fn open_next(&mut self) -> Result<bool, Stop> {
        let Some(computed) = self.outbox.ready.pop_front() else { return Ok(false) };
        let Computed { lane, chunk, outcome, room } = computed;
        if !self.lanes.contains_key(&lane) {
            return Ok(true);
        }
        if let Some(stop) = outcome.fatal {
            return Err(stop);
        }
        outcome.dead_letters.iter().for_each(|class| self.progress.dead_letter(class));
        self.progress.sent(outcome.outgoing.iter().map(|outgoing| outgoing.record.size() as u64).sum());
        let remaining = outcome.outgoing.len();
        let number = self.outbox.in_flight.push(InFlight { lane, chunk, remaining, _room: room });
        self.outbox.open = Some((number, lane, outcome.outgoing.into_iter()));
        Ok(true)
    }

    /// All of a chunk has been handed over.
    fn close_open(&mut self, number: u32) {
        self.outbox.open = None;
        let Some(sent) = self.outbox.in_flight.get_mut(number) else { return };
        if let Some(lane) = self.lanes.get_mut(&sent.lane) {
            lane.sent(&sent.chunk, &self.shared.compute.topology);
        }
        if sent.remaining == 0 {
            self.done(number);
        }
    }

    /// `false` where the sink has no room: the record is kept, and goes first when it has.
    fn send_one(&mut self, token: Token, outgoing: Outgoing) -> Result<bool, Stop> {
        match self.sink.send(outgoing.to, &outgoing.record, token) {
            Ok(()) => {
                self.committer.sent();
                Ok(true)
            }
            Err(SendError::Full) => {
                self.outbox.again.push_front((token, outgoing));
                Ok(false)
            }
            Err(SendError::Failed(error)) => {
                self.not_delivered(token, error)?;
                Ok(true)
            }
        }
    }

    /// Counts acknowledgements.
    pub(super) fn delivered(&mut self, deliveries: &mut Vec<Delivery>) -> Result<(), Stop> {
        let (mut results, mut dead_letters) = (0, 0);
        for Delivery { token, result } in deliveries.drain(..) {
            let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) else { continue };
            if let Err(error) = result {
                self.not_delivered(token, error)?;
                continue;
            }
            match token.destination() {
                Destination::Result => results += 1,
                Destination::DeadLetter => dead_letters += 1,
            }
            sent.remaining -= 1;
            let is_open = self.outbox.open.as_ref().is_some_and(|(open, ..)| *open == token.chunk());
            if sent.remaining == 0 && !is_open {
                self.done(token.chunk());
            }
        }
        self.progress.acknowledged(results, dead_letters);
        Ok(())
    }

    /// A result that the topic does not take becomes a dead letter, here where nothing else was lost with
    /// it, or on the next try where its transaction is.
    fn not_delivered(&mut self, token: Token, error: DeliveryError) -> Result<(), Stop> {
        let size = match error {
            DeliveryError::Stop(stop) => return Err(stop),
            DeliveryError::Abort(reason) => {
                self.abort(&reason);
                return Ok(());
            }
            DeliveryError::TooLarge { size } => size,
        };
        if token.destination() == Destination::DeadLetter {
            return Err(Stop::Fatal(format!(
                "the dead-letter topic does not take a value of {size} bytes: raise its max.message.bytes"
            )));
        }
        let limit = &self.shared.compute.largest_result;
        limit.fetch_min(size + FRAME - 1, Relaxed);
        if self.committer.is_transactional() {
            self.abort(&error.to_string());
            return Ok(());
        }
        let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) else { return Ok(()) };
        let Some(lane) = self.lanes.get(&sent.lane) else { return Ok(()) };
        let Some((record, offset)) = sent.chunk.record(token.cause()) else { return Ok(()) };
        let record =
            dead_letter::of(record, &lane.partition, offset, dead_letter::TOO_LARGE, &error.to_string(), 1);
        self.progress.dead_letter(dead_letter::TOO_LARGE);
        if let Some(reply) = self.shared.compute.reply_to(&record) {
            sent.remaining += 1;
            let to = Destination::Result;
            let token = Token::new(token.chunk(), token.cause(), to);
            self.outbox.again.push_back((token, Outgoing { cause: token.cause(), to, record: reply }));
        }
        let to = Destination::DeadLetter;
        let token = Token::new(token.chunk(), token.cause(), to);
        self.outbox.again.push_back((token, Outgoing { cause: token.cause(), to, record }));
        Ok(())
    }

    fn done(&mut self, number: u32) {
        let Some(sent) = self.outbox.in_flight.remove(number) else { return };
        if let Some(lane) = self.lanes.get_mut(&sent.lane) {
            lane.done(&sent.chunk);
            self.committer.done(sent.chunk.len() as u64, self.environment.now());
        }
    }
}
