//! Shortens a history that breaks a promise, as long as it still breaks the same one.

use super::{
    history::play,
    script::{Fault, Script},
};

/// The most histories that are tried.
const TRIES: u32 = 4_000;
/// How many seeds a smaller script is run with: its own one leads to another history.
const SEEDS: u64 = 8;

/// The shortest script found that breaks the same promise as `violation`, and its violation.
pub fn shorten(script: Script, violation: String) -> (Script, String) {
    let mut best = (script, violation);
    let mut tries = TRIES;
    while tries > 0 {
        let smaller =
            candidates(&best.0).into_iter().find_map(|candidate| still(candidate, &best.1, &mut tries));
        match smaller {
            Some(smaller) => best = smaller,
            None => break,
        }
    }
    best
}

/// The script, with a seed with which it still breaks the promise.
fn still(mut script: Script, violation: &str, tries: &mut u32) -> Option<(Script, String)> {
    let first = script.seed;
    for seed in std::iter::once(first).chain((0..SEEDS).map(|number| first.wrapping_add(number + 1))) {
        *tries = tries.checked_sub(1)?;
        script.seed = seed;
        let found = play(&script, false).violation.filter(|found| promise(found) == promise(violation));
        if let Some(found) = found {
            return Some((script, found));
        }
    }
    None
}

/// The broken promise: the violation's first word.
pub fn promise(violation: &str) -> &str {
    violation.split(':').next().unwrap_or_default()
}

/// Smaller variants of the script, the smallest first.
fn candidates(script: &Script) -> Vec<Script> {
    let mut smaller = Vec::new();
    let mut add = |change: &dyn Fn(&mut Script)| {
        let mut candidate = script.clone();
        change(&mut candidate);
        smaller.push(candidate);
    };
    let mut part = script.records.len().div_ceil(2);
    while part > 0 && part < script.records.len() {
        for from in (0..script.records.len()).step_by(part) {
            let to = (from + part).min(script.records.len());
            add(&move |candidate| drop(candidate.records.drain(from..to)));
        }
        part /= 2;
    }
    for fault in 0..script.faults.len() {
        add(&move |candidate| {
            candidate.faults.remove(fault);
        });
    }
    for worker in 0..script.workers.len() {
        if script.workers.len() > 1 {
            add(&move |candidate| without_worker(candidate, worker));
        }
    }
    smaller
}

fn without_worker(script: &mut Script, gone: usize) {
    script.workers.remove(gone);
    script.faults.retain_mut(|(_, fault)| match fault {
        Fault::Crash { worker, .. }
        | Fault::Terminate { worker, .. }
        | Fault::Stop { worker, .. }
        | Fault::LateEndTxn { worker, .. }
        | Fault::LostAcknowledgement { worker, .. }
        | Fault::CommitRefused { worker }
        | Fault::DeliveryFailed { worker }
        | Fault::DeliveredAgain { worker } => {
            let stays = *worker != gone;
            *worker -= usize::from(*worker > gone);
            stays
        }
        Fault::Away { .. } | Fault::Deleted { .. } => true,
    });
}
