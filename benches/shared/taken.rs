//! What a contender took, from wait4(2).

use std::{
    fmt,
    process::{Command, Stdio},
    time::Instant,
};

#[derive(Clone)]
pub struct Taken {
    /// Records a second.
    rate: f64,
    /// CPU time of a record, in microseconds.
    cpu: f64,
    /// The most that it held at once, in MiB.
    resident: i64,
    /// Rate and CPU time once it is warm, where the contender says so.
    warm: Option<(f64, f64)>,
}

/// Runs a contender to its end. What it prints on standard output are its rate and CPU time once it was warm.
pub fn measure(command: &mut Command, records: u64) -> Taken {
    let start = Instant::now();
    #[expect(clippy::zombie_processes, reason = "wait4 below waits for it")]
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let said = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    let mut status = 0;
    // SAFETY: it is a child of ours that nobody has waited for, and both are places to write to.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    assert!(waited > 0 && status == 0, "{command:?} failed");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    Taken {
        rate: records as f64 / start.elapsed().as_secs_f64(),
        cpu: (seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e6 / records as f64,
        // Linux counts KiB.
        resident: usage.ru_maxrss / 1024,
        warm: if let [rate, cpu] = numbers[..] { Some((rate, cpu)) } else { None },
    }
}

impl Taken {
    /// The round with the median CPU time.
    #[allow(dead_code, reason = "not all benches that share this file")]
    pub fn median(rounds: &mut [Taken]) -> &Taken {
        rounds.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
        &rounds[rounds.len() / 2]
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.0} records/s {:>6.2} us CPU a record {:>5} MiB", self.rate, self.cpu, self.resident)?;
        if let Some((rate, cpu)) = self.warm {
            write!(f, "  (warm: {rate:.0} records/s {cpu:.2} us)")?;
        }
        Ok(())
    }
}
