//! Records whose results or dead letters the broker has refused, and what becomes of them.
//!
//! A broker refuses batches, so a refused record may only have had bad neighbours. It is sent again alone; what is
//! refused then is a dead letter. Exactly-once the transaction is aborted each time, and this is what is remembered
//! of it.

use std::collections::HashMap;

use super::{
    Destination, Refusal, Stop,
    chunk::Chunk,
    compute::{Compute, Outcome, Outgoing},
    dead_letter::{self, Origin},
};
use crate::record::{Offset, TopicPartition};

/// Records that are sent alone, by where they were read.
#[derive(Default)]
pub struct Suspects {
    records: HashMap<(TopicPartition, Offset), Suspect>,
    /// Whether the record that was handed over last is to be alone.
    pub alone: bool,
}

/// What is known against a record.
#[derive(Default)]
struct Suspect {
    /// Whether it was alone when it was sent last.
    alone: bool,
    /// Why its result was refused although it was alone: it becomes a dead letter.
    refusal: Option<Refusal>,
    /// Whether what its caller is told of that dead letter was refused too.
    unanswered: bool,
    /// Whether its dead letter was refused: only the bare one is left.
    bare: bool,
}

impl Suspects {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the record is to be sent alone.
    pub fn contains(&self, partition: &TopicPartition, offset: Offset) -> bool {
        self.records.contains_key(&(partition.clone(), offset))
    }

    /// The record is sent with no other under way.
    pub fn sent_alone(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(suspect) = self.records.get_mut(&(partition.clone(), offset)) {
            suspect.alone = true;
        }
    }

    /// What the record has led to was refused. Returns whether it was alone, so that this is for certain.
    ///
    /// # Errors
    /// Where not even a bare dead letter is taken.
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
            Destination::Result if suspect.refusal.is_none() => suspect.refusal = Some(refusal.clone()),
            Destination::Result => suspect.unanswered = true,
            Destination::DeadLetter if !suspect.bare => suspect.bare = true,
            Destination::DeadLetter => {
                return Err(Stop::Fatal(format!(
                    "the dead-letter topic does not take the dead letter of {partition} offset {offset}, cut to a \
                     few bytes and without its timestamp: {refusal}. See to the topic's settings"
                )));
            }
        }
        Ok(true)
    }

    /// Puts dead letters in the place of what was refused for certain.
    pub fn replace(&self, chunk: &Chunk, outcome: &mut Outcome, compute: &Compute) {
        for (cause, (held, index)) in chunk.places().enumerate() {
            let origin = Origin { partition: &held.batch.partition, offset: held.batch.offset(index) };
            let Some(suspect) = self.records.get(&(origin.partition.clone(), origin.offset)) else {
                continue;
            };
            if let Some(refusal) = &suspect.refusal {
                outcome.outgoing.retain(|outgoing| outgoing.cause != cause);
                let class =
                    if refusal.too_large.is_some() { dead_letter::TOO_LARGE } else { dead_letter::REFUSED };
                let mut letter =
                    dead_letter::of(held.batch.record(index), &origin, class, &refusal.reason, 1);
                // It may be what the broker has refused; a header has it.
                letter.timestamp = None;
                if let Some(reply) = compute.reply_to(&letter).filter(|_| !suspect.unanswered) {
                    outcome.outgoing.push(Outgoing { cause, to: Destination::Result, record: reply });
                }
                let record = dead_letter::fit(letter, compute.largest_dead_letter);
                outcome.outgoing.push(Outgoing { cause, to: Destination::DeadLetter, record });
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

    /// All of a partition before the offset is committed.
    pub fn committed(&mut self, partition: &TopicPartition, watermark: Offset) {
        self.records.retain(|(of, offset), _| of != partition || *offset >= watermark);
    }

    /// Partitions are no longer ours.
    pub fn forget(&mut self, gone: &[TopicPartition]) {
        self.records.retain(|(partition, _), _| !gone.contains(partition));
    }
}
