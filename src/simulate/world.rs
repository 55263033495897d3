//! Virtual time, and all that happens in it, in an order that chance decides.

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
    topics::Topics,
    transactions::Transactions,
};

/// The world as engines' sources, sinks and machines see it. Never locked while an engine runs.
pub type Shared = Arc<Mutex<World>>;

/// One set of clients: a worker that starts again, or makes its clients anew, gets another.
pub type ClientId = usize;

/// What a step of a history does.
pub enum Step {
    /// In Kafka, on its way, or in one of a client's own threads.
    Call(Box<dyn FnOnce(&mut World) + Send>),
    /// The client's engine goes on.
    Engine,
    /// A piece of the client's work is computed.
    Compute(Box<dyn FnOnce() + Send>),
    /// A time that the client's engine waits for has come.
    Timer(Arc<Timer>),
    /// A worker's process, or new clients in it, are started.
    Start(usize),
    /// The script's fault of that number.
    Fault(usize),
    /// Whether all is done is looked at.
    Look,
}

/// One set of clients, and the process that it is in.
pub struct Client {
    pub worker: usize,
    /// Whether its process runs.
    pub alive: bool,
    /// Until when the process stands still.
    pub stopped: Duration,
    pub consumer: Consumer,
    pub producer: Producer,
}

pub struct World {
    pub now: Duration,
    pub random: Rng,
    pub script: Arc<Script>,
    pub topics: Topics,
    pub transactions: Transactions,
    pub group: Group,
    pub clients: Vec<Client>,
    pub judge: Judge,
    /// What happened, where somebody wants to read it.
    pub lines: Option<Vec<String>>,
    steps: BTreeMap<(Duration, u64), (Option<ClientId>, Step)>,
    planned: u64,
    away: [Duration; 3],
}

impl World {
    pub fn new(script: Arc<Script>, tell: bool) -> World {
        let settings = script.settings;
        World {
            now: Duration::ZERO,
            random: Rng::with_seed(script.seed),
            topics: Topics::new(settings.partitions),
            transactions: Transactions::default(),
            group: Group::default(),
            clients: Vec::new(),
            judge: Judge::new(&script),
            lines: tell.then(Vec::new),
            steps: BTreeMap::new(),
            planned: 0,
            away: [Duration::ZERO; 3],
            script,
        }
    }

    /// Plans a step; one of a client is taken by its process, if that is there then.
    pub fn plan(&mut self, after: Duration, of: Option<ClientId>, step: Step) {
        self.plan_at(self.now + after, of, step);
    }

    fn plan_at(&mut self, at: Duration, of: Option<ClientId>, step: Step) {
        self.planned += 1;
        self.steps.insert((at, self.planned), (of, step));
    }

    /// Plans a call in one of a client's own threads.
    pub fn later(
        &mut self,
        after: Duration,
        client: ClientId,
        call: impl FnOnce(&mut World) + Send + 'static,
    ) {
        self.plan(after, Some(client), Step::Call(Box::new(call)));
    }

    /// The next step; time goes on to it.
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

    /// Takes all steps that will not be taken any more.
    pub fn forget(&mut self) -> BTreeMap<(Duration, u64), (Option<ClientId>, Step)> {
        std::mem::take(&mut self.steps)
    }

    /// How long a request or an answer is on its way.
    pub fn way(&mut self) -> Duration {
        let longest = self.script.settings.network.as_micros() as u64;
        // Mostly it is fast.
        let longest = if self.random.u8(..) < 200 { longest / 10 } else { longest };
        Duration::from_micros(self.random.u64(100..=longest.max(200)))
    }

    /// Sends a request; it arrives whatever becomes of the client, once the broker is there.
    pub fn request(&mut self, to: Role, call: impl FnOnce(&mut World) + Send + 'static) {
        let way = self.way();
        self.request_after(way, to, call);
    }

    /// Sends a request that is on its way for so long.
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

    /// When a part of Kafka is there, from now on.
    pub fn back(&self, role: Role) -> Duration {
        self.away[role as usize].max(self.now)
    }

    pub fn go_away(&mut self, role: Role, lasts: Duration) {
        let until = self.now + lasts;
        let away = &mut self.away[role as usize];
        *away = until.max(*away);
    }

    /// Says what happens, where somebody wants to read it.
    pub fn say(&mut self, line: impl FnOnce(&World) -> String) {
        if self.lines.is_none() {
            return;
        }
        let line = format!("{:9.3} s  {}", self.now.as_secs_f64(), line(self));
        self.lines.get_or_insert_default().push(line);
    }

    /// As [`say`](World::say), of a client's worker.
    pub fn say_of(&mut self, client: ClientId, line: impl FnOnce(&World) -> String) {
        self.say(|world| format!("worker {}: {}", world.clients[client].worker, line(world)));
    }
}

/// A poisoned world belongs to a history that has failed already.
pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
