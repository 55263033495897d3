//! What a history is given: records, workers, faults. Made from a seed; can be made smaller.

use crate::engine::{Guarantee, Order};
use std::{fmt, time::Duration};

use fastrand::Rng;

/// Everything that a history is given; the rest is random from `seed`, the same each time.
#[derive(Clone, Debug)]
pub struct Script {
    /// The seed of all delays and of the order of steps.
    pub seed: u64,
    pub guarantee: Guarantee,
    pub order: Order,
    pub settings: Settings,
    /// When each worker is started.
    pub workers: Vec<Duration>,
    /// In the order of their time.
    pub records: Vec<Input>,
    /// In the order of their time.
    pub faults: Vec<(Duration, Fault)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub partitions: i32,
    pub commit_interval: Duration,
    pub commit_records: u64,
    pub shutdown_timeout: Duration,
    /// The longest time that a request or an answer is in flight, without a fault.
    pub network: Duration,
    /// The longest time that a chunk takes to compute.
    pub compute: Duration,
    /// The size of the producer's queue, in records.
    pub room: usize,
    /// The memory budget: bytes of records read and not done.
    pub input: u64,
}

/// A record of the source topic.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    pub at: Duration,
    pub partition: i32,
    pub key: Option<u8>,
    pub kind: RecordKind,
    /// Offsets before it without a record, as transaction markers or compaction leave them.
    pub gap: i64,
}

/// What the operator makes of a record; its name is the first word of the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// One result.
    Good,
    /// One result, and the record is a chunk of its own.
    Costly,
    /// Bad input: a dead letter.
    Bad,
    /// No result.
    Drop,
    /// Two results.
    Twice,
    /// Fails in passing once for each worker; then one result.
    Flaky,
    /// A result that the broker refuses: a dead letter.
    Refused,
}

impl RecordKind {
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Good => "good",
            RecordKind::Costly => "costly",
            RecordKind::Bad => "bad",
            RecordKind::Drop => "drop",
            RecordKind::Twice => "twice",
            RecordKind::Flaky => "flaky",
            RecordKind::Refused => "refused",
        }
    }
}

/// A part of Kafka that can be down while the others answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The leader of all partitions.
    Leader,
    /// The group coordinator, with the committed offsets.
    Group,
    /// The transaction coordinator.
    Transactions,
}

/// A fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `kill -9`, and a restart after that time.
    Crash { worker: usize, down: Duration },
    /// SIGTERM, and a restart that long after its end.
    Terminate { worker: usize, down: Duration },
    /// SIGSTOP, and SIGCONT after that time.
    Stop { worker: usize, lasts: Duration },
    /// A broker does not answer for that long; it answers what was sent to it later.
    Away { role: Role, lasts: Duration },
    /// The next EndTxn of the worker's producer is in flight for that long. The connection is cut, and the
    /// producer resends it at once on another.
    LateEndTxn { worker: usize, lasts: Duration },
    /// The acknowledgement of the next batch is lost; the producer resends it, the broker recognizes it by
    /// its sequence numbers, and acknowledges it that much later.
    LostAcknowledgement { worker: usize, lasts: Duration },
    /// The next commit is refused with a passing error, or one for which a transaction must be aborted.
    CommitRefused { worker: usize },
    /// The next batch times out, and is not written.
    DeliveryFailed { worker: usize },
    /// The next batch comes back undelivered although its records are valid.
    DeliveredAgain { worker: usize },
    /// DeleteRecords: deletes that many of the records not committed.
    Deleted { partition: i32, records: usize },
}

