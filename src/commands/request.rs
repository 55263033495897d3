//! `pipeline request`.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::Args;
use uuid::Uuid;

use super::{
    Failure,
    file::{Overrides, load_pipeline},
    print, stdout,
    under_way::Line,
};
use crate::{
    config::Pipeline,
    format::Format,
    gateway::{Answer, CallerId, Failure as NoResult, Question, RequestId, Waiter},
    kafka::{Acknowledgement, Admin, RequestClient, RequestEvent, RequestTopics, settings},
    pieces::Manifest,
    store::Store,
};

/// How often to check for requests that have timed out.
const TICK: Duration = Duration::from_millis(50);
/// How long without a result before a hint that a worker may be missing.
const HINT: Duration = Duration::from_secs(3);

/// Request factorials and wait for the answers
///
/// Standard output has only the results, one a line; where each request went and how long it took is on
/// standard error.
///
/// A result that was already in flight for the same n is an answer too, and the same n given twice produces
/// one request. A request that cannot be computed fails as soon as it is in the dead-letter topic, with the
/// reason.
#[derive(Args, Debug)]
pub struct Request {
    /// The numbers to request
    #[arg(value_name = "N", required_unless_present_any = ["random", "count"], allow_negative_numbers = true)]
    numbers: Vec<u64>,
    /// Request random numbers in this range, such as 2000..10000 (both ends included)
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
    /// Sends the requests, and prints the answers.
    ///
    /// # Errors
    /// No broker, or a request without a result.
    pub fn run(self) -> Result<(), Failure> {
        let numbers = self.numbers()?;
        let pipeline = load_pipeline(&self.pipeline, &self.overrides)?;
        let admin = prepare(&pipeline)?;
        let topics = RequestTopics {
            requests: pipeline.source.topic().topic.clone(),
            results: pipeline.sink.topic.topic.clone(),
            dead_letters: pipeline.dead_letters.clone(),
        };
        let config = admin.fit(&settings::common(&pipeline));
        let store = pipeline.store().map(Store::open).transpose().map_err(Failure::failed)?;
        let progress = pipeline.progress.as_deref();
        let requests = RequestClient::new(&config, topics, store, progress, self.timeout, !self.no_wait)
            .map_err(Failure::failed)?;
        let mut session = Session {
            timed_out: format!(
                "no result in {} within {}: is a worker running? (pipeline run {})",
                pipeline.sink.topic.topic,
                humantime::format_duration(self.timeout),
                self.pipeline
            ),
            file: self.pipeline.clone(),
            timeout: self.timeout,
            wait: !self.no_wait,
            input: pipeline.source.format.clone(),
            output: pipeline.sink.format.clone(),
            requests,
            waiter: Waiter::sharing(),
            numbers: HashMap::new(),
            hint: Some(Instant::now() + HINT),
            line: Line::default(),
            unacknowledged: 0,
            failures: 0,
        };
        session.ask(&numbers)?;
        match session.failures {
            0 => Ok(()),
            1 => Err(Failure::Failed("one request got no result".to_owned())),
            failures => Err(Failure::Failed(format!("{failures} requests got no result"))),
        }
    }
}

impl Request {
    /// The numbers to request.
    fn numbers(&self) -> Result<Vec<u64>, Failure> {
        match (&self.random, self.count) {
            (Some(range), count) => {
                Ok((0..count.unwrap_or(1)).map(|_| fastrand::u64(range.clone())).collect())
            }
            (None, Some(_)) => {
                Err(Failure::usage("--count needs --random with a range, such as --random 2000..10000"))
            }
            (None, None) => Ok(self.numbers.clone()),
        }
    }
}

/// Creates the topics, so that the first caller need not wait for a worker to do it. Returns the admin
/// client.
fn prepare(pipeline: &Pipeline) -> Result<Admin, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let admin = Admin::new(&settings::common(pipeline)).map_err(Failure::failed)?;
    runtime.block_on(admin.ensure_topics(pipeline)).map_err(Failure::failed)?;
    Ok(admin)
}

/// A result, or where it is.
#[derive(Clone)]
enum Found {
    Digits(String),
    Pieces(Manifest),
}

struct Session {
    /// The message for a request that has timed out.
    timed_out: String,
    /// The pipeline's file.
    file: String,
    /// The number of each request, if there are several.
    numbers: HashMap<usize, u64>,
    /// When to print the hint that a worker may be missing, if no result has come by then.
    hint: Option<Instant>,
    /// How far the requests are that take long.
    line: Line,
    timeout: Duration,
    /// Whether to wait for the results.
    wait: bool,
    input: Format,
    output: Format,
    requests: RequestClient,
    waiter: Waiter,
    /// Requests produced but not acknowledged yet.
    unacknowledged: usize,
    failures: usize,
}

