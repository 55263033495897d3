//! The kinds of faults, by which a user names them.

use crate::verify::clock::library;

/// A kind of fault, as it is named on the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `kill -9` of a worker, which is started again.
    KillWorker,
    /// SIGTERM to a worker, which is started again.
    TerminateWorker,
    /// SIGSTOP to one or two workers, for longer than their group waits at times.
    StopWorkers,
    /// One worker more for a while.
    MoreWorkers,
    /// One worker less for a while.
    FewerWorkers,
    /// All workers, one after the other.
    RollingRestart,
    /// `kill -9` of a broker, which is started again.
    KillBroker,
    /// SIGSTOP to a broker.
    StopBroker,
    /// The group's coordinator stops in order and starts again, so that another broker takes over.
    MoveCoordinator,
    /// Connections are cut: all at once, or at each request of a kind, before the broker gets it or after.
    Cut,
    /// A request is held back, its connection is cut, and it reaches the broker late.
    Hold,
    /// Requests of a kind are slow.
    Slow,
    /// Connections that a request of a kind comes by are dead, and nobody says so.
    HalfOpen,
    /// Brokers answer Produce as if their disk were full.
    FullDisk,
    /// Brokers know the workers' credentials no more.
    Credentials,
    /// The topic of requests or of results gets a partition more.
    AddPartitions,
    /// The result topic takes small records alone for a while.
    TooLarge,
    /// Records are deleted while no worker runs, so that committed offsets are not retained.
    OffsetsGone,
    /// The topic of requests is deleted and made again.
    TopicAgain,
    /// The clock of a worker jumps, and back.
    ClockJump,
}

/// The groups of kinds, as they are named on the command line, and what belongs to them.
const GROUPS: [(&str, &[Kind]); 5] = [
    (
        "workers",
        &[
            Kind::KillWorker,
            Kind::TerminateWorker,
            Kind::StopWorkers,
            Kind::MoreWorkers,
            Kind::FewerWorkers,
            Kind::RollingRestart,
        ],
    ),
    ("brokers", &[Kind::KillBroker, Kind::StopBroker, Kind::MoveCoordinator]),
    ("network", &[Kind::Cut, Kind::Hold, Kind::Slow, Kind::HalfOpen, Kind::FullDisk, Kind::Credentials]),
    ("topics", &[Kind::AddPartitions, Kind::TooLarge, Kind::OffsetsGone, Kind::TopicAgain]),
    ("clock", &[Kind::ClockJump]),
];

impl Kind {
    /// All of them.
    pub fn all() -> Vec<Kind> {
        GROUPS.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect()
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::KillWorker => "kill-worker",
            Kind::TerminateWorker => "terminate-worker",
            Kind::StopWorkers => "stop-workers",
            Kind::MoreWorkers => "more-workers",
            Kind::FewerWorkers => "fewer-workers",
            Kind::RollingRestart => "rolling-restart",
            Kind::KillBroker => "kill-broker",
            Kind::StopBroker => "stop-broker",
            Kind::MoveCoordinator => "move-coordinator",
            Kind::Cut => "cut",
            Kind::Hold => "hold",
            Kind::Slow => "slow",
            Kind::HalfOpen => "half-open",
            Kind::FullDisk => "full-disk",
            Kind::Credentials => "credentials",
            Kind::AddPartitions => "add-partitions",
            Kind::TooLarge => "too-large",
            Kind::OffsetsGone => "offsets-gone",
            Kind::TopicAgain => "topic-again",
            Kind::ClockJump => "clock-jump",
        }
    }

    /// Why it cannot happen; `ours` says whether the brokers are.
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
    /// A name that nothing has, and which there are.
    pub fn parse_list(list: &str) -> Result<Vec<Kind>, String> {
        let mut kinds = Vec::new();
        for name in list.split(',').map(str::trim) {
            let group = GROUPS.iter().find(|(group, _)| *group == name);
            let found = match group {
                _ if name == "all" => Kind::all(),
                Some((_, kinds)) => kinds.to_vec(),
                None => Kind::all().into_iter().filter(|kind| kind.name() == name).collect(),
            };
            if found.is_empty() {
                let groups = GROUPS.iter().map(|(group, _)| *group);
                let names: Vec<&str> = ["all"]
                    .into_iter()
                    .chain(groups)
                    .chain(Kind::all().into_iter().map(Kind::name))
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
