//! From computed chunks to acknowledged records.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Delivery, DeliveryError, Order, RetryTopic, SendError, Sink, Source, Stop, Token,
    flow::ComputedChunk,
    in_flight::InFlight,
    outbox::{Open, Pieces},
    outcome::{Outgoing, Part},
    run::Engine,
};
use crate::{
    plant::{Fault, planted},
    record::{Destination, FRAME, Offset},
    telemetry::Progress,
};

/// Consecutive acknowledgements of the same chunk in the same topic, reported as one.
struct AckRun {
    now: Duration,
    records: usize,
    since: Duration,
    to: Destination,
}

impl AckRun {
    fn new(now: Duration) -> Self {
        AckRun { now, records: 0, since: Duration::ZERO, to: Destination::DeadLetter }
    }

    fn add(&mut self, since: Duration, to: Destination, progress: &Progress) {
        if (self.since, self.to) != (since, to) {
            self.report(progress);
            (self.records, self.since, self.to) = (0, since, to);
        }
        self.records += 1;
    }

    fn report(&self, progress: &Progress) {
        if self.records > 0 {
            progress.acknowledged(self.to, self.records, self.now - self.since);
        }
    }
}

impl<S: Source, K: Sink> Engine<S, K> {
    /// Hands over as much as the sink has room for.
    pub(super) fn send(&mut self) -> Result<(), Stop> {
        loop {
            let Some(Open { number, partition, held, left, .. }) = &mut self.outbox.open else {
                if !self.outbox.resume() && (!self.committer.may_send() || !self.open_next()?) {
                    return Ok(());
                }
                continue;
            };
            let (number, partition) = (*number, *partition);
            let next = held.take().or_else(|| {
                let outgoing = left.next()?;
                Some((Token::new(number, outgoing.cause, outgoing.to, outgoing.part), outgoing))
            });
            match next {
                Some((token, outgoing)) if self.outbox.must_wait(token, &outgoing) => {
                    self.outbox.put_aside(token, outgoing);
                }
                Some((token, outgoing)) => {
                    if !self.send_one(partition, token, outgoing)? {
                        return Ok(());
                    }
                }
                None => self.close_open(number),
            }
        }
    }

    /// Begins to hand over the next chunk; `false` where there is none.
    fn open_next(&mut self) -> Result<bool, Stop> {
        // The producer's queue is in order: behind much of it, a small result would wait long.
        if !self.committer.has_room(self.outbox.in_flight.bytes()) {
            return Ok(false);
        }
        // Partitions that are being handed over go first.
        let leaving = self.revocation.as_ref().map(|revocation| revocation.lanes());
        let Some(computed) = self.outbox.next(self.plan.order, leaving) else { return Ok(false) };
        let ComputedChunk { lane, chunk, mut outcome, room } = computed;
        let Some(partition) = self.lanes.get(&lane).map(|lane| lane.partition.partition) else {
            return Ok(true);
        };
        if let Some(stop) = outcome.fatal {
            return Err(stop);
        }
        if !self.suspects.is_empty() {
            self.suspects.replace(&chunk, &mut outcome, &self.shared.compute);
        }
        outcome.dead_letters.iter().for_each(|class| self.progress.dead_letter(class));
        if !outcome.dead_letters.is_empty() {
            let letters = outcome.outgoing.iter().filter(|o| o.to == Destination::DeadLetter);
            letters.for_each(|letter| self.progress.warn_of_dead_letter(&letter.record, self.now));
        }
        self.progress.dropped(outcome.dropped);
        let mut bytes = 0;
        for run in outcome.outgoing.chunk_by(|one, next| one.to == next.to) {
            let size = run.iter().map(|outgoing| outgoing.record.size() as u64).sum();
            self.progress.sent(run[0].to, size);
            let whole = run.iter().filter(|outgoing| outgoing.part != Part::Piece);
            bytes += whole.map(|outgoing| outgoing.record.size() as u64).sum::<u64>();
        }
        let remaining = outcome.outgoing.len();
        let number = self.outbox.in_flight.push(InFlight {
            lane,
            chunk,
            remaining,
            unsent: remaining,
            bytes,
            since: self.now,
            again: Vec::new(),
            pieces: Vec::new(),
            pieces_out: 0,
            changes: outcome.changes,
            changed_to: 0,
            _room: room,
        });
        let left = outcome.outgoing.into_iter();
        self.outbox.open = Some(Open { number, lane, partition, held: None, left });
        Ok(true)
    }

