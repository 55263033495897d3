//! Runs one history: step after step, in one thread, until everything is at rest.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    consumer::Consumer,
    machine::{Signal, VirtualMachine},
    operator::Scripted,
    poll::SimulatedSource,
    producer::Producer,
    script::Script,
    sink::SimulatedSink,
    world::{Client, ClientId, Shared, Step, World, lock},
};
use crate::{
    engine::{Budget, Guarantee, Large, Plan, Retries, RetryPolicy, Stop, Topology, run},
    operator::Operator,
    record::PerTopic,
    telemetry::{Progress, Subject},
};

/// The first pause before new clients are made, and the longest, as in `commands/supervise.rs`.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How often to check whether everything is done.
const LOOK: Duration = Duration::from_millis(500);
/// How long after the last fault the next commit, or a worker's end, may take.
const REST: Duration = Duration::from_secs(120);
/// A history with more steps is taken to hang.
const MOST_STEPS: u64 = 2_000_000;

/// How a history ended.
pub struct Ending {
    /// The promise that was broken.
    pub violation: Option<String>,
    /// What happened, if lines were kept.
    pub lines: Vec<String>,
    /// How long it took, in the history's own time.
    pub took: Duration,
    pub steps: u64,
}

/// Runs a history to its end; `keep_lines` records what happens.
pub fn play(script: &Script, keep_lines: bool) -> Ending {
    let mut history = History::new(Arc::new(script.clone()), keep_lines);
    history.play();
    let History { world, engines, steps, .. } = history;
    // As if all were killed: dropping them must not be taken for a graceful end.
    lock(&world).clients.iter_mut().for_each(|client| client.alive = false);
    drop(engines);
    let mut world = lock(&world);
    let left = world.forget();
    let ending = Ending {
        violation: world.judge.violation.take(),
        lines: world.lines.take().unwrap_or_default(),
        took: world.now,
        steps,
    };
    drop(world);
    // Work that was not computed refers to its machine, and that to the world.
    drop(left);
    ending
}

pub(super) struct History {
    pub world: Shared,
    pub script: Arc<Script>,
    pub engines: Vec<Option<Running>>,
    pub workers: Vec<Worker>,
    pub phase: Phase,
    /// The number of commits seen, and when the last one came.
    pub commits: u64,
    pub since: Duration,
    pub steps: u64,
}

/// An engine, and how to stop it.
pub(super) struct Running {
    pub future: Pin<Box<dyn Future<Output = Result<(), Stop>>>>,
    pub signal: Arc<Signal>,
    pub waker: Waker,
    pub planned: bool,
    pub stop: Option<oneshot::Sender<()>>,
}

/// A worker: one process after another.
pub(super) struct Worker {
    pub client: Option<ClientId>,
    /// The next pause before new clients are made.
    pub pause: Duration,
    /// How long after its end it is restarted; `None` if it was not stopped.
    pub again: Option<Duration>,
    /// Whether it was stopped during a fault, and may exceed its time limit for that reason.
    pub in_trouble: bool,
    pub progress: Arc<Progress>,
}

/// The phase of a history.
#[derive(PartialEq, Eq)]
pub(super) enum Phase {
    Working,
    /// Everything is done; the workers are being stopped.
    Closing,
}

impl History {
    fn new(script: Arc<Script>, keep_lines: bool) -> History {
        let mut world = World::new(script.clone(), keep_lines);
        for (worker, at) in script.workers.iter().enumerate() {
            world.plan(*at, None, Step::Start(worker));
        }
        for (number, (at, _)) in script.faults.iter().enumerate() {
            world.plan(*at, None, Step::Fault(number));
        }
        for input in script.records.clone() {
            let produce = move |world: &mut World| {
                world.topics.produce(input.kind.name(), input.partition, input.key, input.gap);
                let alive = (0..world.clients.len()).filter(|client| world.clients[*client].alive);
                alive.collect::<Vec<_>>().into_iter().for_each(|client| world.poke(client));
            };
            world.plan(input.at, None, Step::Call(Box::new(produce)));
        }
        world.plan(script.calm() + LOOK, None, Step::Look);
        let workers = script.workers.iter().map(|_| Worker {
            client: None,
            pause: PAUSES.0,
            again: None,
            in_trouble: false,
            progress: progress(),
        });
        let workers = workers.collect();
        let since = script.calm();
        let world = Arc::new(Mutex::new(world));
        let phase = Phase::Working;
        History { world, script, engines: Vec::new(), workers, phase, commits: 0, since, steps: 0 }
    }

