//! The faults, a file for each thing that breaks: each begins, lasts, and is repaired.
//!
//! Must not know: judge, requests.

mod brokers;
mod network;
mod topics;
mod workers;

use super::{plan::Fault, world::World};

/// Injects a fault, and repairs it. Returns what was hit, in words.
///
/// # Errors
/// Why the fault could not happen or be repaired.
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
        Fault::Disturb { api, effect, lasts, kills } => network::disturb(world, api, effect, lasts, kills),
        Fault::Hold { api, held, late } => network::hold(world, api, held, late),
        Fault::Credentials { lasts } => network::refuse_credentials(world, lasts),
        Fault::AddPartitions { requests } => topics::grow(world, requests),
        Fault::TooLarge { limit, lasts } => topics::shrink_records(world, limit, lasts),
        Fault::OffsetsGone { who, pause } => topics::forget(world, who, pause),
        Fault::TopicAgain => topics::make_again(world),
        Fault::ClockJump { by, lasts } => workers::jump(world, by, lasts),
    }
}
