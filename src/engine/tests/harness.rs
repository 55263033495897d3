use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{
    engine::*,
    operator::{Cost, Operator, OperatorError, Output},
    record::{
        Batch, BatchBuilder, Destination, Headers, Offset, PerTopic, Record, ResultTopic, TopicPartition,
    },
    telemetry::{Progress, Subject},
};

/// What the value says: `slow…` costs a second of a core, `bad` is bad input, `flaky` fails in passing twice,
/// `drop` makes nothing, `panic` panics, `twice` two results, `fatal` stops, `second…` goes to the second result
/// topic; all else is passed on.
#[derive(Default)]
pub struct Scripted {
    failures: Mutex<u32>,
    applied: Arc<AtomicUsize>,
}

impl Operator for Scripted {
    fn cost(&self, record: &Record) -> Cost {
        let slow = record.value.as_ref().is_some_and(|value| value.starts_with(b"slow"));
        assert!(record.value.as_deref() != Some(b"costly panic"), "as the test wants it");
        Cost { nanos: if slow { 1_000_000_000 } else { 100 }, bytes: 10 }
    }

    fn apply(&self, mut record: Record, out: &mut Output) -> Result<(), OperatorError> {
        self.applied.fetch_add(1, Relaxed);
        let value = record.value.clone().unwrap_or_default();
        match &value[..] {
            b"bad" => return Err(OperatorError::BadInput { class: "bad", message: "it is bad".to_owned() }),
            b"fatal" => return Err(OperatorError::Fatal { message: "all is lost".to_owned() }),
            b"panic" | b"costly panic" => panic!("as the test wants it"),
            b"drop" => return Ok(()),
            b"twice" => out.push(record.clone()),
            b"away" => {
                let mut failures = self.failures.lock().unwrap();
                *failures += 1;
                if *failures <= 20 {
                    return Err(OperatorError::Away { message: "nobody answers".to_owned() });
                }
            }
            b"flaky" => {
                let mut failures = self.failures.lock().unwrap();
                *failures += 1;
                if *failures <= 2 {
                    return Err(OperatorError::Passing { failure: "not-yet", message: "not yet".to_owned() });
                }
            }
            routed if routed.starts_with(b"second") => record.to = ResultTopic(1),
            _ => {}
        }
        out.push(record);
        Ok(())
    }
}

/// What the machine's clock says at the start, in milliseconds since 1970 UTC.
pub const NOW: u64 = 10_000_000;

/// Work runs when the test runs it, or at once where it is `eager`.
pub struct TestMachine {
    start: Instant,
    pub eager: bool,
    pub work: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
    /// By how many milliseconds the clock of the day has jumped.
    jumped: AtomicI64,
    applied: Arc<AtomicUsize>,
}

impl TestMachine {
    /// The clock of the day jumps by so many milliseconds.
    pub fn jump(&self, millis: i64) {
        self.jumped.store(millis, Relaxed);
    }

    /// How many records were computed.
    pub fn applied(&self) -> usize {
        self.applied.load(Relaxed)
    }
}

impl Runtime for TestMachine {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        (NOW + self.start.elapsed().as_millis() as u64).saturating_add_signed(self.jumped.load(Relaxed))
    }

    fn name(&self) -> &str {
        "worker-1"
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn random(&self) -> f64 {
        0.0
    }

    fn compute(&self, _: Length, work: Box<dyn FnOnce() + Send>) {
        if self.eager {
            work();
        } else {
            self.work.lock().unwrap().push_back(work);
        }
    }

    fn cores(&self) -> usize {
        2
    }
}

/// What the engine asked of its source and sink.
#[derive(Default)]
pub struct World {
    pub commits: Vec<Vec<CommitOffset>>,
    /// Answers to the next commits; `Ok` where there is none.
    pub commit_answers: VecDeque<Result<(), CommitError>>,
    pub sent: Vec<(Destination, Record)>,
    pub aborts: usize,
    pub rewinds: usize,
    /// Which part of which partition was asked for, and what is there: it ends once that says so.
    pub histories: Vec<(TopicPartition, Past, mpsc::UnboundedSender<Batch>)>,
    pub closed: bool,
    /// Whether commits never end.
    pub hold_commits: bool,
    held_commits: Vec<oneshot::Sender<()>>,
    /// Whether aborts never end.
    pub hold_aborts: bool,
    /// Whether what is sent is acknowledged at once.
    pub acknowledge: bool,
    /// A value that the sink refuses as a result, and as a dead letter.
    pub refuses: (Option<&'static str>, Option<&'static str>),
    /// How often what was queued was dropped.
    pub discards: usize,
    /// How many records the sink has room for.
    pub room: usize,
    unacknowledged: VecDeque<Token>,
    /// Where what is acknowledged is said to be.
    pub partition: i32,
    offset: i64,
    deliveries: Vec<Delivery>,
    waker: Option<Waker>,
}

