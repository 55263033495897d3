//! `pipeline factorial`.

use std::{
    fs,
    io::IsTerminal,
    ops::RangeInclusive,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::{
    ThreadPool, ThreadPoolBuilder,
    iter::{IntoParallelRefIterator, ParallelIterator},
};
use sha2::{Digest, Sha256};

use super::{Failure, request::parse_range, stdout};
use crate::{
    factorial::{Decimal, Factorials, MAX_N, Watch, factorial, factorial_watched, method},
    pieces::hex,
};

/// Compute factorials in this process, without Kafka
///
/// Prints the digits of N! and nothing else; with --time, one line of JSON with timings instead.
#[derive(Args, Debug)]
pub struct Factorial {
    /// The n of n!
    #[arg(value_name = "N", required_unless_present = "random", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_N)))]
    n: Option<u32>,
    /// Write the digits to a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["time", "random"])]
    output: Option<String>,
    /// The number of threads [default: one for each core]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print how long it takes, from scratch to decimal text, instead of the digits
    #[arg(long)]
    time: bool,
    /// How many times to compute it for the best and the median time
    #[arg(long, value_name = "K", default_value_t = 1, requires = "time", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Time many random n of this range (both ends included), with checkpoints computed in advance
    #[arg(long, value_name = "MIN..MAX", value_parser = parse_range, conflicts_with_all = ["n", "time"])]
    random: Option<RangeInclusive<u64>>,
    /// How many random numbers; the same ones each time
    #[arg(long, value_name = "K", default_value_t = 1_000, requires = "random", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

/// The memory for checkpoints.
const MEMORY: u64 = 128 << 20;

/// A computation that takes longer shows its progress.
const PATIENCE: Duration = Duration::from_secs(1);

impl Factorial {
    /// Computes and prints.
    ///
    /// # Errors
    /// A number above the largest, or a file that cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        let threads = self.threads.map_or(0, usize::from);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().map_err(Failure::failed)?;
        match (self.random, self.n) {
            (Some(range), _) => stdout(&format!("{}\n", time_stream(&pool, &range, self.count)?)),
            (None, Some(n)) if self.time => stdout(&format!("{}\n", time(&pool, n, self.repeat))),
            (None, Some(n)) => {
                let mut digits = compute(&pool, n).to_string();
                match self.output {
                    Some(file) => fs::write(&file, &digits)
                        .map_err(|error| Failure::Failed(format!("cannot write {file}: {error}"))),
                    None => {
                        digits.push('\n');
                        stdout(&digits)
                    }
                }
            }
            (None, None) => Ok(()), // clap requires one of the two
        }
    }
}

/// Computes n!, with a progress bar on the terminal if it takes long.
fn compute(pool: &ThreadPool, n: u32) -> Decimal<'static> {
    let watch = Watch::default();
    thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let watch = &watch;
        scope.spawn(move || {
            if std::io::stderr().is_terminal()
                && is_done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
            {
                let bar = bar();
                while is_done.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                    bar.set_position((watch.reached().0 * 1_000.0) as u64);
                }
                bar.finish_and_clear();
            }
        });
        let result = pool.install(|| factorial_watched(n, watch));
        drop(done);
        // Never cancelled.
        result.unwrap_or_else(|| factorial(0))
    })
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed} {wide_bar} {percent} %");
    ProgressBar::new(1_000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn time(pool: &ThreadPool, n: u32, repeat: u32) -> serde_json::Value {
    let mut digits = String::new();
    let mut once = || {
        let start = Instant::now();
        digits = factorial(n).to_string();
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = pool.install(|| (0..repeat).map(|_| once()).collect());
    seconds.sort_by(f64::total_cmp);
    serde_json::json!({
        "n": n,
        "digits": digits.len(),
        "best_seconds": seconds[0],
        "median_seconds": seconds[seconds.len() / 2],
        "threads": pool.current_num_threads(),
        "method": method(),
        "sha256": hex(&Sha256::digest(&digits)),
    })
}

fn time_stream(
    pool: &ThreadPool,
    range: &RangeInclusive<u64>,
    count: u32,
) -> Result<serde_json::Value, Failure> {
    let (low, high) = match (u32::try_from(*range.start()), u32::try_from(*range.end())) {
        (Ok(low), Ok(high)) if high <= MAX_N => (low, high),
        _ => return Err(Failure::Usage(format!("{} is above the largest n, which is {MAX_N}", range.end()))),
    };
    let mut random = fastrand::Rng::with_seed(u64::from(low) ^ u64::from(high) << 32);
    let numbers: Vec<u32> = (0..count).map(|_| random.u32(low..=high)).collect();
    let factorials = Factorials::new(high, MEMORY);
    let once = |n: &u32, to: &mut Vec<u8>| {
        to.clear();
        factorials.get(*n).write(to);
        to.len() as u64
    };
    let all = || pool.install(|| numbers.par_iter().map_init(Vec::new, |to, n| once(n, to)).sum::<u64>());
    all(); // computes the checkpoints in advance
    let start = Instant::now();
    let digits = all();
    let seconds = start.elapsed().as_secs_f64();
    let mut hash = Sha256::new();
    let mut to = Vec::new();
    for n in &numbers {
        once(n, &mut to);
        hash.update(&to);
    }
    Ok(serde_json::json!({
        "low": low,
        "high": high,
        "count": count,
        "digits": digits,
        "seconds": seconds,
        "results_per_second": f64::from(count) / seconds,
        "digits_per_second": digits as f64 / seconds,
        "threads": pool.current_num_threads(),
        "method": method(),
        "sha256": hex(&hash.finalize()),
    }))
}
