//! Keeps one pipeline running: recreates clients that cannot go on.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Failure, brokers::refuse_false_promise};
use crate::{
    config::{self, Guarantee, Order, Pipeline},
    engine::{Budget, Large, Machine, Plan, Runtime, StatePlan, Stop, run},
    kafka::{
        Admin, CHANGELOG_TOMBSTONES, Ends, Following, KafkaSink, KafkaSource, SinkTopics, SourceTopics,
        Throttle, TopicLimits, Until, follow, settings,
    },
    operator::{Table, TableKind},
    record::{ResultTopic, TopicPartition},
    state::{Stores, state_folder},
    store::Store,
    telemetry::Progress,
};

/// The first pause before clients are recreated, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Clients that lasted this long were healthy: the next pause is short again.
const LASTED: Duration = Duration::from_secs(60);

/// How long to wait before fetching the topics' limits again when they had not changed.
const LIMITS_HOLD: Duration = Duration::from_secs(60);

/// How often to check whether the topics' limits are back to what they were at the start.
const LIMITS_INTERVAL: Duration = Duration::from_secs(5);

/// One pipeline and its resources.
pub struct Supervised {
    pub pipeline: Pipeline,
    /// Says how it is to go on, where its file has changed.
    pub changes: watch::Receiver<Pipeline>,
    pub machine: Arc<Machine>,
    pub progress: Arc<Progress>,
    /// How fast records are taken, where it is not as the file says.
    pub throttle: Arc<Throttle>,
    pub ends: EndsWhen,
    /// Whether commits are marked in the source's topics, as those of a group that has no members for long are forgotten. Exactly-once only.
    pub marks: bool,
}

/// When a pipeline ends by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndsWhen {
    /// Never.
    Never,
    /// Once all is done and committed that was there at the start.
    Drained,
    /// Once all is done and committed that is before these offsets, by partition; nothing else is read. For a source of one topic.
    At(Until),
}

