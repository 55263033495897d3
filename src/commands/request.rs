//! `pipeline request`.

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
    gateway::{Answer, Asked, Failure as NoResult, Question, Request as RequestNumber, Waiter},
    kafka::{Acknowledgement, Admin, RequestEvent, RequestTopics, Requests, settings},
};

/// How often requests that have waited too long are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long no result is taken for granted.
const HINT: Duration = Duration::from_secs(3);

/// Ask for factorials and wait for the answers
///
/// Standard output has the results alone, one a line; where each request went and how long it took is on
/// standard error.
///
/// A result that was already on its way for the same n is an answer too, and who asks for the same n twice
/// produces one request. A request that cannot be computed fails
/// as soon as it is in the dead-letter topic, with the reason.
#[derive(Args, Debug)]
pub struct Request {
    /// What to ask for
    #[arg(value_name = "N", required_unless_present_any = ["random", "count"], allow_negative_numbers = true)]
    numbers: Vec<u64>,
    /// Ask for random numbers in this range, such as 2000..10000 (both ends included)
    #[arg(long, value_name = "MIN..MAX", value_parser = parse_range, conflicts_with = "numbers")]
    random: Option<RangeInclusive<u64>>,
    /// How many random numbers [default: 1]
    #[arg(long, value_name = "K", conflicts_with = "numbers")]
    count: Option<usize>,
    /// Only produce: print where each request went, and do not wait for its result
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for each result
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The pipeline that answers
    #[arg(long, value_name = "FILE", default_value = "factorial.toml")]
    pipeline: String,
    #[command(flatten)]
    overrides: Overrides,
}

/// Reads `MIN..MAX`, both ends included.
pub(super) fn parse_range(text: &str) -> Result<RangeInclusive<u64>, String> {
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
    pub fn run(self) -> Result<(), Failure> {
        let numbers = self.numbers()?;
        let pipeline = load_pipeline(&self.pipeline, &self.overrides)?;
        let admin = prepare(&pipeline)?;
        let topics = RequestTopics {
            requests: pipeline.source.topic.topic.clone(),
            results: pipeline.sink.topic.topic.clone(),
            dead_letters: pipeline.dead_letters.clone(),
        };
        let config = admin.fit(&settings::common(&pipeline));
        let requests =
            Requests::new(&config, topics, self.timeout, !self.no_wait).map_err(Failure::failed)?;
        let mut asking = Asking {
            timed_out: format!(
                "no result in {} within {}: is a worker running? (pipeline run {})",
                pipeline.sink.topic.topic,
                humantime::format_duration(self.timeout),
                self.pipeline
            ),
            file: self.pipeline.clone(),
            timeout: self.timeout,
            wait: !self.no_wait,
            input: pipeline.source.format,
            output: pipeline.sink.format,
            requests,
            waiter: Waiter::sharing(),
            asked: HashMap::new(),
            hint: Some(Instant::now() + HINT),
            unacknowledged: 0,
            failures: 0,
        };
        asking.ask(&numbers)?;
        match asking.failures {
            0 => Ok(()),
            1 => Err(Failure::Failed("one request got no result".to_owned())),
            failures => Err(Failure::Failed(format!("{failures} requests got no result"))),
        }
    }
}

impl Request {
    /// What is asked for.
    fn numbers(&self) -> Result<Vec<u64>, Failure> {
        match (&self.random, self.count) {
            (Some(range), count) => {
                Ok((0..count.unwrap_or(1)).map(|_| fastrand::u64(range.clone())).collect())
            }
            (None, Some(_)) => Err(Failure::usage(
                "--count says how many random numbers: say of which range too, such as --random 2000..10000",
            )),
            (None, None) => Ok(self.numbers.clone()),
        }
    }
}

/// Sees to the topics, so that the first caller need not wait for a worker to do it. Returns who sees to them.
fn prepare(pipeline: &Pipeline) -> Result<Admin, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let admin = Admin::new(&settings::common(pipeline)).map_err(Failure::failed)?;
    runtime.block_on(admin.ensure_topics(pipeline)).map_err(Failure::failed)?;
    Ok(admin)
}

struct Asking {
    /// What is said of a request that has waited too long.
    timed_out: String,
    /// The pipeline's file.
    file: String,
    /// Which number each request asks for, where there are several.
    asked: HashMap<usize, u64>,
    /// When to say that a worker may be missing, if no result has come by then.
    hint: Option<Instant>,
    timeout: Duration,
    /// Whether the results are waited for.
    wait: bool,
    input: Format,
    output: Format,
    requests: Requests,
    waiter: Waiter,
    /// Requests that are produced, and no broker has said where.
    unacknowledged: usize,
    failures: usize,
}

