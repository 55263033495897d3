//! The kinds of faults, as the user names them.

use crate::verify::clock::library;

/// A kind of fault, as named on the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FaultKind {
    /// `kill -9` of a worker, which is restarted.
    KillWorker,
    /// SIGTERM to a worker, which is restarted.
    TerminateWorker,
    /// SIGSTOP to one or two workers, sometimes for longer than the session time-out.
    StopWorkers,
    /// One worker more for a while.
    MoreWorkers,
    /// One worker less for a while.
    FewerWorkers,
    /// All workers, one after the other.
    RollingRestart,
    /// `kill -9` of a broker, which is restarted.
    KillBroker,
    /// SIGSTOP to a broker.
    StopBroker,
    /// The group's coordinator is restarted gracefully, so that another broker takes over.
    MoveCoordinator,
    /// Connections are cut: all at once, or at each request of a kind, before or after the broker gets it.
    Cut,
    /// A request is held back, its connection is cut, and it reaches the broker late.
    Hold,
    /// Requests of a kind are slow.
    Slow,
    /// Connections on which a request of a kind comes become half-open: silent in both directions.
    HalfOpen,
    /// Brokers answer Produce as if their disk were full.
    FullDisk,
    /// Brokers refuse the workers' credentials.
    Credentials,
    /// The request or result topic gets one more partition.
    AddPartitions,
    /// The result topic only takes small records for a while.
    TooLarge,
    /// Records are deleted while no worker runs, so that committed offsets point below the log's start.
    OffsetsGone,
    /// The request topic is deleted and recreated.
    TopicAgain,
    /// A worker's clock jumps, and later back.
    ClockJump,
}

/// The groups of kinds, as named on the command line.
const GROUPS: [(&str, &[FaultKind]); 5] = [
    (
        "workers",
        &[
            FaultKind::KillWorker,
            FaultKind::TerminateWorker,
            FaultKind::StopWorkers,
            FaultKind::MoreWorkers,
            FaultKind::FewerWorkers,
            FaultKind::RollingRestart,
        ],
    ),
    ("brokers", &[FaultKind::KillBroker, FaultKind::StopBroker, FaultKind::MoveCoordinator]),
    (
        "network",
        &[
            FaultKind::Cut,
            FaultKind::Hold,
            FaultKind::Slow,
            FaultKind::HalfOpen,
            FaultKind::FullDisk,
            FaultKind::Credentials,
        ],
    ),
    (
        "topics",
        &[FaultKind::AddPartitions, FaultKind::TooLarge, FaultKind::OffsetsGone, FaultKind::TopicAgain],
    ),
    ("clock", &[FaultKind::ClockJump]),
];

impl FaultKind {
    /// All kinds.
    pub fn all() -> Vec<FaultKind> {
        GROUPS.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect()
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::KillWorker => "kill-worker",
            FaultKind::TerminateWorker => "terminate-worker",
            FaultKind::StopWorkers => "stop-workers",
            FaultKind::MoreWorkers => "more-workers",
            FaultKind::FewerWorkers => "fewer-workers",
            FaultKind::RollingRestart => "rolling-restart",
            FaultKind::KillBroker => "kill-broker",
            FaultKind::StopBroker => "stop-broker",
            FaultKind::MoveCoordinator => "move-coordinator",
            FaultKind::Cut => "cut",
            FaultKind::Hold => "hold",
            FaultKind::Slow => "slow",
            FaultKind::HalfOpen => "half-open",
            FaultKind::FullDisk => "full-disk",
            FaultKind::Credentials => "credentials",
            FaultKind::AddPartitions => "add-partitions",
            FaultKind::TooLarge => "too-large",
            FaultKind::OffsetsGone => "offsets-gone",
            FaultKind::TopicAgain => "topic-again",
            FaultKind::ClockJump => "clock-jump",
        }
    }

    /// Why it cannot happen, if it cannot; `ours`: whether this run started the brokers.
    pub fn unavailable(self, ours: bool) -> Option<&'static str> {
        let group = GROUPS.iter().find(|(_, kinds)| kinds.contains(&self)).map_or("", |(group, _)| *group);
        match group {
            "clock" if library().is_none() => {
                Some("libfaketime, which sets a process's clock, is not installed (Debian: faketime)")
            }
            "brokers" if !ours => Some("the brokers are given, and not ours to break"),
            "network" if !ours => Some("the brokers are given, so there is no proxy in front of them"),
            _ => None,
        }
    }

    /// The kinds that a list names: `all`, groups, or kinds, with commas between them.
    ///
    /// # Errors
    /// An unknown name, with the names that exist.
    pub fn parse_list(list: &str) -> Result<Vec<FaultKind>, String> {
        let mut kinds = Vec::new();
        for name in list.split(',').map(str::trim) {
            let group = GROUPS.iter().find(|(group, _)| *group == name);
            let found = match group {
                _ if name == "all" => FaultKind::all(),
                Some((_, kinds)) => kinds.to_vec(),
                None => FaultKind::all().into_iter().filter(|kind| kind.name() == name).collect(),
            };
            if found.is_empty() {
                let groups = GROUPS.iter().map(|(group, _)| *group);
                let names: Vec<&str> = ["all"]
                    .into_iter()
                    .chain(groups)
                    .chain(FaultKind::all().into_iter().map(FaultKind::name))
                    .collect();
                return Err(format!("there is no fault `{name}`; there are {}", names.join(", ")));
            }
            kinds.extend(found);
        }
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }
}
