//! n! to a decimal string, end to end: this kernel beside GMP, num-bigint, malachite and dashu, in one run.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, or with `-- 1000 10000` for those n alone, or
//! `-- --streams`, or `-- --transforms`. All is
//! pinned to one core, but for the line that says two threads, which `-- --threads N` prints alone. `-- --once N K` computes N! K times and prints nothing,
//! for a profiler.

#[path = "../../../src/factorial/mod.rs"]
#[allow(dead_code, unused_imports)]
mod factorial;
mod peers;
mod stream;
mod transform;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Each figure is the best of at least three, and of as many as fit this time.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The best time of one call, in seconds.
fn best<T>(mut f: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    black_box(f());
    let first = start.elapsed();
    if first > Duration::from_secs(20) {
        return first.as_secs_f64();
    }
    // What takes less than ten microseconds is measured by the hundred.
    let calls = if first < Duration::from_micros(10) { 100 } else { 1 };
    let mut best = f64::MAX;
    let mut rounds = 0;
    while rounds < 3 || start.elapsed() < PATIENCE {
        let round = Instant::now();
        for _ in 0..calls {
            black_box(f());
        }
        best = best.min(round.elapsed().as_secs_f64() / f64::from(calls));
        rounds += 1;
    }
    best
}

fn pin() {
    let pid = std::process::id().to_string();
    let pinned = std::process::Command::new("taskset").args(["-cp", "0", &pid]).output();
    if !pinned.is_ok_and(|output| output.status.success()) {
        eprintln!("not pinned: `taskset` was not found");
    }
}

fn unpin() {
    let pid = std::process::id().to_string();
    let _ = std::process::Command::new("taskset").args(["-cap", "0-1", &pid]).output();
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-5 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-2 => format!("{:.1} us", s * 1e6),
        s => format!("{:.2} ms", s * 1e3),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [once, n, count] = &arguments[..]
        && once == "--once"
    {
        let (n, count): (u32, u32) = (n.parse().expect("N"), count.parse().expect("K"));
        (0..count).for_each(|_| drop(black_box(factorial::factorial_decimal(n))));
        return;
    }
    if arguments == ["--transforms"] {
        pin();
        transform::lines(&rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"));
        return;
    }
    if arguments == ["--streams"] {
        pin();
        stream::lines(&rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"));
        return;
    }
    if let [threads, n] = &arguments[..]
        && threads == "--threads"
    {
        two_threads(n.parse().expect("N"));
        return;
    }
    let numbers: Vec<u32> = match arguments.is_empty() {
        true => vec![20, 100, 1_000, 10_000, 100_000, 1_000_000],
        false => arguments.iter().map(|n| n.parse().expect("a number")).collect(),
    };
    pin();
    println!(
        "| n | this kernel | against GMP | GMP | num-bigint | malachite | dashu |\n|---|---|---|---|---|---|---|"
    );
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for n in &numbers {
        line(&one, *n);
    }
    if arguments.is_empty() {
        transform::lines(&one);
        stream::lines(&one);
        unpin();
        two_threads(1_000_000);
    }
}

fn line(one: &rayon::ThreadPool, n: u32) {
    let expected = peers::gmp(n);
    let ours = one.install(|| {
        assert!(factorial::factorial_decimal(n) == expected, "{n}! is wrong");
        best(|| factorial::factorial_decimal(n))
    });
    let gmp = best(|| peers::gmp(n));
    let other = |f: fn(u32) -> String, largest: u32| {
        if n > largest {
            return "-".to_owned();
        }
        assert!(f(n) == expected, "a peer's {n}! is wrong");
        format!("{:.2} x", gmp / best(|| f(n)))
    };
    println!(
        "| {n} | {} | **{:.1} x** | {} | {} | {} | {} |",
        time(ours),
        gmp / ours,
        time(gmp),
        other(peers::num_bigint, 100_000),
        other(peers::malachite, 1_000_000),
        other(peers::dashu, 1_000_000),
    );
}

/// One thread and two in turn, so that what else the machine does meets both.
fn two_threads(n: u32) {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let (one, two) = (pool(1), pool(2));
    let (mut alone, mut both) = (f64::MAX, f64::MAX);
    let start = Instant::now();
    while start.elapsed() < 4 * PATIENCE {
        alone = alone.min(one.install(|| once(n)));
        both = both.min(two.install(|| once(n)));
    }
    println!("n = {n}, two threads against one: {:.2} x ({} and {})", alone / both, time(both), time(alone));
}

/// The time of one computation, in seconds.
fn once(n: u32) -> f64 {
    let start = Instant::now();
    black_box(factorial::factorial_decimal(n));
    start.elapsed().as_secs_f64()
}
