//! A consumer as the engine's source: polled all the time, on its own thread.

use std::{
    pin::Pin,
    sync::{Arc, mpsc as std_mpsc},
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use futures::{FutureExt, Stream, future::BoxFuture, stream::BoxStream};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::mpsc;

use super::{
    events::Events,
    fetch_queue::FetchQueue,
    group::Group,
    history::{self, Ends},
    offsets::{commit_list, parts},
    pace::Throttle,
    permanent,
    poll::{Command, PollThread},
    rebalance::Rebalances,
    starts::Reset,
    threads,
    until::Until,
};
use crate::{
    engine::{Budget, CommitError, CommitOffset, Past, Source, SourceEvent, Stop},
    record::{Batch, TopicPartition},
    telemetry::Progress,
};

/// The topics that a source reads.
#[derive(Clone, Debug, Default)]
pub struct SourceTopics {
    /// Those that the group shares out; a name that begins with `^` is a pattern.
    pub subscribed: Vec<String>,
    /// Those of which each member reads the partitions with the numbers of its others.
    pub beside: Vec<String>,
}

/// A consumer as the engine's source.
pub struct KafkaSource {
    events: mpsc::UnboundedReceiver<Result<SourceEvent, Stop>>,
    commands: std_mpsc::Sender<Command>,
    consumer: Arc<BaseConsumer<Rebalances>>,
    /// For further consumers.
    config: ClientConfig,
    ends: Ends,
    until: Option<Until>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaSource {
    /// Joins the group and begins to read. `budget` bounds what is read and not done yet, and `rate` the records a second, unless
    /// `throttle` says otherwise.
    ///
    /// # Errors
    /// Where the consumer or its thread cannot be made.
    pub fn new(
        config: &ClientConfig,
        topics: &SourceTopics,
        budget: Budget,
        throttle: Arc<Throttle>,
        rate: Option<u32>,
        progress: Arc<Progress>,
    ) -> Result<Self, Stop> {
        let (events, receiver) = mpsc::unbounded_channel();
        let (commands, command_receiver) = std_mpsc::channel();
        let reset = Reset::named(config.get("auto.offset.reset"));
        let context = Rebalances::new(topics, Events::new(events), progress, reset);
        let consumer: BaseConsumer<Rebalances> = config
            .clone()
            .set("auto.offset.reset", "error")
            .create_with_context(context)
            .map_err(|error| Stop::Fatal(format!("cannot make a consumer: {error}")))?;
        let consumer = Arc::new(consumer);
        // SAFETY: the poll thread owns both, and drops the queue before its consumer.
        let queue = unsafe { FetchQueue::new(consumer.client().native_ptr()) };
        consumer.context().forward_to(queue.forward());
        let names: Vec<&str> = topics.subscribed.iter().map(String::as_str).collect();
        consumer
            .subscribe(&names)
            .map_err(|error| Stop::Fatal(format!("cannot subscribe to {}: {error}", names.join(", "))))?;
        let poll = PollThread::new(queue, consumer.clone(), command_receiver, budget, throttle, rate);
        let thread = thread::Builder::new()
            .name("consumer-poll".to_owned())
            .spawn(move || poll.run())
            .map_err(|error| Stop::Fatal(format!("cannot start the consumer's poll thread: {error}")))?;
        Ok(KafkaSource {
            events: receiver,
            commands,
            consumer,
            config: config.clone(),
            ends: Ends::default(),
            until: None,
            thread: Some(thread),
        })
    }

    /// Reads each partition up to there and no further, as if it ended there.
    pub fn read_until(&mut self, until: Until) {
        self.until = Some(until);
    }

    /// The group, for transactions.
    pub fn group(&self) -> Group {
        Group::new(self.consumer.clone())
    }
}

impl Stream for KafkaSource {
    type Item = Result<SourceEvent, Stop>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.events.poll_recv(context);
        match &self.until {
            None => event,
            Some(until) => event.map(|event| event.map(|event| event.map(|event| until.cut(event)))),
        }
    }
}

impl Source for KafkaSource {
    fn commit(&self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        let (consumer, group) = (self.consumer.clone(), self.group());
        let commit = tokio::task::spawn_blocking(move || {
            // An empty group accepts offsets from anybody: those of a worker that it has removed could move
            // back.
            if !group.is_joined() {
                return Err(CommitError::Passing("the worker is no member of its group".to_owned()));
            }
            parts(&offsets)
                .into_iter()
                .try_for_each(|part| consumer.commit(&commit_list(part)?, CommitMode::Sync))
                .map_err(commit_error)
        });
        commit
            .map(|result| {
                result.unwrap_or_else(|_| Err(CommitError::Passing("the commit panicked".to_owned())))
            })
            .boxed()
    }

    fn rewind(&mut self) {
        // A thread that is gone has reported why.
        let _ = self.commands.send(Command::Rewind);
    }

    fn history(&self, partition: &TopicPartition, part: Past) -> BoxStream<'static, Batch> {
        history::read(&self.config, &self.ends, partition, part)
    }

    fn close(&mut self) {
        let _ = self.commands.send(Command::Close);
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close);
        // The thread must not wait for a hand-over that the engine did not take.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            threads::join(thread);
        }
    }
}

fn commit_error(error: KafkaError) -> CommitError {
    if let Some(stop) = permanent::of_error(&error) {
        return CommitError::Stop(stop);
    }
    match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed) => CommitError::Stop(Stop::Fatal(format!(
            "the broker does not let this user commit offsets: {error}"
        ))),
        // The poll thread reports errors that are fatal to the consumer.
        _ => CommitError::Passing(error.to_string()),
    }
}
