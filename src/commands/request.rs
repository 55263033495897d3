use std::{
    collections::HashMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    stdout,
};
use crate::{
    config::Pipeline,
    format::Format,
    gateway::{Answer, Asked, Waiter},
    kafka::{Admin, RequestEvent, RequestTopics, Requests, settings},
};

/// Ask for factorials and wait for the answers
///
/// Standard output has the results alone, one a line; where each request went and how long it took is on
/// standard error.
///
/// A result that was already on its way for the same n is an answer too.
#[derive(Args, Debug)]
pub struct Request {
    /// What to ask for
    #[arg(value_name = "N", required_unless_present = "random")]
    numbers: Vec<u64>,
    /// Ask for random numbers in this range, such as 2000..10000 (both ends included)
    #[arg(long, value_name = "MIN..MAX", value_parser = parse_range, conflicts_with = "numbers")]
    random: Option<RangeInclusive<u64>>,
    /// How many random numbers
    #[arg(long, value_name = "K", default_value_t = 1, requires = "random")]
    count: usize,
    /// Only produce: print where each request went, and do not wait for its result
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for each result
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The pipeline that answers
    #[arg(long, value_name = "FILE", default_value = "factorial.toml")]
    pipeline: String,
}

fn parse_range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let parse = |number: &str| number.trim().replace('_', "").parse::<u64>().ok();
    let (low, high) = text.split_once("..").ok_or("expected MIN..MAX, such as 2000..10000")?;
    match (parse(low), parse(high)) {
        (Some(low), Some(high)) if low <= high => Ok(low..=high),
        _ => Err("expected two whole numbers, the smaller one first, such as 2000..10000".to_owned()),
    }
}

impl Request {
    /// Asks, and prints what comes.
    ///
    /// # Errors
    /// No broker, or a request without a result.
    pub fn run(self, overrides: &Overrides) -> Result<(), Failure> {
        let pipeline = load_pipeline(&self.pipeline, overrides)?;
        prepare(&pipeline)?;
        let topics = RequestTopics {
            requests: pipeline.source.topic.topic.clone(),
            results: pipeline.sink.topic.topic.clone(),
            dead_letters: pipeline.dead_letters.clone(),
        };
        let requests =
            Requests::new(&settings::common(&pipeline), topics, !self.no_wait).map_err(Failure::failed)?;
        let numbers = match &self.random {
            Some(range) => (0..self.count).map(|_| fastrand::u64(range.clone())).collect(),
            None => self.numbers.clone(),
        };
        let mut asking = Asking {
            input: pipeline.source.format,
            output: pipeline.sink.format,
            requests,
            waiter: Waiter::default(),
            numbers: HashMap::new(),
            failures: 0,
        };
        asking.ask(&numbers, self.no_wait, self.timeout)?;
        match asking.failures {
            0 => Ok(()),
            failures => {
                Err(Failure::Failed(format!("{failures} of {} requests got no result", numbers.len())))
            }
        }
    }
}

/// Sees to the topics, so that whoever asks first need not wait for a worker to do it.
fn prepare(pipeline: &Pipeline) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let admin = Admin::new(&settings::common(pipeline)).map_err(Failure::failed)?;
    runtime.block_on(admin.ensure_topics(pipeline)).map_err(Failure::failed)?;
    Ok(())
}

struct Asking {
    input: Format,
    output: Format,
    requests: Requests,
    waiter: Waiter,
    /// What was asked for.
    numbers: HashMap<usize, u64>,
    failures: usize,
}

impl Asking {
    fn ask(&mut self, numbers: &[u64], no_wait: bool, timeout: Duration) -> Result<(), Failure> {
        for n in numbers {
            let asked = self.waiter.wait_for(*n, Instant::now());
            self.numbers.insert(asked.0, *n);
            self.requests.send(asked.0, &self.input.encode_request(*n)).map_err(Failure::failed)?;
        }
        let mut open = numbers.len();
        while open > 0 {
            if let Some(event) = self.requests.next().map_err(Failure::failed)? {
                open -= self.event(event, no_wait)?;
            }
            let reason = format!(
                "no result within {}: is a worker running? (pipeline run factorial.toml)",
                humantime::format_duration(timeout)
            );
            for answer in self.waiter.expire(timeout, &reason, Instant::now()) {
                self.print(&answer)?;
                open -= 1;
            }
        }
        Ok(())
    }

    /// Returns how many requests it has ended.
    fn event(&mut self, event: RequestEvent, no_wait: bool) -> Result<usize, Failure> {
        match event {
            RequestEvent::Acknowledged { request, place: Ok((partition, offset)), at } => {
                let line = format!("partition {partition}, offset {offset}");
                self.waiter.acknowledged(Asked(request), partition, offset, at);
                if no_wait {
                    stdout(&format!("{line}\n"))?;
                    return Ok(1);
                }
                eprintln!("{line}");
                Ok(0)
            }
            RequestEvent::Acknowledged { place: Err(reason), .. } => {
                Err(Failure::Failed(format!("a request could not be produced: {reason}")))
            }
            RequestEvent::Result(value) => {
                // Results in another format than the file says are somebody else's.
                let Ok((n, digits)) = self.output.decode_result(&value) else { return Ok(0) };
                let answers = self.waiter.result(n, &digits, Instant::now());
                answers.iter().try_for_each(|answer| self.print(answer))?;
                Ok(answers.len())
            }
            RequestEvent::DeadLetter { partition, offset, reason } => {
                match self.waiter.dead_letter(partition, offset, &reason, Instant::now()) {
                    Some(answer) => self.print(&answer).map(|()| 1),
                    None => Ok(0),
                }
            }
        }
    }

    fn print(&mut self, answer: &Answer) -> Result<(), Failure> {
        let n = self.numbers.get(&answer.asked.0).copied().unwrap_or_default();
        match &answer.result {
            Ok(digits) => {
                stdout(&format!("{n};{digits}\n"))?;
                let acknowledged = answer.acknowledged.map_or_else(
                    || "produce not acknowledged yet".to_owned(),
                    |time| format!("produce ack {} ms", time.as_millis()),
                );
                eprintln!("{acknowledged} · total {} ms", answer.total.as_millis());
            }
            Err(reason) => {
                self.failures += 1;
                eprintln!("{n}: {reason}");
            }
        }
        Ok(())
    }
}
