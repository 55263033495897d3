//! What the kernel's thresholds should be on this machine, and whether `cost` is right within a factor of two.
//!
//! `cargo run --release --manifest-path benches/tune/Cargo.toml`, with nothing else running; or with `-- transform leaf` for those
//! alone, or `-- cost`, which fails where the cost is wrong.

mod cost;
#[path = "../../../src/factorial/mod.rs"]
#[allow(dead_code, unused_imports)]
mod factorial;

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use factorial::{Factorials, factorial_decimal, thresholds};

/// What a threshold is measured with.
struct Trial {
    name: &'static str,
    candidates: &'static [usize],
    threads: usize,
    work: Work,
}

enum Work {
    /// n! for those n, each of the same weight.
    Factorials(&'static [u32]),
    /// Those n from checkpoints that are there.
    Stream(&'static [u32]),
}

const TRIALS: &[Trial] = &[
    Trial {
        name: "small",
        candidates: &[600, 800, 1_000, 1_200, 1_400, 1_600, 1_800, 2_000, 2_400],
        threads: 1,
        work: Work::Factorials(&[700, 900, 1_100, 1_300, 1_500, 1_700, 1_900, 2_100, 2_300]),
    },
    Trial {
        name: "leaf",
        candidates: &[48, 64, 96, 128, 160, 192, 256],
        threads: 1,
        work: Work::Factorials(&[3_000, 5_000, 10_000, 50_000, 200_000]),
    },
    Trial {
        name: "vectors",
        candidates: &[2, 3, 4, 6, 8, 10, 12, 16],
        threads: 1,
        work: Work::Factorials(&[2_000, 3_000, 4_000, 5_000, 7_000, 10_000]),
    },
    Trial {
        name: "vectors_square",
        candidates: &[2, 4, 6, 8, 12, 16, 24],
        threads: 1,
        work: Work::Factorials(&[2_000, 3_000, 4_000, 5_000, 7_000, 10_000]),
    },
    Trial {
        name: "transform",
        candidates: &[64, 96, 112, 128, 144, 160, 192, 224],
        threads: 1,
        work: Work::Factorials(&[2_000, 3_000, 4_000, 5_000, 7_000, 10_000]),
    },
    Trial {
        name: "transform_square",
        candidates: &[64, 80, 96, 112, 128, 160, 192],
        threads: 1,
        work: Work::Factorials(&[2_000, 3_000, 4_000, 5_000, 7_000, 10_000]),
    },
    Trial {
        name: "halves",
        candidates: &[32, 64, 96, 128, 192, 256, 384],
        threads: 1,
        work: Work::Factorials(&[2_000, 3_000, 4_000, 5_000, 7_000, 10_000]),
    },
    Trial {
        name: "near",
        candidates: &[32, 64, 128, 256, 512],
        threads: 1,
        work: Work::Factorials(&[10_000, 30_000, 100_000, 500_000]),
    },
    Trial {
        name: "worth",
        candidates: &[64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192],
        threads: 2,
        work: Work::Factorials(&[5_000, 10_000, 20_000, 50_000, 100_000, 500_000]),
    },
    Trial {
        name: "columns",
        candidates: &[256, 512, 1_024, 2_048, 4_096, 8_192],
        threads: 2,
        work: Work::Factorials(&[50_000, 100_000, 500_000, 1_000_000]),
    },
    // As far from the checkpoint below as can be.
    Trial {
        name: "spacing",
        candidates: &[1, 16, 32, 64, 128, 256, 512],
        threads: 1,
        work: Work::Stream(&[2_047, 5_119, 10_239, 20_223, 39_935]),
    },
];

/// Each candidate takes its turn so often, so that what else the machine does meets all of them.
const ROUNDS: usize = 25;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let [once, n] = &chosen[..]
        && once == "--peak"
    {
        cost::print_peak(n.parse().expect("N"));
        return;
    }
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    println!("threshold: now; candidates with their times in hundredths of the best one's");
    for trial in TRIALS.iter().filter(|trial| is_chosen(trial.name)) {
        let (_, threshold) =
            thresholds::ALL.iter().find(|(name, _)| *name == trial.name).expect("a threshold");
        line(trial, threshold);
    }
    if is_chosen("cost") && !cost::check() {
        std::process::exit(1);
    }
}

fn line(trial: &Trial, threshold: &AtomicUsize) {
    let now = threshold.load(Relaxed);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(trial.threads).build().expect("threads");
    let numbers = match trial.work {
        Work::Factorials(numbers) | Work::Stream(numbers) => numbers,
    };
    let mut best = vec![vec![f64::MAX; numbers.len()]; trial.candidates.len()];
    for _ in 0..ROUNDS {
        for (candidate, best) in trial.candidates.iter().zip(&mut best) {
            threshold.store(*candidate, Relaxed);
            // The bytes of all factorials up to that of 40,000, at such a distance.
            let factorials = Factorials::new(40_000, 1_780_000_000 / (*candidate).max(1) as u64);
            for (n, best) in numbers.iter().zip(best) {
                let once = || match trial.work {
                    Work::Factorials(_) => drop(black_box(factorial_decimal(*n))),
                    Work::Stream(_) => drop(black_box(factorials.get(*n).to_string())),
                };
                *best = best.min(pool.install(|| time(once)));
            }
        }
    }
    threshold.store(now, Relaxed);
    // The mean of what each n takes, relative to its best.
    let mean = |times: &[f64]| {
        let relative = times
            .iter()
            .enumerate()
            .map(|(k, time)| time / best.iter().map(|times| times[k]).fold(f64::MAX, f64::min));
        100.0 * relative.sum::<f64>() / times.len() as f64
    };
    let means: Vec<f64> = best.iter().map(|times| mean(times)).collect();
    let least = means.iter().copied().fold(f64::MAX, f64::min);
    let columns: Vec<String> = trial
        .candidates
        .iter()
        .zip(&means)
        .map(|(candidate, mean)| format!("{candidate} {:.0}", 100.0 * mean / least))
        .collect();
    println!("{}: {now}; {}", trial.name, columns.join(", "));
}

/// Seconds of one call, the first of which is not counted; what is short is measured by the hundred.
fn time(once: impl Fn()) -> f64 {
    let start = Instant::now();
    once();
    let calls = if start.elapsed().as_micros() < 20 { 100 } else { 1 };
    let start = Instant::now();
    (0..calls).for_each(|_| once());
    start.elapsed().as_secs_f64() / f64::from(calls)
}
