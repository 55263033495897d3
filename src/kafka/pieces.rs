//! Reads a result that was cut into pieces, from where its manifest says that they are.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{exchange::header, settings, threads};
use crate::{
    pieces::{Manifest, hex},
    record::PIECE,
};

/// How long no broker may answer before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Why a result cannot be put together.
#[derive(Error, Debug)]
pub enum PieceError {
    /// The client cannot be made.
    #[error("the pieces of the result cannot be read: {0}")]
    Client(#[from] KafkaError),
    /// A piece was deleted.
    #[error(
        "piece {place} of the result is not in {topic}[{partition}] at offset {offset} any more: the topic keeps records too \
         briefly, or compacts them"
    )]
    Gone {
        /// Which one, from 0.
        place: usize,
        /// The topic.
        topic: String,
        /// The partition in it.
        partition: i32,
        /// Where it was.
        offset: i64,
    },
    /// The bytes are not those that were written.
    #[error("the pieces of the result `{0}` have other bytes than its manifest says")]
    Wrong(String),
    /// No broker has answered.
    #[error("no broker has answered for {} s while the pieces of the result were read", PATIENCE.as_secs())]
    Late,
}

/// The pieces of a result, in order, with a client of its own. Next blocks; after an error there is nothing more.
pub struct PieceReader {
    consumer: Option<BaseConsumer>,
    topic: String,
    manifest: Manifest,
    /// Those that are not read yet.
    left: Range<usize>,
    /// What is read so far, where it is read from the beginning to the end.
    hash: Option<Sha256>,
}

impl PieceReader {
    /// Reads these of the pieces that a manifest in `topic` names; where it is all of them, their hash is checked behind the last one.
    ///
    /// # Errors
    /// Where the client cannot be made.
    pub fn new(
        config: &ClientConfig,
        topic: &str,
        manifest: Manifest,
        pieces: Range<usize>,
    ) -> Result<Self, PieceError> {
        let defaults = [
            ("queued.max.messages.kbytes", "4096"),
            // After a fetch that has filled it, librdkafka would wait a second.
            ("fetch.queue.backoff.ms", "2"),
        ];
        let config = settings::unless_set(config, &defaults);
        let config = settings::without_group(&config, "pipeline-pieces", "error");
        let consumer: BaseConsumer = config.create()?;
        let first = manifest.offsets.get(pieces.start).copied().unwrap_or_default();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, manifest.partition, Offset::Offset(first))?;
        consumer.assign(&list)?;
        let hash = (pieces == (0..manifest.offsets.len())).then(Sha256::new);
        Ok(PieceReader { consumer: Some(consumer), topic: topic.to_owned(), manifest, left: pieces, hash })
    }

    fn read(&mut self, place: usize) -> Result<Vec<u8>, PieceError> {
        let (Some(consumer), offset) = (&self.consumer, self.manifest.offsets[place]) else {
            return Err(PieceError::Late);
        };
        let gone = || PieceError::Gone {
            place,
            topic: self.topic.clone(),
            partition: self.manifest.partition,
            offset,
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let record = match consumer.poll(POLL) {
                Some(Ok(record)) if record.offset() < offset => continue,
                Some(Ok(record)) => record,
                // It lies before the end, as its manifest was read.
                Some(Err(KafkaError::PartitionEOF(_))) => return Err(gone()),
                Some(Err(error))
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange)
                    ) =>
                {
                    return Err(gone());
                }
                // Brokers come and go.
                Some(Err(_)) | None => continue,
            };
            if record.offset() != offset {
                return Err(gone());
            }
            let bytes = record.payload().unwrap_or_default();
            let is_it = header(&record, PIECE) == Some(self.manifest.name_of(place).as_bytes())
                && bytes.len() as u64 == self.manifest.size_of(place);
            return if is_it { Ok(bytes.to_vec()) } else { Err(PieceError::Wrong(self.manifest.id.clone())) };
        }
        Err(PieceError::Late)
    }
}

impl Iterator for PieceReader {
    type Item = Result<Vec<u8>, PieceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(place) = self.left.next() else {
            let hash = hex(&self.hash.take()?.finalize());
            let is_right = hash.eq_ignore_ascii_case(&self.manifest.sha256);
            return (!is_right).then(|| Err(PieceError::Wrong(self.manifest.id.clone())));
        };
        let piece = self.read(place);
        match (&piece, &mut self.hash) {
            (Ok(piece), Some(hash)) => hash.update(piece),
            (Ok(_), None) => {}
            (Err(_), _) => (self.left, self.hash) = (0..0, None),
        }
        Some(piece)
    }
}

impl Drop for PieceReader {
    fn drop(&mut self) {
        // A consumer waits for its threads when it is dropped.
        let consumer = self.consumer.take();
        threads::block(|| drop(consumer));
    }
}
