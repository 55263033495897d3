//! Virtual time, and everything that happens in it, in random order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fastrand::Rng;

use super::{
    consumer::Consumer,
    group::Group,
    judge::Judge,
    machine::Timer,
    producer::Producer,
    script::{Role, Script},
    topics::TopicLogs,
    transactions::Transactions,
};

/// The world, shared by the engines' sources, sinks and machines. Never locked while an engine runs.
pub type Shared = Arc<Mutex<World>>;

/// One set of clients: a worker that restarts, or recreates its clients, gets another.
pub type ClientId = usize;

/// A step of a history.
pub enum Step {
    /// Something in Kafka, on the network, or in a client's own thread.
    Call(Box<dyn FnOnce(&mut World) + Send>),
    /// The client's engine runs.
    Engine,
    /// A piece of the client's work is computed.
    Compute(Box<dyn FnOnce() + Send>),
    /// A timer of the client's engine fires.
    Timer(Arc<Timer>),
    /// A worker's process, or new clients in it, start.
    Start(usize),
    /// The script's fault with that number.
    Fault(usize),
    /// Checks whether everything is done.
    Look,
}

/// One set of clients, and its process.
pub struct Client {
    pub worker: usize,
    /// Whether its process runs.
    pub alive: bool,
    /// Until when the process is stopped (SIGSTOP).
    pub stopped: Duration,
    pub consumer: Consumer,
    pub producer: Producer,
}

pub struct World {
    pub now: Duration,
    pub random: Rng,
    pub script: Arc<Script>,
    pub topics: TopicLogs,
    pub transactions: Transactions,
    pub group: Group,
    pub clients: Vec<Client>,
    pub judge: Judge,
    /// What happened, if it is recorded.
    pub lines: Option<Vec<String>>,
    steps: BTreeMap<(Duration, u64), (Option<ClientId>, Step)>,
    planned: u64,
    away: [Duration; 3],
}

impl World {
    pub fn new(script: Arc<Script>, keep_lines: bool) -> World {
        let settings = script.settings;
        World {
            now: Duration::ZERO,
            random: Rng::with_seed(script.seed),
            topics: TopicLogs::new(settings.partitions),
            transactions: Transactions::default(),
            group: Group::default(),
            clients: Vec::new(),
            judge: Judge::new(&script),
            lines: keep_lines.then(Vec::new),
            steps: BTreeMap::new(),
            planned: 0,
            away: [Duration::ZERO; 3],
            script,
        }
    }

    /// Schedules a step; a client's step is skipped if its process is gone by then.
    pub fn plan(&mut self, after: Duration, of: Option<ClientId>, step: Step) {
        self.plan_at(self.now + after, of, step);
    }

    fn plan_at(&mut self, at: Duration, of: Option<ClientId>, step: Step) {
        self.planned += 1;
        self.steps.insert((at, self.planned), (of, step));
    }

    /// Schedules a call in one of a client's own threads.
    pub fn later(
        &mut self,
        after: Duration,
        client: ClientId,
        call: impl FnOnce(&mut World) + Send + 'static,
    ) {
        self.plan(after, Some(client), Step::Call(Box::new(call)));
    }

    /// Takes the next step, and advances the time to it.
    pub fn next(&mut self) -> Option<(Option<ClientId>, Step)> {
        while let Some(((at, number), (of, step))) = self.steps.pop_first() {
            self.now = self.now.max(at);
            if let Some(client) = of.and_then(|client| self.clients.get(client)) {
                if !client.alive {
                    continue;
                }
                if client.stopped > self.now {
                    self.steps.insert((client.stopped, number), (of, step));
                    continue;
                }
            }
            return Some((of, step));
        }
        None
    }

    /// Removes all steps that remain, at the end.
    pub fn forget(&mut self) -> BTreeMap<(Duration, u64), (Option<ClientId>, Step)> {
        std::mem::take(&mut self.steps)
    }

    /// A random time for a request or an answer on the network.
    pub fn way(&mut self) -> Duration {
        let longest = self.script.settings.network.as_micros() as u64;
        // Mostly fast.
        let longest = if self.random.u8(..) < 200 { longest / 10 } else { longest };
        Duration::from_micros(self.random.u64(100..=longest.max(200)))
    }

    /// Sends a request; it arrives once the broker is up, whatever happens to the client.
    pub fn request(&mut self, to: Role, call: impl FnOnce(&mut World) + Send + 'static) {
        let way = self.way();
        self.request_after(way, to, call);
    }

    /// Sends a request that takes that long.
    pub fn request_after(&mut self, way: Duration, to: Role, call: impl FnOnce(&mut World) + Send + 'static) {
        let arrive = move |world: &mut World| {
            let back = world.away[to as usize];
            if world.now < back {
                let way = back - world.now + world.way();
                world.request_after(way, to, call);
            } else {
                call(world);
            }
        };
        self.plan(way, None, Step::Call(Box::new(arrive)));
    }

    /// Answers a client.
    pub fn respond(&mut self, client: ClientId, call: impl FnOnce(&mut World) + Send + 'static) {
        let way = self.way();
        self.later(way, client, call);
    }

    /// When a part of Kafka is up again; now, if it is up.
    pub fn back(&self, role: Role) -> Duration {
        self.away[role as usize].max(self.now)
    }

    pub fn go_away(&mut self, role: Role, lasts: Duration) {
        let until = self.now + lasts;
        let away = &mut self.away[role as usize];
        *away = until.max(*away);
    }

    /// Records what happens, if lines are kept.
    pub fn say(&mut self, line: impl FnOnce(&World) -> String) {
        if self.lines.is_none() {
            return;
        }
        let line = format!("{:9.3} s  {}", self.now.as_secs_f64(), line(self));
        self.lines.get_or_insert_default().push(line);
    }

    /// As [`say`](World::say), with the client's worker.
    pub fn say_of(&mut self, client: ClientId, line: impl FnOnce(&World) -> String) {
        self.say(|world| format!("worker {}: {}", world.clients[client].worker, line(world)));
    }
}

/// Locks; a poisoned world belongs to a history that has failed already.
pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
