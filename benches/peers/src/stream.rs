//! Random n, one after the other, from checkpoints that are there already.

use std::hint::black_box;

use super::{best, factorial::Factorials, peers, time};

/// What the operator may keep by default.
const MEMORY: u64 = 128 << 20;

pub fn lines(one: &rayon::ThreadPool) {
    for (low, high, gmps) in [(2_000, 10_000, 400), (10_000, 40_000, 100)] {
        let mut random = fastrand::Rng::with_seed(u64::from(low));
        let numbers: Vec<u32> = (0..2_000).map(|_| random.u32(low..=high)).collect();
        // GMP's time for each n is averaged over fewer, evenly spread.
        let spread: Vec<u32> = (0..gmps).map(|k| low + (high - low) * k / gmps).collect();
        let gmp = best(|| spread.iter().for_each(|n| drop(black_box(peers::gmp(*n))))) / f64::from(gmps);
        for max_n in [high, 200_000] {
            let factorials = Factorials::new(max_n, MEMORY);
            let mut text = Vec::new();
            let mut digits = 0;
            let mut once = || {
                digits = 0;
                for n in &numbers {
                    text.clear();
                    factorials.get(*n).write(&mut text);
                    digits += text.len();
                }
            };
            one.install(&mut once);
            let ours = one.install(|| best(&mut once)) / numbers.len() as f64;
            let copied = copy(digits / numbers.len());
            let each = digits as f64 / numbers.len() as f64;
            println!(
                "random n of {low} to {high}, warm, `max_n` {max_n}: {} against GMP's {}: **{:.1} x**, {:.2} GB/s of digits, {:.0} % of memcpy",
                time(ours),
                time(gmp),
                gmp / ours,
                each / ours / 1e9,
                100.0 * copied / ours,
            );
        }
    }
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
