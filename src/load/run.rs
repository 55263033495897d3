//! Sends at the planned times, and waits for nothing.

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
    script::{Load, Phase, Script},
    values::Draw,
};

/// How long at most it takes to notice a stop.
const NOTICE: Duration = Duration::from_millis(20);
/// A user who got an error at once asks again after so long: errors can be had faster than they are of use.
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// How long is slept at most while the last answers are waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A request that is to be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Its number in the run, which its id is made of.
    pub number: u64,
    /// What it asks for.
    pub n: u64,
    /// When it was to be sent.
    pub planned: Instant,
}

/// Who is asked.
pub trait Target {
    /// Sends a request without waiting for anything; what becomes of it is told to the book.
    ///
    /// # Errors
    /// The kind of failure, where it cannot be sent.
    fn send(&self, request: Request) -> Result<(), String>;

    /// How long after the last answer one more may come that nobody waits for.
    fn aftermath(&self) -> Duration;
}

/// Whether a run is to be stopped: asked first to ask no more, then to wait no more.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Once: ask no more. Twice: wait no more.
    pub fn stop(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn asking(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    fn waiting(&self) -> bool {
        self.0.load(Relaxed) < 2
    }
}

/// Asks what the script says, and returns once all is answered or given up, or it was stopped. Blocks; keeps the
/// thread that it is called on, so that nothing else makes it late. Somebody else must let the book
/// [`expire`](Book::expire) meanwhile. Returns whether it was stopped.
pub fn run(script: &Script, target: &dyn Target, book: &Book, stop: &Stop) -> bool {
    let mut start = Instant::now();
    book.begins(start);
    for (index, phase) in script.phases.iter().enumerate() {
        if !stop.asking() {
            break;
        }
        let asking = Asking { index, target, book, stop };
        let mut numbers = phase.values.draw(fastrand::u64(..));
        start = match &phase.load {
            Load::Open(profile) => asking.open(phase, profile, &mut numbers, start),
            Load::Closed { users, pause } => {
                // Users ask when they are free, so there is nothing to catch up with.
                asking.closed(phase, (*users, *pause), &mut numbers, Instant::now())
            }
        };
    }
    while stop.waiting() && (book.waiting() > 0 || book.quiet(Instant::now()) < aftermath(target, book)) {
        thread::sleep(LOOK);
    }
    !stop.asking()
}

/// What was given up may still come: it is waited for longer, so that late and lost can be told apart.
fn aftermath(target: &dyn Target, book: &Book) -> Duration {
    if book.lost() > 0 { target.aftermath() * 5 } else { target.aftermath() }
}

struct Asking<'a> {
    index: usize,
    target: &'a dyn Target,
    book: &'a Book,
    stop: &'a Stop,
}

impl Asking<'_> {
    /// Sends at the planned times, whatever the answers do; what is overdue is sent at once. Returns when the
    /// next phase is to begin.
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

    /// So many users, each of whom asks again once the answer is there and the pause is over.
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
        while left > 0 && self.stop.asking() {
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
                Ok((user, failed)) => {
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
            && let Err(kind) = self.target.send(Request { number, n, planned })
        {
            self.book.not_sent(number, &kind);
        }
    }

    /// Returns false where the run is to be stopped.
    fn sleep_until(&self, at: Instant) -> bool {
        loop {
            if !self.stop.asking() {
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
