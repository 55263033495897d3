//! What a process takes, from proc(5).

use std::{fmt::Display, fs};

/// User and system time of this process, in seconds (clock ticks of 10 ms).
#[allow(dead_code, reason = "not all benches that share this file")]
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// The largest resident size of a process (its number, or "self") so far, in MiB.
pub fn peak_mib(process: impl Display) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
