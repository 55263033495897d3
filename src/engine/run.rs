//! The loop: waits for the next event, then lets each part do what it can.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{BoxStream, SelectAll},
};

use super::{
    Handover, Plan, Reservation, Runtime, Sink, Source, SourceEvent, Stop,
    away::Away,
    commit::Committer,
    compute::Compute,
    flow::LaneEvent,
    lane::{EngineState, Lane},
    outbox::Outbox,
    rebalance::Revocation,
    refused::Suspects,
    segment::Segment,
    shared::{LaneId, Shared},
    stages::Stages,
};
use crate::{
    plant::{Fault, planted},
    record::{Batch, DEADLINE, Offset, TopicPartition},
    telemetry::Progress,
};

/// How often lag is reported.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// How soon after a commit lag is reported, as it has just changed.
pub const LAG_AFTER_COMMIT: Duration = Duration::from_millis(50);

/// How often commits are repeated that the brokers would forget: far more often than `offsets.retention.minutes`, which is a week.
const REPEAT_COMMITS: Duration = Duration::from_secs(3_600);
/// The producer may hold one part in this many of the room for results.
const SHARE_OF_PRODUCER: u64 = 8;
/// How long leaving the group may take once everything is handed over.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs until `stop` resolves and everything in flight is finished and committed, or until `plan.drain` is
/// satisfied.
///
/// # Errors
/// A fatal failure of an operator, the source or the sink. What was not committed is done again by the
/// partitions' next owner.
pub async fn run(
    plan: Plan,
    source: impl Source,
    sink: impl Sink,
    runtime: Arc<dyn Runtime>,
    progress: Arc<Progress>,
    stop: impl Future<Output = ()>,
) -> Result<(), Stop> {
    let mut engine = Engine::new(plan, source, sink, runtime, progress);
    let result = engine.run(stop).await;
    // No minute comes any more in which they would be said.
    engine.progress.warn_of_more_dead_letters(engine.runtime.now(), true);
    // The source must not wait for a hand-over by an engine that is gone.
    (engine.revocation, engine.letting_go) = (None, None);
    result
}

/// All state of a running pipeline. One task owns it, so that nothing is locked.
pub(super) struct Engine<S, K> {
    /// What to run, and what to promise.
    pub plan: Plan,
    /// The consumer, whose events drive the engine.
    pub source: S,
    /// The producer, which takes results and dead letters.
    pub sink: K,
    /// Clock, timers and cores: virtual ones in tests and simulations.
    pub runtime: Arc<dyn Runtime>,
    /// Where everything that happens is reported, for metrics and logs.
    pub progress: Arc<Progress>,
    /// What all lanes share.
    pub shared: Shared,
    /// The lanes of the partitions that are ours. In order, so that a run in virtual time can be repeated.
    pub lanes: BTreeMap<LaneId, Lane>,
    /// The current lane of each partition. Events name partitions; older lanes of a partition are not meant.
    pub by_partition: HashMap<TopicPartition, LaneId>,
    /// The streams of all lanes as one, which yields what is computed.
    pub streams: SelectAll<BoxStream<'static, LaneEvent>>,
    /// Computed chunks on their way to the sink.
    pub outbox: Outbox,
    /// Records of which the broker has refused a result, so that they are sent alone.
    pub suspects: Suspects,
    /// When and what to commit.
    pub committer: Committer,
    /// The partitions that are being handed over, if any.
    pub revocation: Option<Revocation>,
    /// Holds the source back after partitions were lost during a commit, until that commit has ended.
    pub letting_go: Option<Handover>,
    /// `plan.drain`: up to where the partitions have to be done that are ours, or were until they were lost.
    pub targets: HashMap<TopicPartition, Offset>,
    /// When a graceful stop is too late, so that the engine fails; `None` before one is asked for.
    pub closing: Option<Duration>,
    /// Why the engine cannot go on, where that was found out while partitions came.
    pub broken: Option<Stop>,
    /// Whether the source has left its group: the engine ends after the commit under way.
    pub ended: bool,
    /// The number of the last lane; numbers are never used again.
    pub next_lane: u64,
    /// How long lanes have been in each stage, for the metrics.
    pub stages: Stages,
    /// What operators hold beside records, counted in the budget.
    pub beside: Reservation,
    /// When the engine began: `plan.limits_hold` counts from then.
    pub began: Duration,
    /// When the loop last read the clock, so that it is not read for each record.
    pub now: Duration,
    /// When lag is reported next.
    pub next_lag: Duration,
    /// When commits are repeated next that the brokers would forget.
    pub next_repeat: Duration,
}