    fn play(&mut self) {
        loop {
            let next = lock(&self.world).next();
            let Some((of, step)) = next else { return };
            self.steps += 1;
            match (step, of) {
                (Step::Call(call), _) => call(&mut lock(&self.world)),
                (Step::Compute(work), _) => work(),
                (Step::Timer(timer), _) => timer.fire(),
                (Step::Engine, Some(client)) => self.poll(client),
                (Step::Engine, None) => {}
                (Step::Start(worker), _) => self.start(worker),
                (Step::Fault(number), _) => self.fault(self.script.faults[number].1),
                (Step::Look, _) => {
                    if self.look() {
                        return;
                    }
                }
            }
            self.plan_engines();
            if lock(&self.world).judge.violation.is_some() {
                return;
            }
            if self.steps > MOST_STEPS {
                return self.violated(|| "hang: the history does not end".to_owned());
            }
        }
    }

    fn violated(&self, what: impl FnOnce() -> String) {
        lock(&self.world).judge.violated(what);
    }

    /// Schedules the engines that have something to do, after a random time.
    fn plan_engines(&mut self) {
        for (client, running) in self.engines.iter_mut().enumerate() {
            let Some(running) = running else { continue };
            if !running.planned && running.signal.take() {
                running.planned = true;
                let mut world = lock(&self.world);
                let longest = match world.random.u8(..) {
                    0..150 => 20,
                    150..250 => 1_000,
                    _ => 30_000,
                };
                let soon = Duration::from_micros(world.random.u64(0..longest));
                world.plan(soon, Some(client), Step::Engine);
            }
        }
    }

    fn poll(&mut self, client: ClientId) {
        let Some(running) = &mut self.engines[client] else { return };
        running.planned = false;
        let polled = running.future.as_mut().poll(&mut Context::from_waker(&running.waker));
        super::log_lines::take(|line| lock(&self.world).say_of(client, |_| line));
        if let Poll::Ready(result) = polled {
            self.ended(client, result);
        }
        lock(&self.world).look_at_handover(client);
    }

    /// An engine has ended.
    fn ended(&mut self, client: ClientId, result: Result<(), Stop>) {
        let number = lock(&self.world).clients[client].worker;
        lock(&self.world).say_of(client, |_| format!("its engine ends: {result:?}"));
        // Its clients are dropped while they still work: they leave the group.
        drop(self.engines[client].take());
        let worker = &mut self.workers[number];
        let asked = worker.again.take();
        match (result, asked) {
            (Ok(()), Some(again)) => {
                lock(&self.world).clients[client].alive = false;
                worker.client = None;
                lock(&self.world).plan(again, None, Step::Start(number));
            }
            (Ok(()), None) => {
                self.violated(|| format!("end: worker {number} ends although it was not stopped"))
            }
            (Err(Stop::Restart(_) | Stop::TopicLimits(_)), None) => {
                let pause = worker.pause;
                worker.pause = (pause * 2).min(PAUSES.1);
                worker.client = None;
                lock(&self.world).plan(pause, None, Step::Start(number));
            }
            // Stopped while its clients could not go on: the process ends nevertheless.
            (Err(Stop::Restart(_) | Stop::TopicLimits(_)), Some(again)) => {
                worker.client = None;
                lock(&self.world).plan(again, None, Step::Start(number));
            }
            // It did not manage to leave in time.
            (Err(Stop::Fatal(_)), Some(again)) if worker.in_trouble => {
                lock(&self.world).clients[client].alive = false;
                worker.client = None;
                lock(&self.world).plan(again, None, Step::Start(number));
            }
            (Err(Stop::Fatal(reason)), _) => {
                self.violated(|| format!("end: worker {number} stops for good: {reason}"));
            }
        }
    }

