//! Whether the cost formulas are right within a factor of two.

use std::{hint::black_box, process::Command, time::Instant};

use super::factorial::{Cost, Factorials, cost, factorial_decimal};

const NUMBERS: [u32; 18] =
    [1, 20, 50, 100, 200, 300, 500, 1_000, 1_800, 1_801, 3_000, 10_000, 40_000, 100_000, 300_000, 1_000_000, 5_000_000, 20_000_000];

/// Prints each cost beside what was measured.
pub fn check() -> bool {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut right = true;
    println!("| n | nanoseconds | formula | bytes | formula |\n|---|---|---|---|---|");
    for n in NUMBERS {
        let Cost { nanos, bytes } = cost(n);
        let measured = one.install(|| best(n, || drop(black_box(factorial_decimal(n)))));
        // Below, it is lost among what any process has.
        let peak = (n >= 100_000).then(|| peak(n));
        right &= is_near(measured, nanos) && peak.is_none_or(|peak| is_near(peak as f64, bytes));
        println!(
            "| {n} | {measured:.0} | {nanos} | {} | {bytes} |",
            peak.map_or("-".to_owned(), |peak| peak.to_string())
        );
    }
    let factorials = Factorials::new(40_000, 128 << 20);
    println!("| n, from a checkpoint | nanoseconds | formula |\n|---|---|---|");
    for n in [10, 107, 1_007, 5_007, 10_007, 20_007, 39_999] {
        let mut text = Vec::new();
        let mut once = || {
            text.clear();
            factorials.get(n).write(&mut text);
        };
        once();
        let (measured, nanos) = (one.install(|| best(0, &mut once)), factorials.cost(n).nanos);
        right &= is_near(measured, nanos);
        println!("| {n} | {measured:.0} | {nanos} |");
    }
    if !right {
        eprintln!("a cost is wrong by more than a factor of two");
    }
    right
}

fn is_near(measured: f64, formula: u64) -> bool {
    (0.5..=2.0).contains(&(formula as f64 / measured))
}

/// The best time in nanoseconds.
fn best(n: u32, mut once: impl FnMut()) -> f64 {
    let calls = if n < 1_000 { 100 } else { 1 };
    let rounds = (0..if n > 1_000_000 {
        3
    } else if n > 100_000 {
        10
    } else {
        100
    }).map(|_| {
        let start = Instant::now();
        (0..calls).for_each(|_| once());
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    });
    rounds.fold(f64::MAX, f64::min)
}

/// The bytes that n! takes in a process of its own, beyond those of a small one.
fn peak(n: u32) -> u64 {
    let of = |n: u32| -> u64 {
        let program = std::env::current_exe().expect("this program");
        let output =
            Command::new(program).args(["--peak", &n.to_string()]).output().expect("this program again");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    };
    of(n).saturating_sub(of(10))
}

/// Computes n! and prints the most bytes that the process had; Linux alone says so.
pub fn print_peak(n: u32) {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    one.install(|| drop(black_box(factorial_decimal(n))));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    println!("{}", peak.map_or(0, |kilobytes| 1_024 * kilobytes.parse::<u64>().unwrap_or(0)));
}