/// Reports the requests that were dropped; their callers receive nothing.
fn report_expired(progress: &Progress, partition: &TopicPartition, requests: &[Offset]) {
    let Some(first) = requests.first() else { return };
    progress.expired(requests.len() as u64);
    tracing::warn!(
        pipeline = progress.pipeline(),
        topic = &*partition.topic,
        partition = partition.partition,
        first_offset = first.0,
        requests = requests.len(),
        "requests were dropped: the time in their header `{DEADLINE}` had passed"
    );
}

impl<S: Source, K: Sink> Engine<S, K> {
    fn new(plan: Plan, source: S, sink: K, runtime: Arc<dyn Runtime>, progress: Arc<Progress>) -> Self {
        let (plan_guarantee, now) = (plan.guarantee, runtime.now());
        let to_producer = plan.budget.size() / SHARE_OF_PRODUCER;
        let result_topics = plan.largest.results.len();
        let compute = Compute {
            topology: plan.topology.clone(),
            retries: plan.retries.clone(),
            runtime: runtime.clone(),
            requests: plan.requests,
            largest: plan.largest.map(|largest| AtomicU64::new(*largest)),
            large: plan.large.clone(),
            away: Away::default(),
            segments: Segment::cut(&plan.topology),
            changelog: plan.state.as_ref().map(|state| state.to),
        };
        let shared = Shared {
            order: plan.order,
            fair_by: plan.fair_by.clone(),
            deduplication: plan.deduplication.clone(),
            compute: Arc::new(compute),
            budget: plan.budget.clone(),
            // An operator that remembers what was before sees one chunk after the other.
            width: if plan.state.is_some() {
                1
            } else {
                plan.topology.concurrency().max(4 * runtime.cores())
            },
        };
        Engine {
            beside: plan.budget.take(0),
            plan,
            source,
            sink,
            runtime,
            progress,
            shared,
            lanes: BTreeMap::new(),
            by_partition: HashMap::new(),
            streams: SelectAll::new(),
            outbox: Outbox::new(result_topics),
            suspects: Suspects::default(),
            committer: Committer::new(plan_guarantee, to_producer),
            revocation: None,
            letting_go: None,
            targets: HashMap::new(),
            closing: None,
            broken: None,
            ended: false,
            next_lane: 0,
            stages: Stages::default(),
            began: now,
            now,
            next_lag: Duration::ZERO,
            next_repeat: now + REPEAT_COMMITS,
        }
    }

