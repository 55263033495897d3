//! Requests one by one, and what becomes of them as events to be taken.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    time::Duration,
};

use rdkafka::{ClientConfig, Message, message::BorrowedMessage};

use super::{
    asking::Acknowledgement,
    exchange::{Exchange, Listener, RequestError, RequestTopics, header},
};
use crate::record::error;

/// Events that wait to be taken; the sender of the next one waits.
const EVENTS: usize = 1_024;

/// What the brokers report.
#[derive(Debug)]
pub enum RequestEvent {
    /// What became of a request on its way into its topic.
    Acknowledged(Acknowledgement),
    /// A result's value.
    Result(Vec<u8>),
    /// A record of the request topic that cannot be computed.
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
pub struct Requests {
    // The first to be dropped: the others' threads may be waiting for room in it.
    events: Receiver<RequestEvent>,
    exchange: Exchange,
}

impl Requests {
    /// Clients that can ask, and give up on a request that no broker has taken after `timeout`. The answers
    /// are read from now on, if they are wanted.
    ///
    /// # Errors
    /// Where the brokers do not answer, or a topic cannot be had.
    pub fn new(
        config: &ClientConfig,
        topics: RequestTopics,
        timeout: Duration,
        answers: bool,
    ) -> Result<Self, RequestError> {
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let listener = Arc::new(Channel { sender, requests: topics.requests.clone() });
        let exchange = match answers {
            true => Exchange::new(config, topics, timeout, listener)?,
            false => Exchange::without_answers(config, &topics, timeout, listener)?,
        };
        Ok(Requests { events, exchange })
    }

    /// Produces a request, without a key: whichever worker is free may take it. Returns false where the
    /// producer has no room before some events were taken by [`next`](Requests::next).
    ///
    /// # Errors
    /// Why the producer refuses it.
    pub fn send(&self, request: usize, value: &[u8]) -> Result<bool, String> {
        self.exchange.send(request, None, value, None)
    }

    /// What has happened next; `None` where nothing does for so long.
    pub fn next(&self, timeout: Duration) -> Option<RequestEvent> {
        self.events.recv_timeout(timeout).ok()
    }
}

/// Passes on what is reported, to be taken.
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
        self.sender.send(RequestEvent::Result(value.to_vec())).is_ok()
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
