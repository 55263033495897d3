//! What becomes of records whose results or dead letters the broker has refused.
//!
//! A broker refuses whole batches, so a refused record may be good, and only in a batch with a bad one. It is
//! sent again alone, and becomes a dead letter if it is refused again. Exactly-once, each step aborts the
//! transaction, and only what is here is remembered.

use std::{collections::HashMap, sync::atomic::Ordering::Relaxed};

use super::{
    Refusal, Stop,
    chunk::Chunk,
    compute::Compute,
    dead_letter::{self, Origin},
    outcome::{Outcome, Outgoing},
};
use crate::record::{Destination, Offset, TopicPartition, classes};

/// The records that are sent alone, by where they were read.
#[derive(Default)]
pub struct Suspects {
    records: HashMap<(TopicPartition, Offset), Suspect>,
    /// Whether the record that was handed over last has to be alone.
    pub alone: bool,
}

/// What is known about a suspect record.
#[derive(Default)]
struct Suspect {
    /// Whether it was alone when it was last sent.
    alone: bool,
    /// Why its result was refused although it was alone, so that it becomes a dead letter.
    refusal: Option<Refusal>,
    /// Whether the reply that reports that dead letter to the caller was refused too.
    unanswered: bool,
    /// Whether its dead letter was refused, so that a bare one is sent instead.
    bare: bool,
}

impl Suspects {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the record has to be sent alone.
    pub fn contains(&self, partition: &TopicPartition, offset: Offset) -> bool {
        self.records.contains_key(&(partition.clone(), offset))
    }

    /// The record is sent now, with no other in flight.
    pub fn sent_alone(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(suspect) = self.records.get_mut(&(partition.clone(), offset)) {
            suspect.alone = true;
        }
    }

    /// A result or dead letter of the record was refused. Returns whether it was alone, so that it is
    /// certainly the cause.
    ///
    /// # Errors
    /// Where the topic does not even take a bare dead letter.
    pub fn refused(
        &mut self,
        partition: &TopicPartition,
        offset: Offset,
        to: Destination,
        refusal: &Refusal,
    ) -> Result<bool, Stop> {
        let suspect = self.records.entry((partition.clone(), offset)).or_default();
        if !std::mem::take(&mut suspect.alone) {
            return Ok(false);
        }
        match to {
            Destination::Result(_) if suspect.refusal.is_none() => suspect.refusal = Some(refusal.clone()),
            Destination::Result(_) => suspect.unanswered = true,
            Destination::DeadLetter if !suspect.bare => suspect.bare = true,
            Destination::DeadLetter => {
                return Err(Stop::Fatal(format!(
                    "the dead-letter topic does not take the dead letter of {partition} offset {offset}, cut to a \
                     few bytes and without its timestamp: {refusal}. Check the topic's settings"
                )));
            }
        }
        Ok(true)
    }

    /// The record is sent in another way from now on.
    pub fn acquit(&mut self, partition: &TopicPartition, offset: Offset) {
        self.records.remove(&(partition.clone(), offset));
    }

    /// Replaces results that were certainly refused by dead letters.
    pub fn replace(&self, chunk: &Chunk, outcome: &mut Outcome, compute: &Compute) {
        for (cause, (held, index)) in chunk.places().enumerate() {
            let read = (held.batch.partition.clone(), held.batch.offset(index));
            let Some(suspect) = self.records.get(&read) else { continue };
            if let Some(refusal) = &suspect.refusal {
                // What operators remember of it stays: the next records were computed with that.
                let changelog = compute.changelog.map(Destination::Result);
                let stays = |outgoing: &Outgoing| outgoing.cause != cause || Some(outgoing.to) == changelog;
                outcome.outgoing.retain(stays);
                let class = if refusal.too_large.is_some() {
                    classes::RESULT_TOO_LARGE
                } else {
                    classes::RESULT_REFUSED
                };
                let taken = compute.take(&held.batch, index);
                let (partition, offset) = taken.place(&held.batch, index);
                let (first, attempts) = (Origin { partition, offset }, taken.tried.saturating_add(1));
                let mut letter =
                    dead_letter::of(taken.record.clone(), &first, class, &refusal.reason, attempts);
                // The broker may have refused the timestamp; a header has it.
                letter.timestamp = None;
                if let Some(reply) = compute.reply_to(&letter).filter(|_| !suspect.unanswered) {
                    let to = Destination::SINK;
                    outcome.outgoing.push(Outgoing::whole(cause, to, reply));
                }
                let record = dead_letter::fit(letter, compute.largest.dead_letters.load(Relaxed));
                outcome.outgoing.push(Outgoing::whole(cause, Destination::DeadLetter, record));
                outcome.dead_letters.push(class);
            }
            if suspect.bare {
                let letters = outcome
                    .outgoing
                    .iter_mut()
                    .filter(|outgoing| outgoing.cause == cause && outgoing.to == Destination::DeadLetter);
                letters.for_each(|letter| {
                    letter.record = dead_letter::bare(std::mem::take(&mut letter.record));
                });
            }
        }
    }

    /// Forgets the records of a partition below the committed offset.
    pub fn committed(&mut self, partition: &TopicPartition, watermark: Offset) {
        self.records.retain(|(of, offset), _| of != partition || *offset >= watermark);
    }

    /// Forgets the records of partitions that are no longer ours.
    pub fn forget(&mut self, gone: &[TopicPartition]) {
        self.records.retain(|(partition, _), _| !gone.contains(partition));
    }
}