    async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), Stop> {
        let mut stop = pin!(stop);
        let mut deliveries = Vec::new();
        loop {
            self.advance()?;
            if self.ended && !self.committer.is_under_way() {
                return Ok(());
            }
            self.look_at_stages();
            let timer = self.timer();
            tokio::select! {
                biased;
                () = &mut stop, if self.closing.is_none() => self.close(),
                () = poll_fn(|context| self.sink.poll_deliveries(context, &mut deliveries)) => {
                    self.delivered(&mut deliveries)?;
                }
                result = self.committer.finished() => self.committed(result)?,
                Some(event) = self.streams.next(), if !self.streams.is_empty() => self.lane_event(event),
                event = self.source.next(), if !self.ended => match event {
                    Some(event) => self.source_event(event?),
                    None => self.ended = true,
                },
                () = timer => {}
            }
        }
    }

    /// Does all that can be done without waiting.
    fn advance(&mut self) -> Result<(), Stop> {
        let now = self.runtime.now();
        self.now = now;
        if let Some(stop) = self.broken.take() {
            return Err(stop);
        }
        self.stages.report(now, &self.progress);
        if !self.plan.retries.topics.is_empty() {
            let unix_millis = self.runtime.unix_millis();
            self.lanes.values_mut().for_each(|lane| lane.tick(now, unix_millis));
        }
        self.send()?;
        self.commit_what_is_due(now);
        self.advance_revocation(now);
        if now >= self.next_repeat {
            self.next_repeat = now + REPEAT_COMMITS;
            self.lanes.values_mut().for_each(Lane::repeat_commit);
            self.committer.done(0, now);
        }
        if now >= self.next_lag {
            self.next_lag = now + LAG_INTERVAL;
            self.report_lag();
            self.progress.warn_of_more_dead_letters(now, false);
            // The memory is in use whether there is room or not. Half is left, so that records go on in any case.
            let ids = self.plan.deduplication.as_ref().map_or(0, |deduplication| deduplication.holds());
            if let Some(state) = &self.plan.state {
                self.progress.remembered().holds(state.stores.size());
            }
            let parked: u64 = self.lanes.values().map(Lane::parked_bytes).sum();
            let beside = (self.plan.topology.holds() + ids + parked).min(self.plan.budget.size() / 2);
            self.beside = self.plan.budget.take(beside);
            self.progress.holds_bytes(self.plan.input.used(), self.plan.budget.used());
            self.progress.queues(self.outbox.queued());
        }
        let held = self.lanes.values().map(Lane::held);
        let (input, output) = held.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
        self.progress.holds(input, output);
        if self.plan.drain && self.closing.is_none() && self.is_read_to_target() {
            if self.lanes.values().any(|lane| lane.uncommitted().is_some()) {
                self.commit(now);
            } else if self.committer.is_idle() {
                self.close();
            }
        }
        match self.closing {
            Some(deadline) if now >= deadline => Err(Stop::Fatal(format!(
                "could not leave the group in time (shutdown.timeout is {:?}); what was not committed is done again",
                self.plan.shutdown_timeout
            ))),
            _ => Ok(()),
        }
    }

    /// Records in which stage each lane is, before the loop waits.
    fn look_at_stages(&mut self) {
        let engine = EngineState {
            has_room: self.plan.budget.has_room(),
            may_send: self.committer.may_send(),
            committing: !self.committer.is_idle(),
        };
        self.stages.enter(self.lanes.values().map(|lane| lane.stage(engine)));
    }

    /// Begins a graceful stop: finishes what is in flight, commits, and leaves the group.
    fn close(&mut self) {
        self.closing = Some(self.runtime.now() + self.plan.shutdown_timeout + LEAVE_TIMEOUT);
        self.source.close();
    }

    fn source_event(&mut self, event: SourceEvent) {
        match event {
            // What is read before the source has gone back is read again afterwards, so it would be done
            // twice.
            SourceEvent::Assigned(_)
                if self.committer.is_going_back() && !planted(Fault::SendWhileRewinding) => {}
            SourceEvent::Assigned(assignments) => self.assign(assignments),
            SourceEvent::Rewound(assignments) => {
                self.committer.rewound();
                self.assign(assignments);
            }
            SourceEvent::Batch(batch, room) => self.batch(batch, room),
            SourceEvent::End(partition, offset) => {
                if let Some(lane) = self.lane_mut(&partition) {
                    lane.tracker.read_to(offset);
                    lane.high_watermark = lane.high_watermark.max(offset);
                    if lane.has_moved() {
                        self.committer.done(0, self.runtime.now());
                    }
                }
            }
            SourceEvent::HighWatermarks(ends) => {
                for (partition, end) in ends {
                    if let Some(lane) = self.lane_mut(&partition) {
                        lane.high_watermark = end;
                    }
                }
            }
            SourceEvent::Revoked(partitions, handover) => self.revoke(partitions, handover),
            SourceEvent::Lost(partitions, handover) => self.lose(&partitions, handover),
        }
    }

    pub(super) fn lane_mut(&mut self, partition: &TopicPartition) -> Option<&mut Lane> {
        self.lanes.get_mut(self.by_partition.get(partition)?)
    }

    fn batch(&mut self, batch: Batch, room: Reservation) {
        let Some(lane) = self.lane_mut(&batch.partition) else { return };
        let (first, position) = (batch.offset(0), lane.tracker.position());
        if first < position && !lane.is_stopped() {
            tracing::warn!(
                partition = %batch.partition,
                "the offsets went back from {position} to {first}: the topic was made again, or has lost its end; going on from there"
            );
            self.begin_anew(&batch.partition, first);
        }
        self.progress.consumed(&batch.partition.topic, batch.len() as u64, batch.bytes() as u64);
        let Some(id) = self.by_partition.get(&batch.partition) else { return };
        let id = *id;
        self.read_history(id, &batch);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.push(batch, room, &self.shared.compute.topology);
        self.taken_in(id);
    }

    /// A lane has taken records in: some may be done already.
    pub(super) fn taken_in(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        self.progress.dropped(lane.take_left_out());
        if lane.has_moved() {
            self.committer.done(0, self.runtime.now());
        }
    }

    fn lane_event(&mut self, event: LaneEvent) {
        match event {
            LaneEvent::Computed(computed) => {
                // Results of a lane that is gone are dropped, and cancelled ones mean nothing.
                if let Some(lane) = self.lanes.get_mut(&computed.lane)
                    && !computed.outcome.cancelled
                {
                    lane.chunk_computed(&computed.chunk);
                    for (operator, (records, took)) in computed.outcome.work.shares().enumerate() {
                        self.progress.operator_took(operator, records, took);
                    }
                    self.progress.retried(computed.outcome.retries);
                    report_expired(&self.progress, &lane.partition, &computed.outcome.expired);
                    self.outbox.push(*computed);
                }
            }
            LaneEvent::History(id, batch) => self.history(id, batch.as_ref()),
            LaneEvent::Parked(parked, batch) => {
                parked.upgrade().iter().for_each(|parked| self.parked(parked, batch.as_ref()));
            }
            LaneEvent::Remembered(id, batch) => self.remembered(id, batch),
            LaneEvent::Ended(id) => {
                if let Some(lane) = self.lanes.get_mut(&id) {
                    lane.ended = true;
                }
            }
        }
    }

    /// Whether everything that was in the partitions at the start is done. A partition that was lost counts
    /// until it comes back, or others come instead: owning nothing is not having done it.
    fn is_read_to_target(&self) -> bool {
        let done = |partition, target: &Offset| {
            let lane = self.by_partition.get(partition).and_then(|id| self.lanes.get(id));
            lane.is_some_and(|lane| lane.tracker.watermark() >= *target)
        };
        self.progress.is_joined() && self.targets.iter().all(|(partition, target)| done(partition, target))
    }

    /// Reports which partitions are owned, and how far behind each is.
    pub fn report_lag(&self) {
        let lag = self.lanes.values().map(|lane| (lane.partition.clone(), lane.lag()));
        self.progress.owns(lag.collect::<BTreeMap<_, _>>());
    }

    fn timer(&self) -> BoxFuture<'static, ()> {
        let now = self.runtime.now();
        let due = [
            self.committer.due(&self.plan),
            self.committer.retry_at(now),
            self.revocation.as_ref().map(|revocation| revocation.next_deadline(now)),
            self.closing,
            self.lanes.values().filter_map(Lane::wait).min().map(|wait| now + wait),
        ];
        let next = due.into_iter().flatten().fold(self.next_lag, Duration::min);
        self.runtime.sleep(next.saturating_sub(now))
    }
}
