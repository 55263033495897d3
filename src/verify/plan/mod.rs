//! Which faults happen in which order; the same seed makes the same plan.

mod fault;
mod kind;

use std::time::Duration;

use fastrand::Rng;

use super::proxy::{Api, Effect, KAFKA_STORAGE_ERROR};
use crate::config::Guarantee;

pub use fault::Fault;
pub use kind::FaultKind;

/// A fault, and the pause since the end of the one before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The pause, in which nothing is broken.
    pub pause: Duration,
    /// The fault.
    pub fault: Fault,
}

/// The faults of a run, an endless iterator: each kind once in a random order, then all again in another.
pub struct Plan {
    rng: Rng,
    kinds: Vec<FaultKind>,
    /// The kinds of requests that network faults act on.
    apis: &'static [Api],
    deck: Vec<FaultKind>,
}

const AT_LEAST_ONCE: &[Api] = &[Api::Produce, Api::OffsetCommit, Api::JoinGroup, Api::Fetch];
const EXACTLY_ONCE: &[Api] =
    &[Api::EndTxn, Api::Produce, Api::TxnOffsetCommit, Api::AddPartitionsToTxn, Api::JoinGroup, Api::Fetch];

impl Plan {
    /// Makes the plan of that seed for these kinds.
    pub fn new(seed: u64, kinds: Vec<FaultKind>, guarantee: Guarantee) -> Plan {
        let apis = match guarantee {
            Guarantee::AtLeastOnce => AT_LEAST_ONCE,
            Guarantee::ExactlyOnce => EXACTLY_ONCE,
        };
        Plan { rng: Rng::with_seed(seed), kinds, apis, deck: Vec::new() }
    }

    fn between(&mut self, least: f64, most: f64) -> Duration {
        // In tenths of a second, so that the output shows the exact time.
        let tenths = self.rng.u64((least * 10.0) as u64..=(most * 10.0) as u64);
        Duration::from_millis(tenths * 100)
    }

    /// In half of the cases a worker is killed meanwhile: requests in flight at that time may get lost.
    fn disturb(&mut self, api: Api, effect: Effect, least: f64, most: f64) -> Fault {
        let kills = self.rng.bool().then(|| self.rng.usize(..12));
        Fault::Disturb { api, effect, lasts: self.between(least, most), kills }
    }

    fn fault(&mut self, kind: FaultKind) -> Option<Fault> {
        let who = self.rng.usize(..12);
        let api = self.apis[self.rng.usize(..self.apis.len())];
        Some(match kind {
            FaultKind::KillWorker => Fault::KillWorker { who, pause: self.between(0.0, 4.0) },
            FaultKind::TerminateWorker => Fault::TerminateWorker { who },
            FaultKind::StopWorkers => {
                Fault::StopWorkers { who, both: self.rng.bool(), lasts: self.between(3.0, 14.0) }
            }
            FaultKind::MoreWorkers => Fault::MoreWorkers { lasts: self.between(4.0, 10.0) },
            FaultKind::FewerWorkers => Fault::FewerWorkers { who, lasts: self.between(4.0, 10.0) },
            FaultKind::RollingRestart => Fault::RollingRestart,
            FaultKind::KillBroker => Fault::KillBroker { who, pause: self.between(0.0, 4.0) },
            FaultKind::StopBroker => Fault::StopBroker { who, lasts: self.between(2.0, 12.0) },
            FaultKind::MoveCoordinator => Fault::MoveCoordinator { pause: self.between(0.0, 4.0) },
            FaultKind::Cut if self.rng.u32(..4) == 0 => Fault::CutAll,
            FaultKind::Cut => {
                let effect = if self.rng.bool() { Effect::CutAfter } else { Effect::CutBefore };
                self.disturb(api, effect, 0.5, 4.0)
            }
            FaultKind::Slow => {
                let by = self.between(0.2, 2.0);
                self.disturb(api, Effect::Slow(by), 3.0, 8.0)
            }
            FaultKind::HalfOpen => self.disturb(api, Effect::HalfOpen, 2.0, 10.0),
            FaultKind::FullDisk => self.disturb(Api::Produce, Effect::Refuse(KAFKA_STORAGE_ERROR), 1.0, 6.0),
            FaultKind::Hold => {
                Fault::Hold { api, held: self.between(0.0, 4.0), late: self.between(0.0, 3.0) }
            }
            FaultKind::Credentials => Fault::Credentials { lasts: self.between(1.0, 6.0) },
            FaultKind::AddPartitions => Fault::AddPartitions { requests: self.rng.bool() },
            FaultKind::TooLarge => {
                Fault::TooLarge { limit: self.rng.u64(800..3_000), lasts: self.between(2.0, 6.0) }
            }
            FaultKind::OffsetsGone => Fault::OffsetsGone { who, pause: self.between(1.0, 3.0) },
            FaultKind::TopicAgain => Fault::TopicAgain,
            FaultKind::ClockJump => {
                let by = self.rng.i64(60..10_000);
                let by = if self.rng.bool() { by } else { -by };
                Fault::ClockJump { by, lasts: self.between(3.0, 8.0) }
            }
        })
    }
}

impl Iterator for Plan {
    type Item = Step;

    /// `None` if there are no kinds that can happen.
    fn next(&mut self) -> Option<Step> {
        if self.deck.is_empty() {
            self.deck = self.kinds.clone();
            self.rng.shuffle(&mut self.deck);
        }
        let kind = self.deck.pop()?;
        // One in four comes right after the one before, while everything is still recovering.
        let pause = if self.rng.u32(..4) == 0 { Duration::ZERO } else { self.between(1.0, 6.0) };
        Some(Step { pause, fault: self.fault(kind)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Vec<Step> {
        let mut kinds = FaultKind::all();
        kinds.retain(|kind| kind.unavailable(true).is_none());
        Plan::new(seed, kinds, Guarantee::ExactlyOnce).take(100).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_sequence_and_another_another() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_comes_before_one_comes_again() {
        let kinds = [FaultKind::KillWorker, FaultKind::RollingRestart, FaultKind::KillBroker];
        let names: Vec<String> = Plan::new(1, kinds.to_vec(), Guarantee::AtLeastOnce)
            .take(9)
            .map(|step| step.fault.name())
            .collect();
        for three in names.chunks(3) {
            let mut three = three.to_vec();
            three.sort();
            assert_eq!(three, ["kill -9 a broker", "kill -9 a worker", "rolling restart"]);
        }
        assert!(Plan::new(1, vec![], Guarantee::AtLeastOnce).next().is_none());
    }

    #[test]
    fn kinds_are_named_alone_by_group_or_all() {
        assert_eq!(FaultKind::parse_list("all"), Ok(FaultKind::all()));
        assert_eq!(
            FaultKind::parse_list("brokers, kill-worker,kill-worker"),
            Ok(vec![
                FaultKind::KillWorker,
                FaultKind::KillBroker,
                FaultKind::StopBroker,
                FaultKind::MoveCoordinator
            ])
        );
        let error = FaultKind::parse_list("kill").unwrap_err();
        assert!(
            error.starts_with("there is no fault `kill`; there are all, workers, brokers, network, topics, clock, kill-worker"),
            "{error}"
        );
        assert!(FaultKind::parse_list("").is_err());
    }
}