impl World {
    /// Ends the commits that are held, and holds none from now on.
    pub fn release_commits(&mut self) {
        self.hold_commits = false;
        self.held_commits.clear();
    }

    /// What was sent will never be acknowledged.
    pub fn forget_unacknowledged(&mut self) {
        self.unacknowledged.clear();
    }

    /// How many records are sent and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    fn deliver(&mut self, token: Token, result: Result<(), DeliveryError>) {
        self.offset += 1;
        let result = result.map(|()| Written { partition: self.partition, offset: self.offset });
        self.deliveries.push(Delivery { token, result });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// What a broker says of a record that it does not like.
pub fn refusal() -> DeliveryError {
    Refusal { too_large: None, reason: "the broker refuses the record".to_owned() }.into()
}

pub type SharedWorld = Arc<Mutex<World>>;

struct TestSource {
    events: mpsc::UnboundedReceiver<Result<SourceEvent, Stop>>,
    world: SharedWorld,
}

impl Stream for TestSource {
    type Item = Result<SourceEvent, Stop>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

fn answer(world: &SharedWorld, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
    let mut world = world.lock().unwrap();
    world.commits.push(offsets);
    let answer = world.commit_answers.pop_front().unwrap_or(Ok(()));
    if !world.hold_commits {
        return async move { answer }.boxed();
    }
    let (release, released) = oneshot::channel();
    world.held_commits.push(release);
    async move {
        let _ = released.await;
        answer
    }
    .boxed()
}

impl Source for TestSource {
    fn commit(&self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        answer(&self.world, offsets)
    }

    fn rewind(&mut self) {
        self.world.lock().unwrap().rewinds += 1;
    }

    fn history(&self, of: &TopicPartition, part: Past) -> BoxStream<'static, Batch> {
        let (sender, batches) = mpsc::unbounded_channel();
        self.world.lock().unwrap().histories.push((of.clone(), part, sender));
        UnboundedReceiverStream::new(batches).boxed()
    }

    fn close(&mut self) {
        self.world.lock().unwrap().closed = true;
    }
}

struct TestSink(SharedWorld);

impl Sink for TestSink {
    fn send(&mut self, to: Destination, _from: i32, record: &Record, token: Token) -> Result<(), SendError> {
        let mut world = self.0.lock().unwrap();
        if world.unacknowledged.len() >= world.room {
            return Err(SendError::Full);
        }
        let value = record.value.clone().unwrap_or_default();
        let refused = if to == Destination::SINK { world.refuses.0 } else { world.refuses.1 };
        // A dead letter without its timestamp is taken.
        let may_be_refused = to == Destination::SINK || record.timestamp.is_some();
        if may_be_refused && refused.is_some_and(|refused| refused.as_bytes() == &value[..]) {
            world.deliver(token, Err(refusal()));
            return Ok(());
        }
        world.sent.push((to, record.clone()));
        if world.acknowledge {
            world.deliver(token, Ok(()));
        } else {
            world.unacknowledged.push_back(token);
        }
        Ok(())
    }

