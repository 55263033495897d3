//! Reads a large result from where its manifest says that it is: in pieces, or in an object store.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{exchange::header, settings, threads};
use crate::{
    pieces::{Manifest, Pieces, Place, hex},
    record::PIECE,
    store::{ObjectError, ObjectReader, Store},
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
    #[error("the result has other bytes than its manifest says, whose hash is {0}")]
    Wrong(String),
    /// It is in an object store that does not give it.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It is in an object store, and the reader knows of none.
    #[error("the result is in an object store, and no address of one is set")]
    NoStore,
    /// No broker has answered.
    #[error("no broker has answered for {} s while the pieces of the result were read", PATIENCE.as_secs())]
    Late,
}

/// Where the large results of a topic are read.
#[derive(Clone)]
pub struct LargeResults {
    /// Of the clients.
    pub config: ClientConfig,
    /// The topic.
    pub topic: String,
    /// Where its workers put what it does not take, if they do.
    pub store: Option<Store>,
}

impl LargeResults {
    /// Reads these of the pieces that a manifest names; where it is all of them, their hash is checked behind the last one.
    ///
    /// # Errors
    /// Where the client cannot be made, or there is no store to be read.
    pub fn read(&self, manifest: Manifest, pieces: Range<usize>) -> Result<PieceReader, PieceError> {
        let hash = (pieces == manifest.all()).then(Sha256::new);
        let sha256 = manifest.sha256.clone();
        let from = match (manifest.place.clone(), &self.store) {
            (Place::Topic(in_topic), _) => {
                From::Topic(TopicReader::new(&self.config, &self.topic, manifest, in_topic, pieces)?)
            }
            (Place::Store { object }, Some(store)) => From::Store(store.read(&object, manifest, pieces)),
            (Place::Store { .. }, None) => return Err(PieceError::NoStore),
        };
        Ok(PieceReader { from: Some(from), sha256, hash })
    }
}

/// The pieces of a result, in order. Next blocks; after an error there is nothing more.
pub struct PieceReader {
    from: Option<From>,
    sha256: String,
    /// What is read so far, where it is read from the beginning to the end.
    hash: Option<Sha256>,
}

enum From {
    Topic(TopicReader),
    Store(ObjectReader),
}

impl Iterator for PieceReader {
    type Item = Result<Bytes, PieceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.from.as_mut()? {
            From::Topic(reader) => reader.next(),
            From::Store(reader) => reader.next().map(|read| read.map_err(PieceError::Object)),
        };
        let Some(piece) = next else {
            self.from = None;
            let hash = hex(&self.hash.take()?.finalize());
            let is_right = hash.eq_ignore_ascii_case(&self.sha256);
            return (!is_right).then(|| Err(PieceError::Wrong(self.sha256.clone())));
        };
        match (&piece, &mut self.hash) {
            (Ok(piece), Some(hash)) => hash.update(piece),
            (Ok(_), None) => {}
            (Err(_), _) => self.from = None,
        }
        Some(piece)
    }
}

/// Reads pieces with a client of its own.
struct TopicReader {
    consumer: Option<BaseConsumer>,
    topic: String,
    manifest: Manifest,
    pieces: Pieces,
    /// Those that are not read yet.
    left: Range<usize>,
}

impl TopicReader {
    fn new(
        config: &ClientConfig,
        topic: &str,
        manifest: Manifest,
        pieces: Pieces,
        left: Range<usize>,
    ) -> Result<Self, PieceError> {
        let defaults = [
            ("queued.max.messages.kbytes", "4096"),
            // After a fetch that has filled it, librdkafka would wait a second.
            ("fetch.queue.backoff.ms", "2"),
        ];
        let config = settings::unless_set(config, &defaults);
        let config = settings::without_group(&config, "pipeline-pieces", "error");
        let consumer: BaseConsumer = config.create()?;
        let first = pieces.offsets.get(left.start).copied().unwrap_or_default();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, pieces.partition, Offset::Offset(first))?;
        consumer.assign(&list)?;
        Ok(TopicReader { consumer: Some(consumer), topic: topic.to_owned(), manifest, pieces, left })
    }

    fn read(&self, place: usize) -> Result<Bytes, PieceError> {
        let (Some(consumer), offset) = (&self.consumer, self.pieces.offsets[place]) else {
            return Err(PieceError::Late);
        };
        let (topic, partition) = (self.topic.clone(), self.pieces.partition);
        let gone = || PieceError::Gone { place, topic: topic.clone(), partition, offset };
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
            let is_it = header(&record, PIECE) == Some(self.pieces.name_of(place).as_bytes())
                && bytes.len() as u64 == self.manifest.size_of(place);
            return match is_it {
                true => Ok(Bytes::copy_from_slice(bytes)),
                false => Err(PieceError::Wrong(self.manifest.sha256.clone())),
            };
        }
        Err(PieceError::Late)
    }

    fn next(&mut self) -> Option<Result<Bytes, PieceError>> {
        let place = self.left.next()?;
        Some(self.read(place))
    }
}

impl Drop for TopicReader {
    fn drop(&mut self) {
        // A consumer waits for its threads when it is dropped.
        let consumer = self.consumer.take();
        threads::block(|| drop(consumer));
    }
}