impl Fault {
    /// How long it lasts.
    pub fn lasts(self) -> Duration {
        match self {
            Fault::Crash { down, .. } | Fault::Terminate { down, .. } => down,
            Fault::Stop { lasts, .. }
            | Fault::Away { lasts, .. }
            | Fault::LateEndTxn { lasts, .. }
            | Fault::LostAcknowledgement { lasts, .. } => lasts,
            Fault::CommitRefused { .. }
            | Fault::DeliveryFailed { .. }
            | Fault::DeliveredAgain { .. }
            | Fault::Deleted { .. } => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Crash { worker, down } => {
                write!(f, "worker {worker} is killed, and started after {down:?}")
            }
            Fault::Terminate { worker, down } => {
                write!(f, "worker {worker} is stopped with SIGTERM, and started {down:?} after its end")
            }
            Fault::Stop { worker, lasts } => write!(f, "worker {worker} stands still for {lasts:?}"),
            Fault::Away { role, lasts } => {
                let role = match role {
                    Role::Leader => "the partitions' leader",
                    Role::Group => "the group coordinator",
                    Role::Transactions => "the transaction coordinator",
                };
                write!(f, "{role} does not answer for {lasts:?}")
            }
            Fault::LateEndTxn { worker, lasts } => {
                write!(f, "worker {worker}'s next EndTxn is cut off, and comes {lasts:?} late")
            }
            Fault::LostAcknowledgement { worker, lasts } => {
                write!(f, "worker {worker}'s next acknowledgement is lost, and comes {lasts:?} late")
            }
            Fault::CommitRefused { worker } => write!(f, "worker {worker}'s next commit is refused"),
            Fault::DeliveryFailed { worker } => {
                write!(f, "worker {worker}'s next batch is not delivered in time")
            }
            Fault::DeliveredAgain { worker } => {
                write!(f, "worker {worker}'s next batch comes back undelivered")
            }
            Fault::Deleted { partition, records } => {
                write!(f, "{records} records of partition {partition} are deleted before they are committed")
            }
        }
    }
}

/// How many records are shown one by one.
const SHOWN: usize = 12;

impl Script {
    /// Makes the script of that seed.
    pub fn new(seed: u64) -> Script {
        let mut random = Rng::with_seed(seed);
        let guarantee =
            pick(&mut random, &[Guarantee::AtLeastOnce, Guarantee::ExactlyOnce, Guarantee::ExactlyOnce]);
        let order = pick(&mut random, &[Order::Partition, Order::Key, Order::None]);
        let mut settings = settings(&mut random);
        let lasts = Duration::from_millis(random.u64(500..15_000));
        let workers: Vec<Duration> = (0..random.usize(1..=3))
            .map(|_| if random.bool() { Duration::ZERO } else { moment(&mut random, lasts) })
            .collect();
        let records = records(&mut random, settings.partitions, lasts);
        let faults = faults(&mut random, &workers, settings.partitions, lasts);
        let seed = random.u64(..);
        if random.u8(..) < 8 {
            // A healthy group under a backlog, joined by one more worker.
            settings = Settings { partitions: 2, room: 1_000, input: 1 << 20, ..settings };
            settings.network = Duration::from_millis(20);
            (settings.compute, settings.shutdown_timeout) =
                (Duration::from_millis(100), Duration::from_secs(1));
            let workers = vec![Duration::ZERO, Duration::from_millis(random.u64(100..1_000))];
            let records = backlog(&mut random);
            return Script { seed, guarantee, order, settings, workers, records, faults: Vec::new() };
        }
        Script { seed, guarantee, order, settings, workers, records, faults }
    }

    /// The script as lines of text.
    pub fn lines(&self) -> Vec<String> {
        let Settings {
            partitions,
            commit_interval,
            commit_records,
            shutdown_timeout,
            network,
            compute,
            room,
            ..
        } = self.settings;
        let guarantee = match self.guarantee {
            Guarantee::AtLeastOnce => "at-least-once",
            Guarantee::ExactlyOnce => "exactly-once",
        };
        let order = match self.order {
            Order::Partition => "partition",
            Order::Key => "key",
            Order::None => "none",
        };
        let workers = self.workers.len();
        let mut lines = vec![
            format!(
                "{guarantee}, order = {order}, {workers} workers, {partitions} partitions, {} records",
                self.records.len()
            ),
            format!(
                "commit after {commit_interval:?} or {commit_records} records, shutdown.timeout {shutdown_timeout:?}"
            ),
            format!(
                "a request takes up to {network:?}, a chunk {compute:?}; the producer has room for {room} records"
            ),
        ];
        lines.extend(self.records.iter().take(SHOWN).map(|record| {
            let key = record.key.map_or("no key".to_owned(), |key| format!("key {}", (b'a' + key) as char));
            let at = record.at.as_secs_f64();
            format!("{at:9.3} s  a record for partition {}, {key}: {}", record.partition, record.kind.name())
        }));
        if self.records.len() > SHOWN {
            lines.push(format!("             and {} more", self.records.len() - SHOWN));
        }
        lines.push(String::new());
        lines
    }

    /// When the last fault ends.
    pub fn calm(&self) -> Duration {
        let ends = self.faults.iter().map(|(at, fault)| *at + fault.lasts());
        let starts = self.workers.iter().copied();
        ends.chain(starts).chain(self.records.last().map(|last| last.at)).max().unwrap_or_default()
    }
}

