//! Keeps one pipeline running: new clients where the old ones cannot go on.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Failure, brokers::refuse_false_promise};
use crate::{
    config::{Guarantee, Order, Pipeline},
    engine::{Budget, Environment, Machine, Plan, Stop, Topology, run},
    kafka::{Admin, KafkaSink, KafkaSource, Limits, Topics, settings},
    telemetry::Progress,
};

/// The first pause before new clients are made, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Clients that lasted so long were well: the next pause is a short one again.
const LASTED: Duration = Duration::from_secs(60);

/// So long the topics' limits are not asked for again, where they were asked for and nothing had changed.
const LIMITS_HOLD: Duration = Duration::from_secs(60);

/// How often the topics are asked whether they take again what they took at the start.
const LIMITS_INTERVAL: Duration = Duration::from_secs(5);

/// One pipeline and what it runs on.
pub struct Supervised {
    pub pipeline: Pipeline,
    pub machine: Arc<Machine>,
    pub progress: Arc<Progress>,
    pub drain: bool,
}

impl Supervised {
    /// Runs until `stop` is cancelled, or all is drained.
    ///
    /// # Errors
    /// Where somebody has to do something about it first.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Failure> {
        let admin = tokio::select! {
            prepared = self.prepare() => prepared?,
            () = stop.cancelled() => return Ok(()),
        };
        let mut limits = admin.ensure_topics(&self.pipeline).await.map_err(Failure::failed)?;
        let (first, mut limits_hold) = (limits, Duration::ZERO);
        let mut pause = PAUSES.0;
        loop {
            let began = self.machine.now();
            let ended = tokio::select! {
                ended = self.session(&admin, limits, limits_hold, stop.clone()) => ended,
                // Clients that know of a low limit send small batches.
                () = self.change(&admin, limits), if limits != first => {
                    Err(Stop::Limits("a topic takes more or less again".to_owned()))
                }
            };
            let lasted = self.machine.now() - began > LASTED;
            let reason = match ended {
                Ok(()) => return Ok(()),
                Err(Stop::Fatal(reason)) => {
                    return Err(Failure::Failed(format!("{}: {reason}", self.pipeline.name)));
                }
                Err(Stop::Restart(reason)) => reason,
                Err(Stop::Limits(reason)) => {
                    let before = limits;
                    limits = admin.limits(&self.pipeline).await;
                    // Where the broker does not say, or it was changed back meanwhile, asking more often does not help.
                    limits_hold = if limits == before && !lasted { LIMITS_HOLD } else { Duration::ZERO };
                    reason
                }
            };
            if stop.is_cancelled() {
                // As in the pause below: there is nothing that anybody would have to do about it.
                tracing::warn!(
                    pipeline = self.pipeline.name,
                    reason,
                    "stopped before all in flight was committed; it is done again by whoever gets the partitions"
                );
                return Ok(());
            }
            if lasted {
                pause = PAUSES.0;
            }
            tracing::warn!(pipeline = self.pipeline.name, reason, ?pause, "new clients are made");
            self.progress.restarted();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Ok(()),
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Whether the pipeline fits its broker. Returns who sees to the topics.
    async fn prepare(&self) -> Result<Admin, Failure> {
        let config = settings::common(&self.pipeline);
        let admin =
            tokio::task::spawn_blocking(move || Admin::new(&config)).await.map_err(Failure::failed)?;
        let admin = admin.map_err(Failure::failed)?;
        refuse_false_promise(&self.pipeline, &admin)?;
        Ok(admin)
    }

    /// Resolves once the topics have other limits than these.
    async fn change(&self, admin: &Admin, limits: Limits) {
        loop {
            tokio::time::sleep(LIMITS_INTERVAL).await;
            if admin.limits(&self.pipeline).await != limits {
                return;
            }
        }
    }

    /// Runs with one set of clients.
    async fn session(
        &self,
        admin: &Admin,
        limits: Limits,
        limits_hold: Duration,
        stop: CancellationToken,
    ) -> Result<(), Stop> {
        let pipeline = &self.pipeline;
        let memory = settings::Memory::shares(pipeline.limits.memory);
        let (input, budget) = (Budget::new(memory.input), Budget::new(memory.output));
        let consumer = settings::consumer(pipeline, admin.is_embedded());
        let producer = settings::producer(pipeline, limits);
        let topics = Topics {
            requests: pipeline.source.requests,
            in_order: pipeline.order == Order::Partition,
            results: pipeline.sink.topic.topic.clone(),
            dead_letters: pipeline.dead_letters.clone(),
        };
        let (topic, room) = (pipeline.source.topic.topic.clone(), input.clone());
        let exactly_once = pipeline.guarantee == Guarantee::ExactlyOnce;
        // The producer first: a member of the group that cannot work yet would hold partitions for nothing.
        let progress = self.progress.clone();
        let clients = tokio::task::spawn_blocking(move || {
            let mut sink = KafkaSink::new(&producer, topics, exactly_once, progress.clone())?;
            let source = KafkaSource::new(&consumer, &topic, room, progress)?;
            if exactly_once {
                sink.commit_for(source.group());
            }
            Ok((source, sink))
        });
        let (source, sink) = clients.await.map_err(|error| Stop::Restart(error.to_string()))??;
        let plan = Plan {
            topology: Topology::new(pipeline.steps.iter().map(|step| step.operator.clone())),
            guarantee: pipeline.guarantee,
            order: pipeline.order,
            fair_by: pipeline.limits.fair_by.clone(),
            requests: pipeline.source.requests,
            commit_interval: pipeline.commit.interval,
            commit_records: pipeline.commit.records,
            retry: pipeline.retry,
            largest_result: limits.result,
            largest_dead_letter: limits.dead_letter,
            limits_hold,
            input,
            budget,
            shutdown_timeout: pipeline.shutdown_timeout,
            drain: self.drain,
        };
        run(plan, source, sink, self.machine.clone(), self.progress.clone(), stop.cancelled_owned()).await
    }
}
