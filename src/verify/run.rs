//! One run: starts everything, breaks things, waits until all is quiet, reads everything, judges.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    clock::now,
    evidence::{Evidence, gather},
    faults,
    history::{Asked, Found, History, Letter, OpenTransaction, Place},
    joined::Joiner,
    judge::{Expected, Promise, Verdict, judge},
    minutes::ResourceSample,
    plan::Plan,
    recording::Recording,
    recovery::{Recovery, recovered},
    requests::Requests,
    setup::{Settings, Setup, set_up},
    world::World,
};
use crate::{
    kafka::verify::{Ends, Isolation, Seen, Tail, ends, read_commits, read_to_end},
    load::Interrupt,
    record::Destination,
    store::Store,
    testing::TestDriver,
};

/// How long the first result may take.
const FIRST: Duration = Duration::from_secs(90);
/// How long after the last fault requests go on, until all partitions answer again.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long without an answer until waiting ends.
const QUIET: Duration = Duration::from_secs(60);
/// How long reading committed results may take.
const SETTLED: Duration = Duration::from_secs(5);
/// How long reading a topic may take; a run of an hour leaves millions of records.
const READ: Duration = Duration::from_secs(600);
/// How long the brokers may take to abort a dead worker's transaction: its time-out, and their interval of
/// looking.
const ABORT: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);

/// A fault that happened.
#[derive(Clone, Debug)]
pub struct Happened {
    /// Its name in tables.
    pub name: String,
    /// Its description.
    pub what: String,
    /// What it hit, or why it could not happen.
    pub hit: Result<String, String>,
    /// When it began, in milliseconds since 1970 UTC.
    pub began: i64,
    /// When it ended.
    pub ended: i64,
    /// When results flowed again; `None` if they never did, or if no request came after it.
    pub recovered: Option<Recovery>,
}

/// The outcome of a run.
pub struct Outcome {
    /// When it began, in milliseconds since 1970 UTC.
    pub began: i64,
    /// When everything was quiet.
    pub rested: i64,
    /// Its faults, in order.
    pub faults: Vec<Happened>,
    /// The facts.
    pub history: History,
    /// The workers' memory and files over time.
    pub samples: Vec<ResourceSample>,
    /// The judgement.
    pub verdict: Verdict,
    /// Evidence for the anomalies.
    pub evidence: Vec<Evidence>,
    /// Whether it was interrupted.
    pub stopped: bool,
}

/// The progress of a run.
pub enum Status<'a> {
    /// A line for the log.
    Line(String),
    /// The current state, for a status line.
    Now {
        /// Time since the faults began.
        since: Duration,
        /// The fault.
        what: &'a str,
        /// Requests so far.
        asked: usize,
        /// How many of them are answered.
        answered: u32,
    },
}

/// Runs and judges. Blocks until the end.
///
/// # Errors
/// The run could not be completed, in words; that does not mean that the pipeline is wrong.
pub fn run(
    settings: &Settings,
    interrupt: Arc<Interrupt>,
    say: &(dyn Fn(Status<'_>) + Sync),
) -> Result<Outcome, String> {
    let began = now();
    let requests = Requests::new(&settings.pipeline, settings.seed, settings.samples.clone())?;
    say(Status::Line(words_of(settings)));
    let Setup { mut world, config, names } = set_up(settings, interrupt.clone())?;
    for _ in 0..settings.workers {
        world.start_worker()?;
    }
    let recording = world.recording.clone();
    let written: Vec<String> = names.written.iter().cloned().collect();
    let tail =
        Tail::start(&config, &names.written.iter().map(String::as_str).collect::<Vec<_>>(), move |seen| {
            let topic = written.iter().position(|topic| **topic == *seen.topic);
            recording.seen(topic.unwrap_or_default(), &seen);
        })?;
    let recording = world.recording.clone();
    let requested = Tail::start(&config, &[&names.requests], move |seen| recording.requested(&seen))?;
    let mut running = Running { settings, world, faults: Vec::new(), stalled: Vec::new(), say };
    running.world.resume_asking()?;
    running.first_results()?;
    running.break_things()?;
    running.recover()?;
    running.world.pause_asking()?;
    running.rest()?;
    let Running { mut world, mut faults, stalled, .. } = running;
    world.terminate_all();
    let rested = now();
    drop((tail, requested));
    say(Status::Line("reading everything that was written".to_owned()));
    let store = settings.store()?.as_deref().map(Store::open).transpose()?;
    let mut history = read(&config, &names, store.as_ref(), &world.recording)?;
    history.ended = std::mem::take(&mut world.ended);
    history.deleted = std::mem::take(&mut world.deleted);
    history.made_again = std::mem::take(&mut world.made_again);
    history.smallest_limit = world.smallest_limit;
    history.stalled = stalled;
    for fault in &mut faults {
        fault.recovered = recovered(&history.asked, &history.deleted, fault.ended);
    }
    let promise = Promise { guarantee: settings.pipeline.guarantee, order: settings.pipeline.order };
    let mut operators = TestDriver::new(&settings.pipeline);
    let verdict = judge(promise, &history, |number| Expected::of(&mut operators, &requests.request(number)));
    let logs = settings.folder.join("workers");
    let evidence = gather(&config, &names, &requests, &history, &verdict.broken, &logs)?;
    let (samples, stopped) = (std::mem::take(&mut world.samples), !interrupt.goes_on());
    Ok(Outcome { began, rested, faults, history, samples, verdict, evidence, stopped })
}

struct Running<'a> {
    settings: &'a Settings,
    world: World,
    faults: Vec<Happened>,
    stalled: Vec<u32>,
    say: &'a (dyn Fn(Status<'_>) + Sync),
}

