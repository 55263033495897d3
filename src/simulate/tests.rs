use std::time::Duration;

use super::{Options, Report, history::play, script::Script, search::simulate, shrink::promise, told};
use crate::{
    config::{Guarantee, Order},
    plant::{Fault, plant},
};

fn search(seed: u64, histories: u64) -> Report {
    simulate(Options { histories, seed, threads: 2 }, &|_| {})
}

#[test]
fn thousands_of_histories_break_no_promise() {
    let report = search(1_000_000, 3_000);
    if let Some(found) = report.found {
        panic!("seed {}: {}", found.seed, found.shortest.join("\n"));
    }
    assert_eq!(report.histories, 3_000);
    assert!(report.lived > Duration::from_secs(3_600) && report.steps > 1_000_000, "{report:?}");
}

#[test]
fn both_guarantees_and_all_orders_have_their_histories() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        for order in [Order::Partition, Order::Key, Order::None] {
            let of =
                |seed: &u64| (Script::new(*seed).guarantee, Script::new(*seed).order) == (guarantee, order);
            let histories = (1_000_000..1_000_500).filter(of).count();
            assert!(histories > 30, "{guarantee:?}, {order:?}: {histories}");
        }
    }
}

#[test]
fn a_seed_leads_to_the_same_history_each_time() {
    for seed in 0..100 {
        let script = Script::new(seed);
        let [first, second] = [(); 2].map(|()| told::keeping(|| play(&script, true)));
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!((first.took, first.steps), (second.took, second.steps), "seed {seed}");
    }
}

/// Whether a fault that is planted is found within so many histories, and which promise it breaks.
fn found(fault: Fault, histories: u64) -> Option<String> {
    plant(Some(fault));
    let report = search(0, histories);
    plant(None);
    let found = report.found?;
    assert!(found.shortest.len() > 4, "{found:?}");
    Some(promise(&found.violation).to_owned())
}

#[test]
fn each_planted_fault_is_found() {
    let all = Fault::ALL.map(|fault| (fault, found(fault, 10_000)));
    let unseen: Vec<_> = all.iter().filter(|(_, found)| found.is_none()).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}