    fn poll_deliveries(&mut self, context: &mut Context<'_>, deliveries: &mut Vec<Delivery>) -> Poll<()> {
        let mut world = self.0.lock().unwrap();
        deliveries.append(&mut world.deliveries);
        if deliveries.is_empty() {
            world.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn discard(&mut self) {
        self.0.lock().unwrap().discards += 1;
    }

    fn commit(&mut self, offsets: Vec<CommitOffset>) -> BoxFuture<'static, Result<(), CommitError>> {
        answer(&self.0, offsets)
    }

    fn abort(&mut self) -> BoxFuture<'static, Result<(), Stop>> {
        let mut world = self.0.lock().unwrap();
        world.aborts += 1;
        // Purged: their deliveries are not reported.
        world.unacknowledged.clear();
        if world.hold_aborts { futures::future::pending().boxed() } else { async { Ok(()) }.boxed() }
    }
}

/// A running engine, and all that a test needs to drive it.
pub struct Harness {
    pub world: SharedWorld,
    pub machine: Arc<TestMachine>,
    pub progress: Arc<Progress>,
    pub budget: Budget,
    pub engine: JoinHandle<Result<(), Stop>>,
    events: Option<mpsc::UnboundedSender<Result<SourceEvent, Stop>>>,
    stop: Option<oneshot::Sender<()>>,
}

pub struct Options {
    pub guarantee: Guarantee,
    pub order: Order,
    pub fair_by: Option<FairBy>,
    pub deduplication: Option<Arc<Deduplication>>,
    pub state: Option<StatePlan>,
    pub eager: bool,
    pub acknowledge: bool,
    pub drain: bool,
    pub requests: bool,
    /// The largest record that the sink's own topic takes, in bytes.
    pub largest: u64,
    pub large: Large,
    pub limits_hold: Duration,
    /// Bytes of results.
    pub budget: u64,
    pub retry_topics: Vec<RetryTopic>,
    /// Operators behind [`Scripted`].
    pub operators: Vec<Arc<dyn Operator>>,
}

/// How the failure `overloaded` is tried again.
const OVERLOADED: RetryPolicy =
    RetryPolicy { attempts: 2, backoff: Duration::from_secs(20), max_backoff: Duration::from_secs(20) };

impl Default for Options {
    fn default() -> Self {
        Options {
            guarantee: Guarantee::AtLeastOnce,
            order: Order::Partition,
            fair_by: None,
            deduplication: None,
            state: None,
            eager: true,
            acknowledge: true,
            drain: false,
            requests: false,
            largest: 1 << 20,
            large: Large::DeadLetter,
            limits_hold: Duration::MAX,
            budget: 1 << 20,
            retry_topics: Vec::new(),
            operators: Vec::new(),
        }
    }
}

impl Harness {
    pub fn start(options: Options) -> Harness {
        let world = SharedWorld::default();
        world.lock().unwrap().acknowledge = options.acknowledge;
        world.lock().unwrap().room = 1_000;
        let applied = Arc::<AtomicUsize>::default();
        let machine = Arc::new(TestMachine {
            start: Instant::now(),
            eager: options.eager,
            work: Mutex::default(),
            jumped: AtomicI64::new(0),
            applied: applied.clone(),
        });
        let (events, receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let subject = Subject {
            pipeline: "test".to_owned(),
            sources: vec!["in".to_owned()],
            sink: PerTopic {
                results: ["out", "second", "later-1", "later-2"].map(str::to_owned).to_vec(),
                dead_letters: "in.dlq".to_owned(),
            },
            operators: vec!["scripted".to_owned()],
            memory: 1 << 20,
        };
        let (progress, budget) = (Arc::new(Progress::new(subject)), Budget::new(options.budget));
        let plan = Plan {
            topology: Topology::new(
                std::iter::once(Arc::new(Scripted { applied, ..Scripted::default() }) as Arc<dyn Operator>)
                    .chain(options.operators),
            ),
            guarantee: options.guarantee,
            order: options.order,
            fair_by: options.fair_by,
            deduplication: options.deduplication,
            state: options.state,
            requests: options.requests,
            commit_interval: Duration::from_millis(100),
            commit_records: 1_000,
            retries: Retries {
                otherwise: RetryPolicy {
                    attempts: 3,
                    backoff: Duration::from_millis(10),
                    max_backoff: Duration::from_secs(1),
                },
                by_failure: BTreeMap::from([("overloaded".to_owned(), OVERLOADED)]),
                topics: options.retry_topics,
            },
            largest: PerTopic {
                results: vec![options.largest, 200, 1 << 20, 1 << 20],
                dead_letters: 1 << 20,
            },
            large: options.large,
            limits_hold: options.limits_hold,
            input: Budget::new(1 << 20),
            budget: budget.clone(),
            shutdown_timeout: Duration::from_secs(10),
            drain: options.drain,
        };
        let source = TestSource { events: receiver, world: world.clone() };
        let (sink, machine_too, progress_too) = (TestSink(world.clone()), machine.clone(), progress.clone());
        let engine = tokio::spawn(async move {
            run(plan, source, sink, machine_too, progress_too, async move {
                if stopped.await.is_err() {
                    futures::future::pending::<()>().await;
                }
            })
            .await
        });
        Harness { world, machine, progress, budget, engine, events: Some(events), stop: Some(stop) }
    }

    pub fn report(&self, event: SourceEvent) {
        self.events.as_ref().unwrap().send(Ok(event)).unwrap();
    }

    pub fn assign(&self, partition: i32, start: i64, end: i64, metadata: &str) {
        self.report(SourceEvent::Assigned(vec![Assignment {
            partition: TopicPartition::new("in", partition),
            start: Offset(start),
            metadata: metadata.to_owned(),
            end: Offset(end),
        }]));
    }

    /// The source has gone back: these partitions are ours, from those offsets on.
    pub fn rewound(&self, partitions: &[(i32, i64)]) {
        let assignments = partitions.iter().map(|(partition, start)| Assignment {
            partition: TopicPartition::new("in", *partition),
            start: Offset(*start),
            metadata: String::new(),
            end: Offset(*start),
        });
        self.report(SourceEvent::Rewound(assignments.collect()));
    }

    /// Records with keys and values, from that offset on.
    pub fn records(&self, partition: i32, first: i64, records: &[(&str, &str)]) {
        let mut batch = BatchBuilder::new(TopicPartition::new("in", partition));
        for (index, (key, value)) in records.iter().enumerate() {
            let key = (!key.is_empty()).then_some(key.as_bytes());
            batch.push(
                Offset(first + index as i64),
                Some(7),
                key,
                Some(value.as_bytes()),
                Headers::default(),
            );
        }
        self.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
    }

    pub fn values(&self, partition: i32, first: i64, values: &[&str]) {
        let records: Vec<_> = values.iter().map(|value| ("", *value)).collect();
        self.records(partition, first, &records);
    }

    /// Lets the engine do all that it can do without time passing.
    pub async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    pub async fn wait(&self, millis: u64) {
        self.settle().await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.settle().await;
    }

    /// Acknowledges the oldest sent records.
    pub async fn acknowledge(&self, count: usize) {
        {
            let mut world = self.world.lock().unwrap();
            for _ in 0..count {
                let token = world.unacknowledged.pop_front().unwrap();
                world.deliver(token, Ok(()));
            }
        }
        self.settle().await;
    }

    /// Acknowledges the newest sent records.
    pub async fn acknowledge_newest(&self, count: usize) {
        {
            let mut world = self.world.lock().unwrap();
            let first = world.unacknowledged.len() - count;
            let newest: Vec<_> = world.unacknowledged.drain(first..).collect();
            newest.into_iter().for_each(|token| world.deliver(token, Ok(())));
        }
        self.settle().await;
    }

    /// The oldest sent records were not delivered.
    pub async fn fail(&self, count: usize, error: &DeliveryError) {
        {
            let mut world = self.world.lock().unwrap();
            for _ in 0..count {
                let token = world.unacknowledged.pop_front().unwrap();
                world.deliver(token, Err(error.clone()));
            }
        }
        self.settle().await;
    }

    /// Runs the `index`-th piece of work that waits.
    pub async fn compute(&self, index: usize) {
        let work = self.machine.work.lock().unwrap().remove(index).unwrap();
        work();
        self.settle().await;
    }

    /// The values of what was sent to the result topic.
    pub fn results(&self) -> Vec<String> {
        self.sent(Destination::SINK)
    }

    /// The values of what was sent to the second result topic.
    pub fn second_results(&self) -> Vec<String> {
        self.sent(Destination::Result(ResultTopic(1)))
    }

    pub fn dead_letters(&self) -> Vec<String> {
        self.sent(Destination::DeadLetter)
    }

    fn sent(&self, wanted: Destination) -> Vec<String> {
        let world = self.world.lock().unwrap();
        let sent = world.sent.iter().filter(|(to, _)| *to == wanted);
        sent.map(|(_, r)| String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap()).collect()
    }

    /// The offsets of all commits, in order.
    pub fn committed(&self) -> Vec<i64> {
        self.world.lock().unwrap().commits.iter().flatten().map(|commit| commit.offset.0).collect()
    }

    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// The source has left its group.
    pub fn end(&mut self) {
        self.events = None;
    }

    /// Partitions are lost; resolves when the engine has taken notice.
    pub fn lose(&self, partitions: &[i32]) -> oneshot::Receiver<()> {
        let (handover, noticed) = Handover::new();
        let lost = partitions.iter().map(|partition| TopicPartition::new("in", *partition));
        self.report(SourceEvent::Lost(lost.collect(), handover));
        noticed
    }

    /// Takes a partition away; resolves when the engine has handed it over.
    pub fn revoke(&self, partition: i32) -> oneshot::Receiver<()> {
        let (handover, handed_over) = Handover::new();
        self.report(SourceEvent::Revoked(vec![TopicPartition::new("in", partition)], handover));
        handed_over
    }
}