impl Session {
    fn ask(&mut self, numbers: &[u64]) -> Result<(), Failure> {
        for (number, &n) in numbers.iter().enumerate() {
            // Registered first, so that no result is missed.
            let (request, id) = if self.wait {
                let (now, question) = (Instant::now(), Question::Number(n));
                let produce = self.waiter.wait_for(CallerId(number), question, now, now + self.timeout);
                match produce {
                    Some(produce) => (produce.request.0, produce.id),
                    None => continue,
                }
            } else {
                (number, Uuid::new_v4())
            };
            if numbers.len() > 1 {
                self.numbers.insert(request, n);
            }
            let value = self.input.encode_request(n).map_err(Failure::failed)?;
            while !self.requests.send(request, id, &value).map_err(Failure::failed)? {
                self.advance()?;
            }
            self.unacknowledged += 1;
        }
        while self.unacknowledged > 0 || !self.waiter.is_empty() {
            self.advance()?;
        }
        Ok(())
    }

    /// Handles the next event, and gives up requests that have timed out.
    fn advance(&mut self) -> Result<(), Failure> {
        if let Some(event) = self.requests.next(TICK) {
            self.event(event)?;
        }
        if self.hint.is_some_and(|hint| Instant::now() >= hint && !self.waiter.is_empty()) {
            self.hint = None;
            eprintln!("no result yet: is a worker running? (pipeline run {})", self.file);
        }
        // All have the same time-out, so no request has to be produced again for a longer one.
        let (late, _) = self.waiter.expire(Instant::now());
        self.print_all(&late)
    }

    fn event(&mut self, event: RequestEvent) -> Result<(), Failure> {
        let now = Instant::now();
        let answers = match event {
            RequestEvent::Acknowledged(Acknowledgement { request, place: Ok((partition, offset)), at }) => {
                self.unacknowledged -= 1;
                let n = self.numbers.remove(&request).map_or_else(String::new, |n| format!("{n}: "));
                let line = format!("{n}partition {partition}, offset {offset}\n");
                if !self.wait {
                    return stdout(&line);
                }
                self.waiter.acknowledged(RequestId(request), partition, offset, at);
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
                self.waiter.fail(RequestId(request), failure, now)
            }
            RequestEvent::Result(value) => {
                // Results in another format than the file's belong to another caller.
                let Ok((n, digits)) = self.output.decode_result(&value) else { return Ok(()) };
                self.waiter.result(&Question::Number(n), &Found::Digits(digits), now)
            }
            RequestEvent::Pieces { id: Some(id), manifest: Ok(manifest) } => {
                self.waiter.result_of(id, &Found::Pieces(manifest), now)
            }
            // It belongs to somebody who names requests in another way, or writes pieces in another one.
            RequestEvent::Pieces { .. } => return Ok(()),
            RequestEvent::UnderWay(told) => {
                if let Some(Question::Number(n)) = self.waiter.asked_at(told.partition, told.offset) {
                    self.hint = None;
                    self.line.show(*n, &told);
                }
                return Ok(());
            }
            RequestEvent::DeadLetter { partition, offset, reason } => {
                let failure = NoResult::DeadLetter { class: String::new(), message: reason };
                self.waiter.fail_place(partition, offset, failure, now)
            }
        };
        self.print_all(&answers)
    }

    fn print_all(&mut self, answers: &[Answer<Found>]) -> Result<(), Failure> {
        answers.iter().try_for_each(|answer| self.print(answer))
    }

    fn print(&mut self, answer: &Answer<Found>) -> Result<(), Failure> {
        // Only numbers are requested.
        let Question::Number(n) = answer.question else { return Ok(()) };
        let total = answer.total.as_millis();
        self.hint = None;
        self.line.clear();
        match (&answer.outcome, answer.acknowledged) {
            // The digits come last, as they may fill the screen.
            (Ok(found), acknowledged) => {
                match acknowledged {
                    Some(took) => eprintln!("produce ack {} ms · total {total} ms", took.as_millis()),
                    // Another caller's result, which was in flight.
                    None => eprintln!("total {total} ms"),
                }
                if let Err(reason) = self.print_result(n, found)? {
                    self.failures += 1;
                    eprintln!("{n}: {reason}");
                }
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

impl Session {
    /// Prints a result; a sentence where it cannot be read.
    fn print_result(&self, n: u64, found: &Found) -> Result<Result<(), String>, Failure> {
        let manifest = match found {
            Found::Digits(digits) => return stdout(&format!("{n};{digits}\n")).map(Ok),
            Found::Pieces(manifest) => manifest,
        };
        let pieces = match self.requests.pieces_of(manifest.clone()) {
            Ok(pieces) => pieces,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if self.output != Format::Text {
            let whole: Result<Vec<Bytes>, _> = pieces.collect();
            let whole = whole.map_err(|error| error.to_string()).map(|pieces| pieces.concat());
            let read = |whole: Vec<u8>| self.output.decode_result(&whole).map_err(|error| error.to_string());
            return match whole.and_then(read) {
                Ok((n, digits)) => stdout(&format!("{n};{digits}\n")).map(Ok),
                Err(reason) => Ok(Err(reason)),
            };
        }
        // It is not held as a whole: one piece after the other.
        for piece in pieces {
            match piece {
                Ok(piece) if print(&piece)? => {}
                // Nobody reads it any more.
                Ok(_) => return Ok(Ok(())),
                Err(error) => {
                    // So that the next line is whole.
                    stdout("\n")?;
                    return Ok(Err(format!("{error}; what is printed of it is not all of it")));
                }
            }
        }
        stdout("\n").map(Ok)
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
