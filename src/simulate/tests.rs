use std::time::Duration;

use super::{
    history::play,
    log_lines,
    script::Script,
    search::{Options, Report, explain, simulate},
};
use crate::{
    engine::{Guarantee, Order},
    plant::{Fault, plant},
};

fn search(seed: u64, histories: u64) -> Report {
    simulate(Options { histories, seed, threads: 2 }, &|_| {})
}

#[test]
fn thousands_of_histories_break_no_promise() {
    let report = search(1_000_000, 3_000);
    if let Some(seed) = report.found {
        panic!("seed {seed}: {}", explain(seed).shortest.join("\n"));
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
        let [first, second] = [(); 2].map(|()| log_lines::keeping(|| play(&script, true)));
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!((first.took, first.steps), (second.took, second.steps), "seed {seed}");
    }
}

#[test]
fn each_planted_fault_is_found() {
    let found = Fault::ALL.map(|fault| {
        plant(Some(fault));
        let found = search(0, 10_000).found;
        plant(None);
        (fault, found)
    });
    assert!(found.iter().all(|(_, found)| found.is_some()), "{found:?}");
}

#[test]
fn what_is_found_is_explained_and_made_short() {
    plant(Some(Fault::DeadLetterDropped));
    let seed = search(0, 1_000).found.unwrap();
    let found = explain(seed);
    plant(None);
    assert!(found.violation.starts_with("lost: "), "{}", found.violation);
    assert!(found.shortest.len() < 40, "{found:?}");
    assert!(found.shortest.iter().any(|line| line.ends_with(": bad")), "{found:?}");
}
