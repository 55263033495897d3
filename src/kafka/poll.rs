//! The consumer's poll thread: callbacks first, then as much data as there is room for.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};

use super::{
    fetch_queue::{BATCH, FetchQueue, Fetched},
    pace::{Pace, Throttle},
    permanent,
    rebalance::Rebalances,
    shares::Shares,
    stillness::Stillness,
};
use crate::{
    engine::{Budget, SourceEvent, Stop},
    record::{BatchBuilder, Offset, TopicPartition},
};

/// How long to wait for data before callbacks are served again: the most that a rebalance waits.
const DATA_WAIT: Duration = Duration::from_millis(50);
/// How long to wait for callbacks while there is no room for data.
const ROOM_WAIT: Duration = Duration::from_millis(2);
/// How long to wait for callbacks while no partition is assigned, or all are paused.
const IDLE_WAIT: Duration = Duration::from_millis(50);
/// How often the ends of the partitions are reported.
const ENDS_INTERVAL: Duration = Duration::from_secs(1);
/// How often a warning says that brokers do not answer: librdkafka reports every attempt to reach them.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a broker may take to say where a partition ends.
const ASK_END: Duration = Duration::from_secs(2);
/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A command of the engine to the poll thread.
pub enum Command {
    Rewind,
    Close,
}

/// The state of the poll thread, the only one that polls the consumer.
pub struct PollThread {
    // Before the consumer: fields are dropped in this order.
    queue: FetchQueue,
    consumer: Arc<BaseConsumer<Rebalances>>,
    commands: mpsc::Receiver<Command>,
    shares: Shares,
    stillness: Stillness,
    pace: Pace,
    next_ends: Instant,
    next_trouble: Instant,
}

impl PollThread {
    pub fn new(
        queue: FetchQueue,
        consumer: Arc<BaseConsumer<Rebalances>>,
        commands: mpsc::Receiver<Command>,
        budget: Budget,
        throttle: Arc<Throttle>,
        rate: Option<u32>,
    ) -> Self {
        PollThread {
            queue,
            consumer,
            commands,
            shares: Shares::new(budget),
            stillness: Stillness::default(),
            pace: Pace::new(throttle, rate, Instant::now()),
            next_ends: Instant::now(),
            next_trouble: Instant::now(),
        }
    }

    /// Polls until a command closes it, or until an error that has to be reported.
    pub fn run(mut self) {
        if let Err(stop) = self.poll() {
            self.context().events.send(Err(stop));
        }
        self.leave();
        self.context().events.close();
    }