impl Asking {
    fn ask(&mut self, numbers: &[u64]) -> Result<(), Failure> {
        for (number, &n) in numbers.iter().enumerate() {
            // Registered first, so that no result can slip by.
            let request = if self.wait {
                let (now, question) = (Instant::now(), Question::Number(n));
                let produce = self.waiter.wait_for(Asked(number), question, now, now + self.timeout);
                match produce {
                    Some(produce) => produce.request.0,
                    None => continue,
                }
            } else {
                number
            };
            if numbers.len() > 1 {
                self.asked.insert(request, n);
            }
            let value = self.input.encode_request(n);
            while !self.requests.send(request, &value).map_err(Failure::failed)? {
                self.advance()?;
            }
            self.unacknowledged += 1;
        }
        while self.unacknowledged > 0 || !self.waiter.is_empty() {
            self.advance()?;
        }
        Ok(())
    }

    /// Takes what has happened next, and gives up on what has waited too long.
    fn advance(&mut self) -> Result<(), Failure> {
        if let Some(event) = self.requests.next(TICK) {
            self.event(event)?;
        }
        if self.hint.is_some_and(|hint| Instant::now() >= hint && !self.waiter.is_empty()) {
            self.hint = None;
            eprintln!("no result yet: is a worker running? (pipeline run {})", self.file);
        }
        // All wait equally long, so nothing has to be produced again for somebody who waits longer.
        let (late, _) = self.waiter.expire(Instant::now());
        self.print_all(&late)
    }

    fn event(&mut self, event: RequestEvent) -> Result<(), Failure> {
        let now = Instant::now();
        let answers = match event {
            RequestEvent::Acknowledged(Acknowledgement { request, place: Ok((partition, offset)), at }) => {
                self.unacknowledged -= 1;
                let n = self.asked.remove(&request).map_or_else(String::new, |n| format!("{n}: "));
                let line = format!("{n}partition {partition}, offset {offset}\n");
                if !self.wait {
                    return stdout(&line);
                }
                self.waiter.acknowledged(RequestNumber(request), partition, offset, at);
                eprint!("{line}");
                return Ok(());
            }
            RequestEvent::Acknowledged(Acknowledgement { request, place: Err(reason), .. }) => {
                self.unacknowledged -= 1;
                let failure = NoResult::NotProduced(reason);
                if !self.wait {
                    self.failures += 1;
                    eprintln!("{failure}");
                    return Ok(());
                }
                self.waiter.fail(RequestNumber(request), failure, now)
            }
            RequestEvent::Result(value) => {
                // Results in another format than the file says are somebody else's.
                let Ok((n, digits)) = self.output.decode_result(&value) else { return Ok(()) };
                self.waiter.result(&Question::Number(n), &digits, now)
            }
            RequestEvent::DeadLetter { partition, offset, reason } => {
                let failure = NoResult::DeadLetter { class: String::new(), message: reason };
                self.waiter.fail_place(partition, offset, failure, now)
            }
        };
        self.print_all(&answers)
    }

    fn print_all(&mut self, answers: &[Answer<String>]) -> Result<(), Failure> {
        answers.iter().try_for_each(|answer| self.print(answer))
    }

    fn print(&mut self, answer: &Answer<String>) -> Result<(), Failure> {
        // Nothing but numbers is asked for.
        let Question::Number(n) = answer.question else { return Ok(()) };
        let total = answer.total.as_millis();
        self.hint = None;
        match (&answer.outcome, answer.acknowledged) {
            // The digits come last: they may fill the screen.
            (Ok(digits), Some(acknowledged)) => {
                eprintln!("produce ack {} ms · total {total} ms", acknowledged.as_millis());
                stdout(&format!("{n};{digits}\n"))?;
            }
            // Somebody else's result, which was on its way.
            (Ok(digits), None) => {
                eprintln!("total {total} ms");
                stdout(&format!("{n};{digits}\n"))?;
            }
            (Err(NoResult::TimedOut), _) => {
                self.failures += 1;
                eprintln!("{n}: {}", self.timed_out);
            }
            (Err(failure), _) => {
                self.failures += 1;
                eprintln!("{n}: {failure}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_its_ends() {
        assert_eq!(parse_range("2_000..10_000"), Ok(2_000..=10_000));
        assert_eq!(parse_range("7..7"), Ok(7..=7));
    }

    #[test]
    fn what_is_no_range_is_refused_with_an_example() {
        for text in ["5", "10..2", "-1..2", "a..b", ".."] {
            assert!(parse_range(text).unwrap_err().contains("2000..10000"), "{text}");
        }
    }
}
