//! `pipeline verify --simulate`.

use std::{thread, time::Instant};

use clap::Args;
use indicatif::HumanCount;

use super::{Failure, stdout};
use crate::{
    simulate::{Options, Report, explain, simulate},
    telemetry::status_line,
};

/// Options of `verify` for the simulation.
#[derive(Args, Debug)]
pub struct Simulation {
    /// Run the engine against a simulated Kafka instead, in virtual time: thousands of histories a minute,
    /// each determined by its seed; the first that breaks a promise is shortened and shown
    #[arg(long)]
    pub simulate: bool,
    /// How many histories to simulate
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, requires = "simulate")]
    histories: u64,
}

impl Simulation {
    /// Runs histories, from that seed on.
    ///
    /// # Errors
    /// A history that broke a promise.
    pub fn run(&self, seed: Option<u64>) -> Result<(), Failure> {
        let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (began, histories) = (Instant::now(), self.histories);
        let report = simulate(Options { histories, seed, threads }, &|done| {
            if let Some(line) = status_line() {
                let rate = done as f64 / began.elapsed().as_secs_f64() * 60.0;
                let (done, of, rate) = (HumanCount(done), HumanCount(histories), HumanCount(rate as u64));
                line.set_message(format!("{done} of {of} histories · {rate} a minute"));
            }
        });
        if let Some(line) = status_line() {
            line.finish_and_clear();
        }
        stdout(&summary(&report, seed))?;
        match report.found {
            None => Ok(()),
            Some(seed) => Err(Failure::Failed(format!(
                "seed {seed} breaks a promise; again: pipeline verify --simulate --histories 1 --seed {seed}"
            ))),
        }
    }
}

fn summary(report: &Report, seed: u64) -> String {
    let minutes = report.took.as_secs_f64() / 60.0;
    let mut text = format!(
        "{} histories from seed {seed} on, {:.0} hours of their own time, in {:.1?}: {} a minute\n",
        HumanCount(report.histories),
        report.lived.as_secs_f64() / 3_600.0,
        report.took,
        HumanCount((report.histories as f64 / minutes) as u64),
    );
    match &report.found {
        None => text.push_str("no promise was broken\n"),
        Some(seed) => {
            text.push_str(&format!("\nseed {seed}, made as short as possible:\n"));
            explain(*seed).shortest.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text
}
