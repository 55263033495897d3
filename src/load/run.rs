//! Sends requests at their planned times, without waiting for answers.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        atomic::{AtomicU8, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    book::Book,
    ledger::Pending,
    plan::Profile,
    script::{LoadModel, Phase, Script},
    state::Freed,
    values::Draw,
};

/// How long it takes at most to notice an interrupt.
const NOTICE: Duration = Duration::from_millis(20);
/// The least pause of a user after an error, as errors may come much faster than answers.
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// How often the book is looked at while the last answers are waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A request that is to be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedRequest {
    /// Its number in the run, which is part of its id.
    pub number: u64,
    /// The number whose factorial it asks for.
    pub n: u64,
    /// When it was to be sent.
    pub planned: Instant,
}

/// Where requests are sent.
pub trait Target {
    /// Sends a request without waiting; what becomes of it is reported to the book.
    ///
    /// # Errors
    /// The kind of failure, where the request cannot be sent.
    fn send(&self, request: PlannedRequest) -> Result<(), String>;

    /// How long after the last answer an unexpected one, such as a duplicate, may still come.
    fn aftermath(&self) -> Duration;
}

/// Ends a run early: the first time it is raised nothing new is begun, the second time nothing is waited for.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicU8);

impl Interrupt {
    /// Raises it, for the first or the second time.
    pub fn raise(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Whether anything new may be begun.
    pub fn goes_on(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// Whether anything may be waited for.
    pub fn waits(&self) -> bool {
        self.0.load(Relaxed) < 2
    }
}

/// Runs the script until every request is answered or given up, or the run is interrupted, which it returns.
/// Blocks: it keeps its thread, so that nothing else makes a request late. Meanwhile the caller must let the
/// book [`expire`](Book::expire) requests.
pub fn run(script: &Script, target: &dyn Target, book: &Book, interrupt: &Interrupt) -> bool {
    let mut start = Instant::now();
    book.begins(start);
    for (index, phase) in script.phases.iter().enumerate() {
        if !interrupt.goes_on() {
            break;
        }
        let run = PhaseRun { index, target, book, interrupt };
        let mut numbers = phase.values.draw(fastrand::u64(..));
        start = match &phase.model {
            LoadModel::Open(profile) => run.open(phase, profile, &mut numbers, start),
            LoadModel::Closed { users, pause } => {
                // Users ask when they are free, so there is nothing to catch up with.
                run.closed(phase, (*users, *pause), &mut numbers, Instant::now())
            }
        };
    }
    while interrupt.waits() && (book.waiting() > 0 || book.quiet(Instant::now()) < aftermath(target, book)) {
        thread::sleep(LOOK);
    }
    !interrupt.goes_on()
}

/// How long to wait after the last answer; longer where requests were given up, so that late and lost answers
/// can be told apart.
fn aftermath(target: &dyn Target, book: &Book) -> Duration {
    if book.lost() > 0 { target.aftermath() * 5 } else { target.aftermath() }
}

/// One phase that is being run.
struct PhaseRun<'a> {
    index: usize,
    target: &'a dyn Target,
    book: &'a Book,
    interrupt: &'a Interrupt,
}

impl PhaseRun<'_> {
    /// Sends at the planned times, however long answers take; overdue requests are sent at once. Returns when
    /// the next phase begins.
    fn open(&self, phase: &Phase, profile: &Profile, numbers: &mut Draw<'_>, start: Instant) -> Instant {
        self.book.phase_begins(self.index, start, None);
        let (mut window, mut end, mut saturated) = (0, start + profile.lasts(), false);
        for (count, due) in profile.times().enumerate() {
            let planned = start + due.after;
            let over = phase.count.is_some_and(|most| count as u64 >= most);
            if over || !self.sleep_until(planned) {
                end = planned.min(Instant::now());
                break;
            }
            if phase.until_saturated && due.window > window && self.book.is_saturated(self.index, due.window)
            {
                (end, saturated) = (planned, true);
                break;
            }
            window = due.window;
            self.send(numbers.number(), planned, window, None);
        }
        if !saturated {
            self.sleep_until(end);
        }
        self.book.phase_ends(self.index, end, saturated);
        end
    }

    /// Runs users, each of whom asks again after the answer and a pause. Returns when the next phase begins.
    fn closed(
        &self,
        phase: &Phase,
        users: (u32, Duration),
        numbers: &mut Draw<'_>,
        start: Instant,
    ) -> Instant {
        let (free, freed) = mpsc::channel();
        self.book.phase_begins(self.index, start, Some(free));
        let mut due: BinaryHeap<_> = (0..users.0).map(|user| Reverse((start, user))).collect();
        let end = phase.time.map(|time| start + time);
        let mut left = phase.count.unwrap_or(u64::MAX);
        while left > 0 && self.interrupt.goes_on() {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                break;
            }
            if let Some(&Reverse((at, user))) = due.peek()
                && at <= now
            {
                due.pop();
                left -= 1;
                self.send(numbers.number(), at, 0, Some(user));
                continue;
            }
            let next = [due.peek().map(|Reverse((at, _))| *at), end].into_iter().flatten().min();
            let wait = next.map_or(NOTICE, |next| next.saturating_duration_since(now).min(NOTICE));
            match freed.recv_timeout(wait) {
                Ok(Freed { user, failed }) => {
                    let pause = if failed { users.1.max(AFTER_ERROR) } else { users.1 };
                    due.push(Reverse((Instant::now() + pause, user)));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        let end = Instant::now();
        self.book.phase_ends(self.index, end, false);
        end
    }

    fn send(&self, n: u64, planned: Instant, window: usize, user: Option<u32>) {
        let request = Pending { n, planned, sent: Instant::now(), phase: self.index, window, user };
        if let Some(number) = self.book.register(request)
            && let Err(kind) = self.target.send(PlannedRequest { number, n, planned })
        {
            self.book.not_sent(number, &kind);
        }
    }

    /// Returns false where the run is interrupted.
    fn sleep_until(&self, at: Instant) -> bool {
        loop {
            if !self.interrupt.goes_on() {
                return false;
            }
            let now = Instant::now();
            if now >= at {
                return true;
            }
            thread::sleep((at - now).min(NOTICE));
        }
    }
}
