//! One fault, with its times.

use std::{fmt, time::Duration};

use crate::verify::proxy::{Api, Effect};

/// A fault, with its random parameters. `who` is a random number; the target is that number modulo how many
/// there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// See [`FaultKind`]; `pause` is how long it is not replaced.
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
    /// All connections, once.
    CutAll,
    /// What a proxy does to each request of that kind; a worker may be killed meanwhile.
    Disturb {
        api: Api,
        effect: Effect,
        lasts: Duration,
        kills: Option<usize>,
    },
    /// `held` is how long until its connection is cut, `late` how long from then until the broker gets it.
    Hold {
        api: Api,
        held: Duration,
        late: Duration,
    },
    Credentials {
        lasts: Duration,
    },
    /// `requests`: to the request topic, otherwise to the result topic.
    AddPartitions {
        requests: bool,
    },
    /// The largest record that the result topic takes, in bytes.
    TooLarge {
        limit: u64,
        lasts: Duration,
    },
    OffsetsGone {
        who: usize,
        pause: Duration,
    },
    TopicAgain,
    /// `by` is in seconds, and may be negative.
    ClockJump {
        by: i64,
        lasts: Duration,
    },
}

impl Fault {
    /// Its name in tables: faults of one name are counted together.
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
            Fault::CutAll => "all connections cut".to_owned(),
            Fault::Disturb { api, effect, kills, .. } => {
                let what = match effect {
                    Effect::CutBefore => format!("connections cut before {api}"),
                    Effect::CutAfter => format!("connections cut after {api}"),
                    Effect::Slow(_) => format!("{api} slow"),
                    Effect::HalfOpen => format!("half-open at {api}"),
                    Effect::Refuse(_) => "disk full".to_owned(),
                };
                if kills.is_some() { format!("{what}, and kill -9 a worker") } else { what }
            }
            Fault::Hold { api, .. } => format!("{api} late"),
            Fault::Credentials { .. } => "credentials refused".to_owned(),
            Fault::AddPartitions { requests: true } => "one partition of requests more".to_owned(),
            Fault::AddPartitions { requests: false } => "one partition of results more".to_owned(),
            Fault::TooLarge { .. } => "results too large".to_owned(),
            Fault::OffsetsGone { .. } => "committed offsets not retained".to_owned(),
            Fault::TopicAgain => "topic made again".to_owned(),
            Fault::ClockJump { by: ..0, .. } => "clock jumps back".to_owned(),
            Fault::ClockJump { .. } => "clock jumps forwards".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::as_secs_f64;
        f.write_str(&self.name())?;
        match self {
            Fault::KillWorker { pause, .. }
            | Fault::KillBroker { pause, .. }
            | Fault::MoveCoordinator { pause } => write!(f, ", started again after {:.1} s", seconds(pause)),
            Fault::Hold { held, late, .. } => {
                write!(f, ": cut after {:.1} s, let go after {:.1} s more", seconds(held), seconds(late))
            }
            Fault::Disturb { effect: Effect::Slow(by), lasts, .. } => {
                write!(f, " by {:.1} s for {:.1} s", seconds(by), seconds(lasts))
            }
            Fault::TooLarge { limit, lasts } => {
                write!(f, " for {limit} bytes for {:.1} s", seconds(lasts))
            }
            Fault::ClockJump { by, lasts } => {
                write!(f, " by {} s for {:.1} s", by.abs(), seconds(lasts))
            }
            Fault::OffsetsGone { pause, .. } => write!(f, ", {:.1} s without workers", seconds(pause)),
            Fault::StopWorkers { lasts, .. }
            | Fault::MoreWorkers { lasts }
            | Fault::FewerWorkers { lasts, .. }
            | Fault::StopBroker { lasts, .. }
            | Fault::Disturb { lasts, .. }
            | Fault::Credentials { lasts } => write!(f, " for {:.1} s", seconds(lasts)),
            Fault::TerminateWorker { .. }
            | Fault::RollingRestart
            | Fault::CutAll
            | Fault::AddPartitions { .. }
            | Fault::TopicAgain => Ok(()),
        }
    }
}
