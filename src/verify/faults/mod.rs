//! Breaks things, one file for what is broken: begins, lasts, and is mended. Must not know what is asked or judged.

mod brokers;
mod network;
mod topics;
mod workers;

use super::{
    plan::Fault,
    proxy::{Api, Effect, KAFKA_STORAGE_ERROR},
    world::World,
};

/// Breaks something, and mends it. Returns what was hit, in words.
///
/// # Errors
/// It could not be mended: the run cannot go on.
pub fn inject(world: &mut World, fault: &Fault) -> Result<String, String> {
    match *fault {
        Fault::KillWorker { who, pause } => workers::kill(world, who, pause),
        Fault::TerminateWorker { who } => workers::terminate(world, who),
        Fault::StopWorkers { who, both, lasts } => workers::stop(world, who, both, lasts),
        Fault::MoreWorkers { lasts } => workers::more(world, lasts),
        Fault::FewerWorkers { who, lasts } => workers::fewer(world, who, lasts),
        Fault::RollingRestart => workers::roll(world),
        Fault::KillBroker { who, pause } => brokers::kill(world, who, pause),
        Fault::StopBroker { who, lasts } => brokers::stop(world, who, lasts),
        Fault::MoveCoordinator { pause } => brokers::move_coordinator(world, pause),
        Fault::CutAll => network::cut_all(world),
        Fault::Cut { api, after, lasts } => network::cut(world, api, after, lasts),
        Fault::Hold { api, held, late } => network::hold(world, api, held, late),
        Fault::Slow { api, by, lasts } => network::disturb(world, api, Effect::Slow(by), lasts),
        Fault::HalfOpen { api, lasts } => network::disturb(world, api, Effect::HalfOpen, lasts),
        Fault::FullDisk { lasts } => {
            network::disturb(world, Api::Produce, Effect::Refuse(KAFKA_STORAGE_ERROR), lasts)
        }
        Fault::Credentials { lasts } => network::refuse_credentials(world, lasts),
        Fault::AddPartitions { requests } => topics::grow(world, requests),
        Fault::TooLarge { limit, lasts } => topics::shrink_records(world, limit, lasts),
        Fault::OffsetsGone { who, pause } => topics::forget(world, who, pause),
        Fault::TopicAgain => topics::make_again(world),
    }
}
