//! Which faults happen, in which order: made from a seed, the same for the same one.

use std::{fmt, time::Duration};

use fastrand::Rng;

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
}

/// The groups of kinds, as they are named on the command line, and what belongs to them.
const GROUPS: [(&str, &[Kind]); 2] = [
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

/// A fault, with all that chance has to say about it. Who it hits is a number, of which is taken what is left when it is
/// divided by how many there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// See [`Kind`]; `pause` is how long nobody takes its place.
    KillWorker {
        who: usize,
        pause: Duration,
    },
    TerminateWorker {
        who: usize,
    },
    StopWorkers {
        who: usize,
        both: bool,
        lasts: Duration,
    },
    MoreWorkers {
        lasts: Duration,
    },
    FewerWorkers {
        who: usize,
        lasts: Duration,
    },
    RollingRestart,
    KillBroker {
        who: usize,
        pause: Duration,
    },
    StopBroker {
        who: usize,
        lasts: Duration,
    },
    MoveCoordinator {
        pause: Duration,
    },
}

impl Fault {
    /// What it is called in tables: faults of one name are counted together.
    pub fn name(&self) -> String {
        match self {
            Fault::KillWorker { .. } => "kill -9 a worker".to_owned(),
            Fault::TerminateWorker { .. } => "SIGTERM a worker".to_owned(),
            Fault::StopWorkers { both: false, .. } => "SIGSTOP a worker".to_owned(),
            Fault::StopWorkers { both: true, .. } => "SIGSTOP two workers".to_owned(),
            Fault::MoreWorkers { .. } => "one worker more".to_owned(),
            Fault::FewerWorkers { .. } => "one worker less".to_owned(),
            Fault::RollingRestart => "rolling restart".to_owned(),
            Fault::KillBroker { .. } => "kill -9 a broker".to_owned(),
            Fault::StopBroker { .. } => "SIGSTOP a broker".to_owned(),
            Fault::MoveCoordinator { .. } => "coordinator moved".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        match self {
            Fault::KillWorker { pause, .. }
            | Fault::KillBroker { pause, .. }
            | Fault::MoveCoordinator { pause } => {
                write!(f, ", started again after {:.1} s", pause.as_secs_f64())
            }
            Fault::StopWorkers { lasts, .. }
            | Fault::MoreWorkers { lasts }
            | Fault::FewerWorkers { lasts, .. }
            | Fault::StopBroker { lasts, .. } => write!(f, " for {:.1} s", lasts.as_secs_f64()),
            Fault::TerminateWorker { .. } | Fault::RollingRestart => Ok(()),
        }
    }
}

/// A fault, and the time between the end of the one before it and its own beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Time in which nothing is broken.
    pub pause: Duration,
    /// What happens then.
    pub fault: Fault,
}

/// The faults of a run, without end: each kind once in an order of chance, then all again in another.
pub struct Plan {
    rng: Rng,
    kinds: Vec<Kind>,
    deck: Vec<Kind>,
}

impl Plan {
    /// The plan of that seed for these kinds.
    pub fn new(seed: u64, kinds: Vec<Kind>) -> Plan {
        Plan { rng: Rng::with_seed(seed), kinds, deck: Vec::new() }
    }

    fn between(&mut self, least: f64, most: f64) -> Duration {
        // In tenths, so that what is shown is what was done.
        let tenths = self.rng.u64((least * 10.0) as u64..=(most * 10.0) as u64);
        Duration::from_millis(tenths * 100)
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let who = self.rng.usize(..12);
        match kind {
            Kind::KillWorker => Fault::KillWorker { who, pause: self.between(0.0, 4.0) },
            Kind::TerminateWorker => Fault::TerminateWorker { who },
            Kind::StopWorkers => {
                Fault::StopWorkers { who, both: self.rng.bool(), lasts: self.between(3.0, 14.0) }
            }
            Kind::MoreWorkers => Fault::MoreWorkers { lasts: self.between(4.0, 10.0) },
            Kind::FewerWorkers => Fault::FewerWorkers { who, lasts: self.between(4.0, 10.0) },
            Kind::RollingRestart => Fault::RollingRestart,
            Kind::KillBroker => Fault::KillBroker { who, pause: self.between(0.0, 4.0) },
            Kind::StopBroker => Fault::StopBroker { who, lasts: self.between(2.0, 12.0) },
            Kind::MoveCoordinator => Fault::MoveCoordinator { pause: self.between(0.0, 4.0) },
        }
    }
}

impl Iterator for Plan {
    type Item = Step;

    /// `None` where there are no kinds.
    fn next(&mut self) -> Option<Step> {
        if self.deck.is_empty() {
            self.deck = self.kinds.clone();
            self.rng.shuffle(&mut self.deck);
        }
        let kind = self.deck.pop()?;
        // One in four comes right after the one before it, while all are busy with that.
        let pause = if self.rng.u32(..4) == 0 { Duration::ZERO } else { self.between(1.0, 6.0) };
        Some(Step { pause, fault: self.fault(kind) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Vec<Step> {
        Plan::new(seed, Kind::all()).take(100).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_sequence_and_another_another() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_comes_before_one_comes_again() {
        let kinds = [Kind::KillWorker, Kind::RollingRestart, Kind::KillBroker];
        let names: Vec<String> = Plan::new(1, kinds.to_vec()).take(9).map(|step| step.fault.name()).collect();
        for three in names.chunks(3) {
            let mut three = three.to_vec();
            three.sort();
            assert_eq!(three, ["kill -9 a broker", "kill -9 a worker", "rolling restart"]);
        }
        assert!(Plan::new(1, vec![]).next().is_none());
    }

    #[test]
    fn kinds_are_named_alone_by_group_or_all() {
        assert_eq!(Kind::parse_list("all"), Ok(Kind::all()));
        assert_eq!(
            Kind::parse_list("brokers, kill-worker,kill-worker"),
            Ok(vec![Kind::KillWorker, Kind::KillBroker, Kind::StopBroker, Kind::MoveCoordinator])
        );
        let error = Kind::parse_list("kill").unwrap_err();
        assert!(
            error.starts_with("there is no fault `kill`; there are all, workers, brokers, kill-worker"),
            "{error}"
        );
        assert!(Kind::parse_list("").is_err());
    }
}