impl Running<'_> {
    fn first_results(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while self.world.recording.answered() == 0 {
            self.world.wait(LOOK)?;
            if !self.world.interrupt.goes_on() {
                return Ok(());
            }
            if begun.elapsed() > FIRST {
                let logs = self.settings.folder.join("workers");
                return Err(format!(
                    "no result came within {FIRST:?}; the workers' logs are in {}",
                    logs.display()
                ));
            }
        }
        Ok(())
    }

    fn break_things(&mut self) -> Result<(), String> {
        let (settings, begun) = (self.settings, Instant::now());
        let plan = Plan::new(settings.seed, settings.kinds.clone(), settings.pipeline.guarantee);
        for step in plan {
            let pause = match settings.every {
                Some(every) => (every * (self.faults.len() as u32 + 1)).saturating_sub(begun.elapsed()),
                None => step.pause,
            };
            self.world.wait(pause.min(settings.time.saturating_sub(begun.elapsed())))?;
            if begun.elapsed() >= settings.time || !self.world.interrupt.goes_on() {
                break;
            }
            let (what, began) = (step.fault.to_string(), now());
            let asked = self.world.recording.asked().len();
            (self.say)(Status::Now {
                since: begun.elapsed(),
                what: &what,
                asked,
                answered: self.world.recording.answered(),
            });
            let hit = faults::inject(&mut self.world, &step.fault);
            let ended = now();
            (self.say)(Status::Line(line(begun.elapsed(), &what, &hit, ended - began)));
            self.faults.push(Happened { name: step.fault.name(), what, hit, began, ended, recovered: None });
        }
        Ok(())
    }

    /// Keeps producing requests until all partitions answer again.
    fn recover(&mut self) -> Result<(), String> {
        let (end, begun) = (now(), Instant::now());
        while recovered(&self.world.recording.asked(), &self.world.deleted, end).is_none()
            && begun.elapsed() < RECOVERY
            && self.world.interrupt.waits()
        {
            thread::sleep(LOOK);
            self.world.look_after_workers()?;
        }
        Ok(())
    }

    /// Waits until everything is answered. If answers stop before that, starts new workers: so a lost request
    /// can be told from one that hung.
    fn rest(&mut self) -> Result<(), String> {
        if self.quiet()? || !self.world.interrupt.waits() {
            return Ok(());
        }
        self.stalled = self.open_requests();
        let count = self.stalled.len();
        let line =
            format!("{count} requests are not answered, and no more answers come: restarting all workers");
        (self.say)(Status::Line(line));
        self.world.terminate_all();
        for _ in 0..self.settings.workers {
            self.world.start_worker()?;
        }
        self.quiet().map(|_| ())
    }

    /// Waits until everything is done. Returns false if answers stop before that.
    fn quiet(&mut self) -> Result<bool, String> {
        let (mut answered, mut since) = (self.world.recording.answered(), Instant::now());
        while since.elapsed() < QUIET && self.world.interrupt.waits() {
            // A request that is committed without an answer will never have one.
            if self.open_requests().is_empty() || since.elapsed() > SETTLED && self.world.lag.get() == Some(0)
            {
                return Ok(true);
            }
            thread::sleep(LOOK);
            self.world.look_after_workers()?;
            if self.world.recording.answered() != answered {
                (answered, since) = (self.world.recording.answered(), Instant::now());
            }
        }
        Ok(false)
    }

    /// The requests whose result is still expected.
    fn open_requests(&self) -> Vec<u32> {
        let asked = self.world.recording.asked();
        let open = |asked: &Asked| {
            let deleted = self.world.deleted.iter().any(|deleted| deleted.has(asked));
            asked.place.is_some() && asked.answered.is_none() && !asked.silent && !deleted
        };
        (0..).zip(asked.iter()).filter(|(_, asked)| open(asked)).map(|(number, _)| number).collect()
    }
}