impl Supervised {
    /// Runs until `stop` is cancelled, or it ends by itself.
    ///
    /// # Errors
    /// Something that must be fixed before the pipeline can run again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Failure> {
        let admin = tokio::select! {
            prepared = self.prepare() => prepared?,
            () = stop.cancelled() => return Ok(()),
        };
        let limits = admin.ensure_topics(&self.pipeline).await.map_err(Failure::failed)?;
        self.refuse_other_partitions(&admin)?;
        let stores = self.stores().map_err(Failure::Failed)?;
        self.refuse_lost_changelog(stores.clone()).await?;
        let ended = self.sessions(&admin, limits, stores.clone(), stop).await;
        if let Some(stores) = stores {
            save(stores).await;
        }
        ended
    }

    /// Runs with one set of clients after the other.
    async fn sessions(
        &mut self,
        admin: &Admin,
        mut limits: TopicLimits,
        stores: Option<Arc<Stores>>,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let (first, mut limits_hold) = (limits.clone(), Duration::ZERO);
        let _standby = self.standby(stores.as_ref()).map_err(Failure::Failed)?;
        let mut tables = Tables::default();
        let mut pause = PAUSES.0;
        let mut changes = self.changes.clone();
        loop {
            tables.give(&self.pipeline, stores.as_deref()).map_err(Failure::Failed)?;
            let began = self.machine.now();
            let mut changed = None;
            let ended = {
                let end = stop.child_token();
                let mut session =
                    pin!(self.session(admin, &limits, limits_hold, stores.clone(), end.clone()));
                tokio::select! {
                    ended = &mut session => ended,
                    // Where nobody can change it any more, it stays as it is.
                    Ok(()) = changes.changed() => {
                        changed = Some(changes.borrow_and_update().clone());
                        end.cancel();
                        session.await
                    }
                    // Clients that were created for a low limit send small batches.
                    () = self.change(admin, &limits), if limits != first => {
                        // What is in flight comes to its end first: a dead letter that is lost here would be a result when it is done
                        // again, behind results of later records.
                        end.cancel();
                        match session.await {
                            Ok(()) if stop.is_cancelled() => Ok(()),
                            _ => Err(Stop::TopicLimits("a topic takes more or less again".to_owned())),
                        }
                    }
                }
            };
            if let Some(pipeline) = changed {
                self.pipeline = pipeline;
                if ended.is_ok() && !stop.is_cancelled() {
                    tracing::info!(pipeline = self.pipeline.name, "goes on with the changed file");
                    continue;
                }
            }
            let lasted = self.machine.now() - began > LASTED;
            let reason = match ended {
                Ok(()) => return Ok(()),
                Err(Stop::Fatal(reason)) => {
                    return Err(Failure::Failed(format!("{}: {reason}", self.pipeline.name)));
                }
                Err(Stop::Restart(reason)) => reason,
                Err(Stop::TopicLimits(reason)) => {
                    let before = std::mem::replace(&mut limits, admin.topic_limits(&self.pipeline).await);
                    // If the broker does not report them, or they were changed back meanwhile, fetching more
                    // often does not help.
                    limits_hold = if limits == before && !lasted { LIMITS_HOLD } else { Duration::ZERO };
                    if limits != before {
                        // Nothing has failed: whoever changes them does so once.
                        pause = PAUSES.0;
                    }
                    reason
                }
            };
            if stop.is_cancelled() {
                // As in the pause below: this needs no action by anybody.
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

    /// Checks the pipeline against its broker. Returns the admin client.
    async fn prepare(&self) -> Result<Admin, Failure> {
        let config = settings::common(&self.pipeline);
        let admin =
            tokio::task::spawn_blocking(move || Admin::new(&config)).await.map_err(Failure::failed)?;
        let admin = admin.map_err(Failure::failed)?;
        refuse_false_promise(&self.pipeline, &admin)?;
        Ok(admin)
    }

    /// Opens where operators remember earlier records, where some do. Only this process has it then.
    fn stores(&self) -> Result<Option<Arc<Stores>>, String> {
        let Some(state) = &self.pipeline.state else { return Ok(None) };
        let folder = match &state.folder {
            Some(folder) => folder.clone(),
            None => state_folder()?,
        };
        // Pipelines whose operators remember nothing may share their tables.
        let name = self.pipeline.changelog().unwrap_or("tables");
        let stores = Stores::open(&folder, name, state.memory, CHANGELOG_TOMBSTONES)?;
        tracing::info!(pipeline = self.pipeline.name, folder = %stores.path().display(), "what operators remember is kept here");
        Ok(Some(Arc::new(stores)))
    }

    /// Refuses tables whose keys cannot be in the same partitions as the source's.
    fn refuse_other_partitions(&self, admin: &Admin) -> Result<(), Failure> {
        let count =
            |topic: &str| admin.describe(topic).map(|topic| topic.partitions.len()).map_err(Failure::failed);
        for table in self.pipeline.tables() {
            let TableKind::Own(topic) = table.kind() else { continue };
            for source in self.pipeline.source.names() {
                let (of_table, of_source) = (count(topic)?, count(&source)?);
                if of_table != of_source {
                    return Err(Failure::Failed(format!(
                        "{}: `copartitioned` needs as many partitions in both topics, and {topic} has {of_table}, {source} {of_source}. Take it out, and \
                         each worker reads all of {topic}",
                        self.pipeline.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses to begin where the changelog has less than what is kept of it: what is committed from now on would not be read after a crash.
    async fn refuse_lost_changelog(&self, stores: Option<Arc<Stores>>) -> Result<(), Failure> {
        let (Some(changelog), Some(stores)) = (self.pipeline.changelog(), stores) else { return Ok(()) };
        let (changelog, config) = (changelog.to_owned(), settings::consumer(&self.pipeline, false));
        let checked = tokio::task::spawn_blocking(move || {
            let ends = Ends::default();
            for (number, kept) in stores.kept()? {
                let partition = TopicPartition::new(changelog.as_str(), number);
                let end = ends.of(&config, &partition);
                let end = end.map_err(|error| {
                    format!("the end of the changelog {partition} cannot be found: {error}")
                })?;
                if end < kept {
                    return Err(format!(
                        "the changelog {partition} ends at offset {end}, and what {} has of it goes to {kept}: the topic was made again, or has \
                         lost records. To go on with what the topic has, remove the folder",
                        stores.path().display()
                    ));
                }
            }
            Ok(())
        });
        checked
            .await
            .map_err(Failure::failed)?
            .map_err(|error| Failure::Failed(format!("{}: {error}", self.pipeline.name)))
    }

    /// Follows the changelog, where what operators remember of others' partitions is kept up to date too.
    fn standby(&self, stores: Option<&Arc<Stores>>) -> Result<Option<Following>, String> {
        let (Some(stores), Some(changelog)) = (stores, self.pipeline.changelog()) else { return Ok(None) };
        if !self.pipeline.state.as_ref().is_some_and(|state| state.standby) {
            return Ok(None);
        }
        let progress = self.progress.clone();
        let behind = move |records| progress.remembered().standby_lags(records);
        follow(&settings::consumer(&self.pipeline, false), changelog, stores.clone(), behind).map(Some)
    }

    fn state(&self, stores: Option<Arc<Stores>>) -> Option<StatePlan> {
        let (changelog, stores) = (self.pipeline.changelog()?.to_owned(), stores?);
        let place = self.pipeline.written_topics().results.len() - 1;
        Some(StatePlan { stores, changelog, to: ResultTopic(u16::try_from(place).unwrap_or(u16::MAX)) })
    }

    /// Resolves once the topics' limits differ from these.
    async fn change(&self, admin: &Admin, limits: &TopicLimits) {
        loop {
            tokio::time::sleep(LIMITS_INTERVAL).await;
            if admin.topic_limits(&self.pipeline).await != *limits {
                return;
            }
        }
    }

    /// Runs with one set of clients.
    async fn session(
        &self,
        admin: &Admin,
        limits: &TopicLimits,
        limits_hold: Duration,
        stores: Option<Arc<Stores>>,
        stop: CancellationToken,
    ) -> Result<(), Stop> {
        let pipeline = &self.pipeline;
        let memory = settings::Memory::shares(pipeline.limits.memory);
        let (input, budget) = (Budget::new(memory.input), Budget::new(memory.output));
        let consumer = settings::consumer(pipeline, admin.is_embedded());
        let mut producer = settings::producer(pipeline, limits);
        if let (Some(stores), Guarantee::ExactlyOnce) = (&stores, pipeline.guarantee) {
            // Otherwise what it left open would hold up the changelog for seconds.
            producer.set("transactional.id", settings::transactional_id_of(pipeline, stores.identity()));
        }
        let topics = SinkTopics {
            requests: pipeline.source.requests,
            in_order: pipeline.order == Order::Partition,
            beside: pipeline.written_beside(),
            names: pipeline.written_topics(),
        };
        let topics_read =
            SourceTopics { subscribed: pipeline.subscribed_topics(), beside: pipeline.topics_beside() };
        let (room, throttle, rate) = (input.clone(), self.throttle.clone(), pipeline.limits.rate);
        let exactly_once = pipeline.guarantee == Guarantee::ExactlyOnce;
        let marks = self.marks.then(|| pipeline.source.group.clone());
        let until = if let EndsWhen::At(until) = &self.ends { Some(until.clone()) } else { None };
        // The producer first: a group member that cannot work yet would hold its partitions idle.
        let progress = self.progress.clone();
        let clients = tokio::task::spawn_blocking(move || {
            let mut sink = KafkaSink::new(&producer, topics, exactly_once, progress.clone())?;
            let mut source = KafkaSource::new(&consumer, &topics_read, room, throttle, rate, progress)?;
            until.into_iter().for_each(|until| source.read_until(until));
            if exactly_once {
                sink.commit_for(source.group());
                marks.into_iter().for_each(|group| sink.mark_commits(&group));
            }
            Ok((source, sink))
        });
        let (source, sink) = clients.await.map_err(|error| Stop::Restart(error.to_string()))??;
        let plan = Plan {
            topology: pipeline.topology(),
            guarantee: pipeline.guarantee,
            order: pipeline.order,
            fair_by: pipeline.limits.fair_by.clone(),
            deduplication: pipeline.source.deduplication.clone(),
            state: self.state(stores),
            requests: pipeline.source.requests,
            commit_interval: pipeline.commit.interval,
            commit_records: pipeline.commit.records,
            retries: pipeline.retries.clone(),
            largest: limits.clone(),
            large: large(pipeline).map_err(Stop::Fatal)?,
            limits_hold,
            input,
            budget,
            shutdown_timeout: pipeline.shutdown_timeout,
            drain: self.ends != EndsWhen::Never,
        };
        run(plan, source, sink, self.machine.clone(), self.progress.clone(), stop.cancelled_owned()).await
    }
}

/// Whoever has the folder next then need not read again what is only in memory.
async fn save(stores: Arc<Stores>) {
    let saved = tokio::task::spawn_blocking(move || stores.save()).await;
    if let Err(error) = saved.map_err(|error| error.to_string()).and_then(|saved| saved) {
        tracing::warn!(error, "it will be read of the changelog at the next start");
    }
}

/// The tables that operators look into, each followed once.
#[derive(Default)]
struct Tables(Vec<(TableKind, Arc<dyn Table>, Following)>);

impl Tables {
    /// Gives each operator its table.
    fn give(&mut self, pipeline: &Pipeline, stores: Option<&Stores>) -> Result<(), String> {
        for wanted in pipeline.tables() {
            let Some(stores) = stores else { continue };
            if let Some((_, table, _)) = self.0.iter().find(|(kind, ..)| kind == wanted.kind()) {
                wanted.give(table.clone());
                continue;
            }
            let config = settings::consumer(pipeline, false);
            let (table, following): (Arc<dyn Table>, _) = match wanted.kind() {
                TableKind::Newest(topic) => {
                    let table = stores.table(topic)?;
                    (table.clone(), follow(&config, topic, table, |_| {})?)
                }
                TableKind::Own(topic) => {
                    let table = stores.own_table(topic);
                    (table.clone(), follow(&config, topic, table, |_| {})?)
                }
                TableKind::Finished(disk) => {
                    let topic = &pipeline.sink.topic.topic;
                    let table = stores.finished(topic, *disk)?;
                    (table.clone(), follow(&config, topic, table, |_| {})?)
                }
            };
            wanted.give(table.clone());
            self.0.push((wanted.kind().clone(), table, following));
        }
        Ok(())
    }
}

/// What becomes of large results.
fn large(pipeline: &Pipeline) -> Result<Large, String> {
    Ok(match &pipeline.sink.large {
        config::Large::DeadLetter => Large::DeadLetter,
        config::Large::Pieces => Large::Pieces(pipeline.result_formats()),
        config::Large::Store(url) => Large::Store(Arc::new(Store::open(url)?), pipeline.result_formats()),
    })
}