    /// All of a chunk has been handed over.
    fn close_open(&mut self, number: u32) {
        self.outbox.open = None;
        let Some(sent) = self.outbox.in_flight.get_mut(number) else { return };
        if let Some(lane) = self.lanes.get_mut(&sent.lane) {
            lane.sent(&sent.chunk, &self.shared.compute.topology);
        }
        if sent.remaining == 0 || planted(Fault::CommitBeforeAcknowledgement) {
            self.done(number);
        }
    }

    /// Sends one record. Returns `false` where the sink has no room, or the record has to wait until it is
    /// alone: then it is kept, and goes first.
    fn send_one(&mut self, partition: i32, token: Token, mut outgoing: Outgoing) -> Result<bool, Stop> {
        if outgoing.part == Part::Manifest {
            match self.outbox.complete(token, &mut outgoing.record) {
                Pieces::Acknowledged => {}
                Pieces::Failed => {
                    self.not_sent(token);
                    return Ok(true);
                }
                Pieces::Scattered => {
                    let reason = "the pieces of a result are in several partitions".to_owned();
                    return self.not_taken(token, DeliveryError::Again(reason));
                }
            }
        }
        if !self.suspects.is_empty() && !self.may_be_next(token) {
            self.hold(token, outgoing);
            return Ok(false);
        }
        match self.sink.send(outgoing.to, partition, &outgoing.record, token) {
            Ok(()) => {
                self.committer.sent(self.now);
                self.outbox.queued[outgoing.to] += 1;
                self.handed_over(token);
                self.parked_one(token, &outgoing);
                if token.is_piece()
                    && let Some(sent) = self.outbox.in_flight.get_mut(token.chunk())
                {
                    sent.pieces_out += 1;
                }
                Ok(true)
            }
            Err(SendError::Full) => {
                self.hold(token, outgoing);
                Ok(false)
            }
            Err(SendError::Failed(error)) => self.not_taken(token, error),
        }
    }

    /// What was sent to a retry topic lies behind all that was sent there before.
    fn parked_one(&mut self, token: Token, outgoing: &Outgoing) {
        let waits = |retry: &RetryTopic| outgoing.to == Destination::Result(retry.to);
        if !self.plan.retries.topics.iter().any(waits) {
            return;
        }
        let sent = self.outbox.in_flight.get_mut(token.chunk());
        if let Some(lane) = sent.and_then(|sent| self.lanes.get(&sent.lane)) {
            lane.parked_one(&outgoing.record);
        }
    }

    /// The record goes first when the open chunk goes on.
    fn hold(&mut self, token: Token, outgoing: Outgoing) {
        if let Some(open) = &mut self.outbox.open {
            open.held = Some((token, outgoing));
        }
    }

    /// A record will not be delivered. The next one may be sent.
    fn not_taken(&mut self, token: Token, error: DeliveryError) -> Result<bool, Stop> {
        self.handed_over(token);
        if let Some(error) = self.not_delivered(token, error)? {
            self.abort_for(&error);
        }
        Ok(true)
    }

