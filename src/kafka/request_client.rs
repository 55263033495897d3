//! Sends requests one by one; what becomes of them comes as events.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    time::Duration,
};

use rdkafka::{ClientConfig, Message, message::BorrowedMessage};
use uuid::Uuid;

use super::{
    LargeResults, PieceError, PieceReader, UnderWayReader,
    exchange::{Exchange, Listener, RequestError, RequestTopics, correlation_id, header},
    request_producer::Acknowledgement,
};
use crate::{
    pieces::Manifest,
    record::{CORRELATION_ID, MANIFEST, PIECE, error},
    store::Store,
    telemetry::UnderWay,
};

/// How many events may wait to be taken; beyond that their senders wait.
const EVENTS: usize = 1_024;

/// What has become of requests.
#[derive(Debug)]
pub enum RequestEvent {
    /// What became of a request on its way into its topic.
    Acknowledged(Acknowledgement),
    /// A result's value.
    Result(Vec<u8>),
    /// A result in pieces.
    Pieces {
        /// The id that it was requested with.
        id: Option<Uuid>,
        /// Where the pieces are, or why that is not known.
        manifest: Result<Manifest, String>,
    },
    /// How far a request is that takes long.
    UnderWay(UnderWay),
    /// A request that cannot be computed.
    DeadLetter {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// The reason, as its header has it.
        reason: String,
    },
}

/// A producer of requests and a reader of their answers.
pub struct RequestClient {
    // Dropped first: the threads of the exchange may be waiting for room in it.
    events: Receiver<RequestEvent>,
    exchange: Exchange,
    large: LargeResults,
    _under_way: Option<UnderWayReader>,
}

impl RequestClient {
    /// Clients that give up on a request that no broker has taken within `timeout`. With `answers`, results
    /// and dead letters are read from now on; large results from the `store`, if they are in one; and how far requests are, from
    /// the topic `progress`.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic does not exist and is not created.
    pub fn new(
        config: &ClientConfig,
        topics: RequestTopics,
        store: Option<Store>,
        progress: Option<&str>,
        timeout: Duration,
        answers: bool,
    ) -> Result<Self, RequestError> {
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let large = LargeResults { config: config.clone(), topic: topics.results.clone(), store };
        let listener = Arc::new(Channel { sender: sender.clone(), requests: topics.requests.clone() });
        let (told, requested) = (sender.clone(), topics.requests.clone());
        let under_way = progress.filter(|_| answers).map(|topic| {
            UnderWayReader::start(config, topic, move |of| {
                of.topic != requested || told.send(RequestEvent::UnderWay(of)).is_ok()
            })
        });
        let under_way = under_way.transpose()?;
        let exchange = match answers {
            true => Exchange::new(config, topics, timeout, listener)?,
            false => Exchange::without_answers(config, &topics, timeout, listener)?,
        };
        Ok(RequestClient { events, exchange, large, _under_way: under_way })
    }

    /// Produces a request, without a key, so that any worker may take it. Its result has the `id`. Returns false where the
    /// producer has no room until some events are taken by [`next`](RequestClient::next).
    ///
    /// # Errors
    /// librdkafka's reason, where it refuses the request.
    pub fn send(&self, request: usize, id: Uuid, value: &[u8]) -> Result<bool, String> {
        self.exchange.send(request, None, value, Some(correlation_id(id.to_string().as_bytes())))
    }

    /// Reads the pieces of a result.
    ///
    /// # Errors
    /// Where it cannot be read from where it is.
    pub fn pieces_of(&self, manifest: Manifest) -> Result<PieceReader, PieceError> {
        let all = manifest.all();
        self.large.read(manifest, all)
    }

    /// The next event; `None` where none comes within `timeout`.
    pub fn next(&self, timeout: Duration) -> Option<RequestEvent> {
        self.events.recv_timeout(timeout).ok()
    }
}

/// Turns what is reported into events.
struct Channel {
    sender: SyncSender<RequestEvent>,
    requests: String,
}

impl Listener for Channel {
    fn acknowledged(&self, acknowledgement: Acknowledgement) {
        // The caller may be gone.
        let _ = self.sender.send(RequestEvent::Acknowledged(acknowledgement));
    }

    fn result(&self, record: &BorrowedMessage<'_>) -> bool {
        let Some(value) = record.payload() else { return true };
        if header(record, PIECE).is_some() {
            return true;
        }
        let event = if header(record, MANIFEST).is_some() {
            let id = header(record, CORRELATION_ID).and_then(|id| Uuid::try_parse_ascii(id).ok());
            RequestEvent::Pieces { id, manifest: Manifest::read(value) }
        } else {
            RequestEvent::Result(value.to_vec())
        };
        self.sender.send(event).is_ok()
    }

    fn dead_letter(&self, record: &BorrowedMessage<'_>) -> bool {
        let header = |name| Some(String::from_utf8_lossy(header(record, name)?).into_owned());
        let event = || {
            // The topic may be shared with other pipelines.
            (header(error::TOPIC)? == self.requests).then_some(())?;
            Some(RequestEvent::DeadLetter {
                partition: header(error::PARTITION)?.parse().ok()?,
                offset: header(error::OFFSET)?.parse().ok()?,
                reason: header(error::MESSAGE).unwrap_or_default(),
            })
        };
        event().is_none_or(|event| self.sender.send(event).is_ok())
    }
}