    fn start(&mut self, number: usize) {
        if self.workers[number].client.is_some() || self.phase == Phase::Closing {
            return;
        }
        let settings = self.script.settings;
        let input = Budget::new(settings.input);
        let client = {
            let mut world = lock(&self.world);
            world.clients.push(Client {
                worker: number,
                alive: true,
                stopped: Duration::ZERO,
                consumer: Consumer::new(input.clone()),
                producer: Producer::new(self.script.guarantee),
            });
            let client = world.clients.len() - 1;
            world.say_of(client, |_| "starts".to_owned());
            client
        };
        self.workers[number].client = Some(client);
        let (stop, stopped) = oneshot::channel::<()>();
        let plan = Plan {
            topology: Topology::new([Arc::new(Scripted::default()) as Arc<dyn Operator>]),
            guarantee: self.script.guarantee,
            order: self.script.order,
            requests: false,
            fair_by: None,
            deduplication: None,
            state: None,
            commit_interval: settings.commit_interval,
            commit_records: settings.commit_records,
            retries: Retries {
                otherwise: RetryPolicy {
                    attempts: 3,
                    backoff: Duration::from_millis(10),
                    max_backoff: Duration::from_secs(1),
                },
                by_failure: std::collections::BTreeMap::new(),
                topics: Vec::new(),
            },
            largest: PerTopic { results: vec![1 << 20], dead_letters: 1 << 20 },
            large: Large::DeadLetter,
            limits_hold: Duration::MAX,
            input,
            budget: Budget::new(1 << 20),
            shutdown_timeout: settings.shutdown_timeout,
            drain: false,
        };
        let world = self.world.clone();
        let source = SimulatedSource { world: world.clone(), client };
        let sink = SimulatedSink { world: world.clone(), client };
        let name = format!("worker-{number}");
        let machine = Arc::new(VirtualMachine { world: world.clone(), client, name });
        let progress = self.workers[number].progress.clone();
        let stopped = async move {
            if stopped.await.is_err() {
                futures::future::pending::<()>().await;
            }
        };
        let signal = Arc::<Signal>::default();
        let waker = Waker::from(signal.clone());
        let future = Box::pin(run(plan, source, sink, machine, progress, stopped));
        self.engines.push(Some(Running { future, signal, waker, planned: true, stop: Some(stop) }));
        // The producer first: a group member that cannot work yet would hold its partitions idle.
        let begin = move |world: &mut World| {
            world.subscribe(client);
            world.plan(Duration::ZERO, Some(client), Step::Engine);
        };
        let mut world = lock(&world);
        if self.script.guarantee == Guarantee::ExactlyOnce {
            world.new_epoch(client, begin);
        } else {
            begin(&mut world);
        }
    }

    /// Whether the history is over.
    fn look(&mut self) -> bool {
        let (now, at_rest, commits) = {
            let world = lock(&self.world);
            (world.now, world.is_at_rest(), world.judge.commits)
        };
        if commits > self.commits {
            (self.commits, self.since) = (commits, now);
        }
        if self.phase == Phase::Working && at_rest {
            (self.phase, self.since) = (Phase::Closing, now);
            (0..self.workers.len()).for_each(|worker| self.terminate(worker, Duration::ZERO));
        }
        let gone = self.workers.iter().all(|worker| worker.client.is_none());
        if self.phase == Phase::Closing && gone {
            let mut world = lock(&self.world);
            let World { judge, topics, transactions, .. } = &mut *world;
            judge.end(topics, transactions);
            return true;
        }
        if now > self.since + REST {
            let left = lock(&self.world).what_is_left();
            self.violated(|| {
                format!("hang: nothing was committed for {REST:?}, and nothing was wrong: {left}")
            });
            return true;
        }
        lock(&self.world).plan(LOOK, None, Step::Look);
        false
    }
}

impl World {
    /// Whether everything that can be read is committed.
    fn is_at_rest(&self) -> bool {
        (0..self.script.settings.partitions).all(|partition| self.left(partition).is_none())
    }

    fn what_is_left(&self) -> String {
        let left = (0..self.script.settings.partitions).filter_map(|partition| self.left(partition));
        let left: Vec<String> = left.collect();
        if left.is_empty() { "a worker does not end".to_owned() } else { left.join(", ") }
    }

    fn left(&self, partition: i32) -> Option<String> {
        let of = self.topics.of(partition);
        let committed = self.group.committed(partition).map_or(0, |committed| committed.offset);
        let done = committed == of.high || of.from(0).is_empty();
        (!done).then(|| format!("partition {partition} is committed to {committed}, and ends at {}", of.high))
    }
}

fn progress() -> Arc<Progress> {
    Arc::new(Progress::new(Subject {
        pipeline: "simulation".to_owned(),
        sources: vec!["in".to_owned()],
        sink: PerTopic { results: vec!["out".to_owned()], dead_letters: "in.dlq".to_owned() },
        operators: vec!["scripted".to_owned()],
        memory: 1 << 20,
    }))
}