    /// A record is not sent, as what caused it is done again.
    fn not_sent(&mut self, token: Token) {
        self.handed_over(token);
        if let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) {
            sent.remaining -= 1;
        }
    }

    fn handed_over(&mut self, token: Token) {
        if let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) {
            sent.unsent -= 1;
        }
    }

    /// Whether the record may be sent now, where some have to be alone.
    fn may_be_next(&mut self, token: Token) -> bool {
        let nothing_under_way = self.outbox.is_acknowledged();
        if self.suspects.alone && !nothing_under_way {
            return false;
        }
        self.suspects.alone = false;
        let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) else { return true };
        let Some((partition, offset)) = sent.chunk.place(token.cause()) else { return true };
        if !self.suspects.contains(partition, offset) {
            return true;
        }
        if nothing_under_way {
            self.suspects.sent_alone(partition, offset);
            self.suspects.alone = true;
        }
        nothing_under_way
    }

    /// Counts acknowledgements, and handles what was not delivered.
    pub(super) fn delivered(&mut self, deliveries: &mut Vec<Delivery>) -> Result<(), Stop> {
        let mut abort = None;
        let mut run = AckRun::new(self.runtime.now());
        let changelog = self.plan.state.as_ref().map(|state| Destination::Result(state.to));
        for Delivery { token, result } in deliveries.drain(..) {
            let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) else { continue };
            self.outbox.queued[token.destination()] -= 1;
            sent.pieces_out -= usize::from(token.is_piece());
            match result {
                Err(error) => {
                    // Only after the other deliveries, which may be refused as well.
                    abort = abort.or(self.not_delivered(token, error)?);
                    continue;
                }
                Ok(written) if token.is_piece() => sent.pieces.push((token.cause(), written)),
                Ok(written) if changelog == Some(token.destination()) => {
                    sent.changed_to = sent.changed_to.max(written.offset + 1);
                }
                Ok(_) => {}
            }
            run.add(sent.since, token.destination(), &self.progress);
            sent.remaining -= 1;
            self.done_if_over(token.chunk());
        }
        run.report(&self.progress);
        if let Some(error) = abort {
            self.abort_for(&error);
        }
        Ok(())
    }

    fn abort_for(&mut self, error: &DeliveryError) {
        match error {
            DeliveryError::Abort(reason) => self.abort_in_trouble(reason),
            // What was refused is sent differently next time, so there is no need to wait.
            error => self.abort(&error.to_string()),
        }
    }

    /// Has a record that was not delivered done again. Without an order, that record alone; with one, or
    /// exactly-once, everything that is not committed: then the error is returned for which it has to be
    /// taken back.
    fn not_delivered(&mut self, token: Token, error: DeliveryError) -> Result<Option<DeliveryError>, Stop> {
        let Some(sent) = self.outbox.in_flight.get_mut(token.chunk()) else { return Ok(None) };
        match &error {
            DeliveryError::Stop(stop) => return Err(stop.clone()),
            DeliveryError::Refused(refusal)
                if refusal.too_large.is_some() && self.now - self.began >= self.plan.limits_hold =>
            {
                return Err(Stop::TopicLimits(format!("{refusal}, which is less than it said at the start")));
            }
            DeliveryError::Refused(refusal) => {
                let Some((partition, offset)) = sent.chunk.place(token.cause()) else { return Ok(None) };
                let to = token.destination();
                let certain = self.suspects.refused(partition, offset, to, refusal)?;
                if let (true, Destination::Result(_), Some(size)) = (certain, to, refusal.too_large) {
                    let largest = &self.shared.compute.largest[to];
                    if token.is_piece() {
                        // The next pieces are smaller.
                        largest.fetch_min(size / 2, Relaxed);
                        self.suspects.acquit(partition, offset);
                    } else {
                        largest.fetch_min(size + FRAME - 1, Relaxed);
                    }
                }
            }
            DeliveryError::Abort(_) | DeliveryError::Again(_) => {}
        }
        // Otherwise what was sent after it would overtake it.
        let is_ordered = self.plan.order != Order::None && self.lanes.contains_key(&sent.lane);
        if self.committer.is_transactional() || is_ordered {
            return Ok(Some(error));
        }
        sent.remaining -= 1;
        if !sent.again.contains(&token.cause()) {
            sent.again.push(token.cause());
        }
        self.done_if_over(token.chunk());
        Ok(None)
    }

    /// Marks a chunk as done where none of its records are outstanding.
    fn done_if_over(&mut self, number: u32) {
        let is_open = self.outbox.is_begun(number);
        let is_over = self.outbox.in_flight.get_mut(number).is_some_and(|sent| sent.remaining == 0);
        if is_over && !is_open {
            self.done(number);
        }
    }

    fn done(&mut self, number: u32) {
        let Some(sent) = self.outbox.in_flight.remove(number) else { return };
        if let Some(lane) = self.lanes.get_mut(&sent.lane) {
            lane.done(&sent.chunk, &sent.again, &self.shared.compute.topology);
            lane.changed(sent.changes, Offset(sent.changed_to));
            let done = sent.chunk.len() - sent.again.len();
            self.committer.done(done as u64, self.runtime.now());
        }
    }
}