    fn poll(&mut self) -> Result<(), Stop> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Rewind) => self.context().rewind(&self.consumer)?,
                Ok(Command::Close) | Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                Err(mpsc::TryRecvError::Empty) => {}
            }
            let (assigned, most) = (self.context().is_assigned(), self.allowance());
            let room = self.share_out() && most > 0;
            let wait = match (assigned, room) {
                (true, true) => Duration::ZERO,
                (true, false) if self.pace.is_held() => IDLE_WAIT,
                (true, false) => ROOM_WAIT,
                (false, _) => IDLE_WAIT,
            };
            let began = Instant::now();
            self.serve_callbacks(wait)?;
            if !assigned || !room {
                self.stillness.excuse(Instant::now());
            }
            if assigned && !room {
                self.context().progress.paused(began.elapsed());
            }
            if assigned && room {
                self.take_data(most)?;
            }
            if Instant::now() >= self.next_ends {
                self.next_ends = Instant::now() + ENDS_INTERVAL;
                self.context().report_ends();
                self.look_for_stillness()?;
                self.context().progress.is_paused(assigned && !room);
            }
        }
    }

    /// Pauses and resumes partitions by what each holds. Returns whether there is room for records.
    fn share_out(&mut self) -> bool {
        let (ours, paused) = self.context().assigned_and_paused();
        let verdict = self.shares.look(Instant::now(), &ours, &paused);
        self.context().pause(&self.consumer, &verdict.pause);
        self.context().resume(&self.consumer, &verdict.resume);
        verdict.may_take
    }

    /// The most records that may be taken now.
    fn allowance(&mut self) -> usize {
        self.pace.allowance(Instant::now()).min(BATCH)
    }

    /// Compares a partition from which nothing has come for a while with its end at the broker.
    fn look_for_stillness(&mut self) -> Result<(), Stop> {
        let (ours, paused) = self.context().assigned_and_paused();
        let Some(partition) = self.stillness.quiet(Instant::now(), &ours, &paused) else { return Ok(()) };
        // Where the broker does not answer, there is nothing to compare with.
        let asked = self.consumer.fetch_watermarks(&partition.topic, partition.partition, ASK_END);
        let Ok((_, end)) = asked else { return Ok(()) };
        if self.stillness.ends(&partition, Offset(end), Instant::now()) {
            return Err(Stop::Restart(format!(
                "no record comes from {partition} although there are more before its end at {end}"
            )));
        }
        Ok(())
    }

    fn serve_callbacks(&mut self, wait: Duration) -> Result<(), Stop> {
        let polled = self.consumer.poll(wait).map(|result| result.map(|_| ()));
        match polled {
            Some(Err(error)) => self.consumer_error(&error)?,
            // Data goes through the fetch queue from before the assignment on; a record here would be lost.
            Some(Ok(_)) => return Err(Stop::Restart("a record came through the wrong queue".to_owned())),
            None => {}
        }
        self.context().take_failure()
    }

    fn take_data(&mut self, most: usize) -> Result<(), Stop> {
        let context = self.consumer.context().clone();
        let mut open: Vec<((usize, i32), BatchBuilder)> = Vec::new();
        let mut ends: Vec<(TopicPartition, Offset)> = Vec::new();
        let mut failure = Ok(());
        self.queue.poll(DATA_WAIT, most, |fetched| match fetched {
            // What comes after a failed partition must not be taken before it.
            _ if failure.is_err() => {}
            Fetched::Record { partition, offset, timestamp, key, value, headers } => {
                // Offsets that go back, as in a topic that was made again, begin another batch.
                let goes_on = |batch: &BatchBuilder| batch.last().is_none_or(|last| last < offset);
                let latest = open.iter().rposition(|(of, _)| *of == partition.key());
                let at = latest.filter(|at| goes_on(&open[*at].1)).unwrap_or_else(|| {
                    open.push((partition.key(), BatchBuilder::new(context.partition(partition))));
                    open.len() - 1
                });
                open[at].1.push(offset, timestamp, key, value, headers);
            }
            Fetched::End { partition, offset } => ends.push((context.partition(partition), offset)),
            Fetched::Error { partition, offset, code, reason } => {
                failure = context.partition_error(&context.partition(partition), offset, code, &reason);
            }
        });
        let now = Instant::now();
        for (partition, end) in &ends {
            self.stillness.heard(partition, *end, now);
        }
        for (_, batch) in open {
            let batch = batch.build();
            self.pace.took(batch.len());
            // An end before the last record of the batch is outdated; one after markers is ahead of it.
            let end = ends.iter().filter(|(partition, _)| *partition == batch.partition).map(|(_, end)| *end);
            let read = batch.offset(batch.len() - 1).next();
            self.stillness.heard(&batch.partition, end.fold(read, Offset::max), now);
            let room = self.shares.of(&batch.partition).take(batch.size() as u64);
            context.events.send(Ok(SourceEvent::Batch(batch, room)));
        }
        for (partition, offset) in ends {
            context.events.send(Ok(SourceEvent::End(partition, offset)));
        }
        failure
    }

    fn consumer_error(&mut self, error: &KafkaError) -> Result<(), Stop> {
        let topics = self.context().topics().to_owned();
        if let Some(stop) =
            permanent::of_error(error).or_else(|| permanent::of_client(self.consumer.client()))
        {
            return Err(stop);
        }
        match (error, error.rdkafka_error_code()) {
            (KafkaError::MessageConsumptionFatal(_), _) => {
                Err(Stop::Restart(format!("the consumer cannot go on: {error}")))
            }
            (_, Some(Code::TopicAuthorizationFailed)) => {
                Err(Stop::Fatal(format!("the broker does not let this user read {topics}: {error}")))
            }
            (_, Some(Code::InvalidSessionTimeout)) => Err(Stop::Fatal(
                "the broker refuses the session.timeout.ms of [source.kafka]: it takes what lies between its \
                 group.min.session.timeout.ms and group.max.session.timeout.ms, 6 s and 30 min where nobody changed \
                 them"
                    .to_owned(),
            )),
            (_, Some(Code::UnknownTopicOrPartition)) => {
                tracing::warn!(%topics, "a source topic does not exist; waiting for it");
                Ok(())
            }
            // Brokers come and go; librdkafka reconnects by itself.
            _ => {
                if Instant::now() >= self.next_trouble {
                    self.next_trouble = Instant::now() + TROUBLE_INTERVAL;
                    tracing::warn!(%topics, %error, "the consumer reports an error, and goes on by itself");
                }
                Ok(())
            }
        }
    }

    /// Gives all partitions back, through the same callbacks as any rebalance, and leaves the group.
    fn leave(&self) {
        self.consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        while self.context().is_assigned() && Instant::now() < deadline {
            if let Some(Err(error)) = self.consumer.poll(IDLE_WAIT) {
                tracing::debug!(%error, "while leaving the group");
            }
        }
    }

    fn context(&self) -> &Rebalances {
        self.consumer.context()
    }
}
