//! How long each operator works on a chunk.

use std::time::Duration;

use super::Runtime;

/// In a chunk with more records than this, each is cheap, and only one in this many is timed.
const EVERY: usize = 16;

/// How the operators worked on one chunk.
#[derive(Clone, Default, Debug)]
pub struct Work {
    /// How long a core was busy with the chunk.
    pub took: Duration,
    /// By operator: the records given to it, and its time with those that are timed.
    operators: Vec<(usize, Duration)>,
    /// How long calls were under way, by the place of their operator.
    waited: Vec<(usize, Duration)>,
    /// One record in this many is timed; `None` where none is.
    every: Option<usize>,
}

impl Work {
    /// For a chunk of `records` records of which nothing is done yet.
    pub fn new(operators: usize, records: usize) -> Self {
        // A single operator has all of the time, so no clock is needed.
        let every = match operators {
            0 | 1 => None,
            _ if records <= EVERY => Some(1),
            _ => Some(EVERY),
        };
        Work {
            took: Duration::ZERO,
            operators: vec![(0, Duration::ZERO); operators],
            waited: Vec::new(),
            every,
        }
    }

    /// Watches the operators at work on the record at `index`.
    pub fn watch<'a>(&'a mut self, index: usize, runtime: &'a dyn Runtime) -> Watch<'a> {
        let timed = self.every.is_some_and(|every| index.is_multiple_of(every));
        let since = timed.then(|| runtime.now());
        Watch { work: self, runtime, since }
    }

    /// The operator at that place has computed this many records at once.
    pub fn worked(&mut self, place: usize, records: usize, took: Duration) {
        let (given, watched) = &mut self.operators[place];
        *given += records;
        // Of the others one in so many is timed.
        *watched += self.every.map_or(took, |every| took / every as u32);
    }

    /// The operator at that place was asked about this many records, and answered after so long.
    pub fn waited(&mut self, place: usize, records: usize, took: Duration) {
        self.operators[place].0 += records;
        self.waited.push((place, took));
    }

    /// By operator: its records, and its share of the time; where it was waited for, how long that was.
    pub fn shares(&self) -> impl Iterator<Item = (usize, Duration)> {
        let waited = |place| -> Duration {
            self.waited.iter().filter(|(at, _)| *at == place).map(|(_, took)| *took).sum()
        };
        let watched: Duration = self.operators.iter().map(|(_, took)| *took).sum();
        self.operators.iter().enumerate().map(move |(place, (records, took))| {
            let share = if watched.is_zero() {
                1.0 / self.operators.len() as f64
            } else {
                took.as_secs_f64() / watched.as_secs_f64()
            };
            (*records, self.took.mul_f64(share) + waited(place))
        })
    }
}

/// Watches the operators at work on one record.
pub struct Watch<'a> {
    work: &'a mut Work,
    runtime: &'a dyn Runtime,
    /// When the last operator finished; `None` where the record is not timed.
    since: Option<Duration>,
}

impl Watch<'_> {
    /// The operator at that place has finished with this many records.
    pub fn after(&mut self, place: usize, records: usize) {
        let (given, took) = &mut self.work.operators[place];
        *given += records;
        if let Some(since) = &mut self.since {
            let now = self.runtime.now();
            *took += now - *since;
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use futures::future::BoxFuture;

    use super::*;
    use crate::engine::Length;

    /// A clock that goes on by a millisecond whenever it is read.
    #[derive(Default)]
    struct Clock(AtomicU64);

    impl Runtime for Clock {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(1, Relaxed))
        }
        fn unix_millis(&self) -> u64 {
            0
        }
        fn name(&self) -> &str {
            "clock"
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            unreachable!()
        }
        fn random(&self) -> f64 {
            0.0
        }
        fn compute(&self, _: Length, work: Box<dyn FnOnce() + Send>) {
            work();
        }
        fn cores(&self) -> usize {
            1
        }
    }

    fn millis(work: &Work) -> Vec<(usize, u128)> {
        work.shares().map(|(records, took)| (records, took.as_millis())).collect()
    }

    #[test]
    fn operators_share_the_time_as_the_clock_saw_them_at_work() {
        let clock = Clock::default();
        let mut work = Work { took: Duration::from_millis(90), ..Work::new(2, 2) };
        work.watch(0, &clock).after(0, 1);
        let mut second = work.watch(1, &clock);
        second.after(0, 1);
        second.after(1, 3);
        assert_eq!(millis(&work), [(2, 60), (3, 30)]);
    }

    #[test]
    fn what_takes_many_at_once_has_its_share_beside_those_that_are_timed_now_and_then() {
        let clock = Clock::default();
        let mut work = Work { took: Duration::from_millis(320), ..Work::new(2, 160) };
        (0..160).for_each(|index| work.watch(index, &clock).after(0, 1));
        work.worked(1, 160, Duration::from_millis(160));
        assert_eq!(millis(&work), [(160, 160), (160, 160)]);
    }

    #[test]
    fn one_operator_has_all_the_time_and_the_clock_is_not_read() {
        let clock = Clock::default();
        let mut work = Work { took: Duration::from_millis(90), ..Work::new(1, 500) };
        (0..500).for_each(|index| work.watch(index, &clock).after(0, 1));
        assert_eq!((millis(&work), clock.0.load(Relaxed)), (vec![(500, 90)], 0));
    }

    #[test]
    fn of_many_records_only_some_are_timed_and_all_are_counted() {
        let clock = Clock::default();
        let mut work = Work { took: Duration::from_millis(90), ..Work::new(2, 160) };
        for index in 0..160 {
            let mut watch = work.watch(index, &clock);
            watch.after(0, 1);
            watch.after(1, 1);
        }
        assert_eq!((millis(&work), clock.0.load(Relaxed)), (vec![(160, 45), (160, 45)], 30));
    }
}
