//! How many records may be taken now, where their rate is limited or they are paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::control::{Rate, Wanted};

/// For how long records may be taken faster, after a while in which there were fewer.
const BURST: Duration = Duration::from_millis(100);

/// No record is taken.
const HELD: u64 = 0;
/// As many as the file says. Numbers below are rates.
const AS_THE_FILE_SAYS: u64 = u64::MAX;
const UNLIMITED: u64 = u64::MAX - 1;

/// How fast a pipeline's records are taken now: set by whoever knows what is wanted, and looked at by whoever takes them. It outlives its clients.
#[derive(Debug)]
pub struct Throttle(AtomicU64);

impl Default for Throttle {
    /// As the file says.
    fn default() -> Self {
        Throttle(AtomicU64::new(AS_THE_FILE_SAYS))
    }
}

impl Throttle {
    /// Nothing is taken before it is [set](Throttle::set).
    pub fn held() -> Self {
        Throttle(AtomicU64::new(HELD))
    }

    /// From now on it is as that is wanted.
    pub fn set(&self, wanted: &Wanted) {
        let rate = match (wanted.paused(), wanted.rate) {
            (Some(_), _) => HELD,
            (None, Rate::File) => AS_THE_FILE_SAYS,
            (None, Rate::Unlimited) => UNLIMITED,
            (None, Rate::At(rate)) => rate.into(),
        };
        self.0.store(rate, Relaxed);
    }
}

/// A token bucket: it fills at the rate, up to what comes in [`BURST`], and a record takes one.
pub struct Pace {
    throttle: Arc<Throttle>,
    /// The file's rate, if it has one.
    file: Option<u32>,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    /// What the throttle lets through; where it leaves that to the file, at most so many records a second.
    pub fn new(throttle: Arc<Throttle>, file: Option<u32>, now: Instant) -> Self {
        Pace { throttle, file, tokens: 0.0, filled: now }
    }

    /// How many records may be taken now.
    pub fn allowance(&mut self, now: Instant) -> usize {
        let since = std::mem::replace(&mut self.filled, now);
        let per_second = match self.throttle.0.load(Relaxed) {
            UNLIMITED => None,
            AS_THE_FILE_SAYS => self.file.map(u64::from),
            rate => Some(rate),
        };
        self.tokens = match per_second {
            None => f64::INFINITY,
            Some(HELD) => 0.0,
            Some(rate) => {
                let rate = rate as f64;
                // What was not taken at another rate is not saved for long either.
                let most = (rate * BURST.as_secs_f64()).max(1.0);
                (self.tokens + rate * (now - since).as_secs_f64()).min(most)
            }
        };
        // As many as there can be, where that is infinite.
        self.tokens as usize
    }

    /// Whether nothing is taken, for however long.
    pub fn is_held(&self) -> bool {
        self.throttle.0.load(Relaxed) == HELD
    }

    /// So many records were taken.
    pub fn took(&mut self, records: usize) {
        self.tokens -= records as f64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::control::Change;

    fn wanted(changes: &[Change]) -> Wanted {
        changes.iter().fold(Wanted::default(), |wanted, change| wanted.with(*change, SystemTime::UNIX_EPOCH))
    }

    /// How many records are taken in that time, if it is asked that often, and never more than 4,096 at once.
    fn taken(pace: &mut Pace, now: &mut Instant, time: Duration, interval: Duration) -> usize {
        let (end, mut taken) = (*now + time, 0);
        while *now < end {
            *now += interval;
            let allowed = pace.allowance(*now).min(4_096);
            pace.took(allowed);
            taken += allowed;
        }
        taken
    }

    #[test]
    fn the_rate_is_kept_whether_it_is_asked_often_or_seldom() {
        for (per_second, millis) in [(3, 2), (100, 2), (100, 50), (1_000_000, 3)] {
            let mut now = Instant::now();
            let mut pace = Pace::new(Arc::default(), Some(per_second), now);
            let taken = taken(&mut pace, &mut now, Duration::from_secs(10), Duration::from_millis(millis));
            let expected = per_second as usize * 10;
            // The last step goes beyond the ten seconds.
            assert!(
                (expected * 99 / 100 - 1..=expected * 101 / 100 + 1).contains(&taken),
                "{taken} of {expected}"
            );
        }
    }

    #[test]
    fn what_was_not_taken_is_not_saved_for_long() {
        let start = Instant::now();
        let mut pace = Pace::new(Arc::default(), Some(1_000), start);
        assert_eq!(pace.allowance(start + Duration::from_secs(60)), 100);
    }

    #[test]
    fn it_follows_what_is_wanted_while_it_runs() {
        let throttle = Arc::new(Throttle::held());
        let mut now = Instant::now();
        let mut pace = Pace::new(throttle.clone(), Some(100), now);
        let mut in_ten_seconds =
            |pace: &mut Pace| taken(pace, &mut now, Duration::from_secs(10), Duration::from_millis(2));
        assert!(pace.is_held());
        assert_eq!(in_ten_seconds(&mut pace), 0, "it is not known yet what is wanted");
        throttle.set(&wanted(&[]));
        assert!((990..=1_010).contains(&in_ten_seconds(&mut pace)), "the file's rate");
        throttle.set(&wanted(&[Change::Rate(Rate::At(7))]));
        // At the most what a tenth of a second had saved at the other rate, and that is cut to one.
        assert!((68..=72).contains(&in_ten_seconds(&mut pace)), "another rate wins");
        throttle.set(&wanted(&[Change::Rate(Rate::At(7)), Change::Pause]));
        assert_eq!((in_ten_seconds(&mut pace), pace.is_held()), (0, true));
        throttle.set(&wanted(&[Change::Rate(Rate::Unlimited)]));
        assert_eq!(in_ten_seconds(&mut pace), 4_096 * 5_000, "no limit, though the file has one");
        // What was taken without a limit is no debt.
        throttle.set(&wanted(&[Change::Rate(Rate::At(1_000))]));
        assert!((9_900..=10_200).contains(&in_ten_seconds(&mut pace)));
    }
}
