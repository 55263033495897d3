//! Random n, one after the other, from checkpoints that are there already.

use std::{hint::black_box, time::Instant};

use super::{best, factorial::Factorials, peers, time};

/// What the operator may keep by default.
const MEMORY: u64 = 128 << 20;

pub fn lines(one: &rayon::ThreadPool) {
    for (low, high, gmps) in [(2_000, 10_000, 400), (10_000, 40_000, 100)] {
        let mut random = fastrand::Rng::with_seed(u64::from(low));
        let numbers: Vec<u32> = (0..2_000).map(|_| random.u32(low..=high)).collect();
        // GMP's time is averaged over fewer, evenly spread.
        let spread: Vec<u32> = (0..gmps).map(|k| low + (high - low) * k / gmps).collect();
        let gmp = mean_of_best(&spread, |n| drop(black_box(peers::gmp(n))));
        for max_n in [high, 200_000] {
            let factorials = Factorials::new(max_n, MEMORY);
            let mut text = Vec::new();
            let mut digits = 0;
            let mut once = |n: u32| {
                text.clear();
                factorials.get(n).write(&mut text);
                digits += text.len();
            };
            numbers.iter().for_each(|n| once(*n));
            let ours = one.install(|| mean_of_best(&numbers, &mut once));
            let digits = digits / numbers.len() / (ROUNDS + 1);
            let copied = copy(digits);
            println!(
                "random n of {low} to {high}, warm, `max_n` {max_n}: {} against GMP's {}: **{:.1} x**, {:.2} GB/s of digits, {:.0} % of memcpy",
                time(ours),
                time(gmp),
                gmp / ours,
                digits as f64 / ours / 1e9,
                100.0 * copied / ours,
            );
        }
    }
}

/// How often each n is computed.
const ROUNDS: usize = 7;

/// The mean over the numbers of each one's best time: what else the machine does meanwhile does not count.
fn mean_of_best(numbers: &[u32], mut once: impl FnMut(u32)) -> f64 {
    let mut best = vec![f64::MAX; numbers.len()];
    for _ in 0..ROUNDS {
        for (n, best) in numbers.iter().zip(&mut best) {
            let start = Instant::now();
            once(*n);
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    best.iter().sum::<f64>() / numbers.len() as f64
}

/// The time to copy so many bytes.
fn copy(bytes: usize) -> f64 {
    let from = vec![b'7'; bytes];
    let mut to = vec![0; bytes];
    best(|| {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    })
}