/// Reads everything, with new readers.
fn read(
    config: &rdkafka::ClientConfig,
    names: &super::names::Names,
    store: Option<&Store>,
    recording: &Recording,
) -> Result<History, String> {
    let mut history = History { asked: recording.asked().clone(), ..History::default() };
    let given = std::mem::take(&mut *recording.given());
    let mut there = BTreeSet::new();
    for (index, (to, topic)) in names.written.destinations().enumerate() {
        let mut joiner = Joiner::new(store.cloned());
        let ends = read_committed(config, topic, |seen| {
            there.insert((index, Place { partition: seen.partition, offset: seen.offset }));
            match to {
                Destination::Result(topic) => {
                    history.results.extend(joiner.take(seen).map(|whole| Found::of(&whole, topic)));
                }
                Destination::DeadLetter => history.letters.push(Letter::of(&seen)),
            }
        })?;
        history.open.extend(open_transactions(config, topic, &ends)?);
    }
    let gone = given.into_iter().filter(|(place, _)| !there.contains(place));
    history.vanished = gone
        .map(|((topic, place), number)| {
            let topic = names.written.iter().nth(topic).map_or("", String::as_str);
            let number = number.map_or_else(|| "?".to_owned(), |number| number.to_string());
            format!("{topic}[{}] {}, of request {number}", place.partition, place.offset)
        })
        .collect();
    history.commits = read_commits(config, &names.group, READ)?;
    Ok(history)
}

/// Reads the committed records once all transactions have ended, or had the time to.
fn read_committed(
    config: &rdkafka::ClientConfig,
    topic: &str,
    each: impl FnMut(Seen),
) -> Result<Ends, String> {
    let deadline = Instant::now() + ABORT;
    while ends(config, topic, Isolation::Committed, READ)?
        != ends(config, topic, Isolation::Uncommitted, READ)?
        && Instant::now() < deadline
    {
        thread::sleep(Duration::from_secs(1));
    }
    read_to_end(config, topic, None, Isolation::Committed, READ, each)
}

fn open_transactions(
    config: &rdkafka::ClientConfig,
    topic: &str,
    committed: &Ends,
) -> Result<Vec<OpenTransaction>, String> {
    let all = ends(config, topic, Isolation::Uncommitted, READ)?;
    let open = all.into_iter().filter_map(|(partition, end)| {
        let offset = *committed.get(&partition)?;
        let place = Place { partition, offset };
        (offset < end).then(|| OpenTransaction { topic: topic.to_owned(), place, end })
    });
    Ok(open.collect())
}

fn words_of(settings: &Settings) -> String {
    let brokers = match settings.nodes {
        Some(nodes) => format!("{} broker(s) started for it", nodes.count()),
        None => "the given brokers".to_owned(),
    };
    format!(
        "{}: {} workers, {brokers}, {} requests a second, {} kinds of faults for {}, seed {}",
        settings.file,
        settings.workers,
        settings.rate,
        settings.kinds.len(),
        humantime::format_duration(settings.time),
        settings.seed
    )
}

fn line(since: Duration, what: &str, hit: &Result<String, String>, lasted: i64) -> String {
    let hit = match hit {
        Ok(hit) => hit.clone(),
        Err(reason) => format!("could not: {reason}"),
    };
    format!("{:>5.0} s  {what} ({hit}; {:.1} s)", since.as_secs_f64(), lasted as f64 / 1e3)
}