fn settings(random: &mut Rng) -> Settings {
    let millis = |random: &mut Rng, of: &[u64]| Duration::from_millis(pick(random, of));
    Settings {
        partitions: random.i32(1..=4),
        commit_interval: millis(random, &[10, 100, 1_000]),
        commit_records: pick(random, &[1, 5, 1_000]),
        shutdown_timeout: millis(random, &[1_000, 3_000, 10_000]),
        network: millis(random, &[2, 2, 10, 200]),
        compute: millis(random, &[1, 20, 100, 2_000]),
        room: pick(random, &[1, 3, 1_000]),
        input: pick(random, &[200, 1_000, 1 << 20]),
    }
}

fn records(random: &mut Rng, partitions: i32, lasts: Duration) -> Vec<Input> {
    let count = if random.u8(..) < 8 { random.usize(200..500) } else { random.usize(1..60) };
    // All at once, or one after another.
    let backlog = random.bool();
    // One partition may have nearly all records.
    let skewed = random.bool();
    let kinds = [
        RecordKind::Good,
        RecordKind::Good,
        RecordKind::Good,
        RecordKind::Costly,
        RecordKind::Bad,
        RecordKind::Drop,
        RecordKind::Twice,
        RecordKind::Flaky,
    ];
    let refused = random.u8(..) < 64;
    let mut records: Vec<Input> = (0..count)
        .map(|_| Input {
            at: if backlog && random.u8(..) < 230 { Duration::ZERO } else { moment(random, lasts) },
            partition: if skewed && random.u8(..) < 200 { 0 } else { random.i32(0..partitions) },
            key: (random.u8(..) < 230).then(|| random.u8(0..5)),
            kind: if refused && random.u8(..) < 10 { RecordKind::Refused } else { pick(random, &kinds) },
            gap: if random.u8(..) < 16 { random.i64(1..4) } else { 0 },
        })
        .collect();
    records.sort_by_key(|record| record.at);
    records
}

/// Costly records, most of them in one partition, all present at the start.
fn backlog(random: &mut Rng) -> Vec<Input> {
    let costly = |random: &mut Rng| Input {
        at: Duration::ZERO,
        partition: i32::from(random.u8(..) < 16),
        key: Some(random.u8(0..5)),
        kind: RecordKind::Costly,
        gap: 0,
    };
    (0..random.usize(400..800)).map(|_| costly(random)).collect()
}

fn faults(
    random: &mut Rng,
    workers: &[Duration],
    partitions: i32,
    lasts: Duration,
) -> Vec<(Duration, Fault)> {
    // Faults are worst together: half of them are around one moment, mostly when a worker starts.
    let worst = match random.usize(0..=workers.len()) {
        0 => moment(random, lasts),
        worker => workers[worker - 1],
    };
    let mut faults: Vec<(Duration, Fault)> = (0..random.usize(0..=8))
        .map(|_| {
            let at = if random.bool() {
                worst + moment(random, Duration::from_secs(1))
            } else {
                moment(random, lasts)
            };
            (at, fault(random, workers.len(), partitions))
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn fault(random: &mut Rng, workers: usize, partitions: i32) -> Fault {
    let worker = random.usize(0..workers);
    let short = Duration::from_millis(random.u64(1..3_000));
    let long = Duration::from_millis(random.u64(1_000..20_000));
    let lasts = if random.bool() { short } else { long };
    match random.u8(0..22) {
        0..=2 => Fault::Crash { worker, down: lasts },
        3..=4 => Fault::Terminate { worker, down: lasts },
        5..=8 => Fault::Stop { worker, lasts },
        9..=11 => {
            let role = pick(random, &[Role::Leader, Role::Group, Role::Transactions]);
            Fault::Away { role, lasts }
        }
        12..=13 => Fault::LateEndTxn { worker, lasts: short },
        14..=15 => Fault::LostAcknowledgement { worker, lasts: short },
        16..=18 => Fault::CommitRefused { worker },
        19 => Fault::DeliveryFailed { worker },
        20 => Fault::DeliveredAgain { worker },
        _ => Fault::Deleted { partition: random.i32(0..partitions), records: random.usize(1..8) },
    }
}

fn moment(random: &mut Rng, before: Duration) -> Duration {
    Duration::from_micros(random.u64(0..before.as_micros() as u64))
}

fn pick<T: Copy>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(0..of.len())]
}
