//! How many records may be taken now, where the file limits their rate.

use std::time::{Duration, Instant};

/// For how long records may be taken faster, after a while in which there were fewer.
const BURST: Duration = Duration::from_millis(100);

/// A token bucket: it fills at the rate, up to what comes in [`BURST`], and a record takes one.
pub struct Pace {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    /// At most so many records a second.
    pub fn new(per_second: u32, now: Instant) -> Self {
        Pace { per_second: per_second.into(), tokens: 0.0, filled: now }
    }

    /// How many records may be taken now.
    pub fn allowance(&mut self, now: Instant) -> usize {
        let most = (self.per_second * BURST.as_secs_f64()).max(1.0);
        let came = self.per_second * (now - self.filled).as_secs_f64();
        (self.tokens, self.filled) = ((self.tokens + came).min(most), now);
        self.tokens as usize
    }

    /// So many records were taken.
    pub fn took(&mut self, records: usize) {
        self.tokens -= records as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many records are taken in ten seconds, if it is asked that often.
    fn taken(per_second: u32, interval: Duration) -> usize {
        let start = Instant::now();
        let (mut pace, mut now, mut taken) = (Pace::new(per_second, start), start, 0);
        while now < start + Duration::from_secs(10) {
            now += interval;
            let allowed = pace.allowance(now);
            pace.took(allowed);
            taken += allowed;
        }
        taken
    }

    #[test]
    fn the_rate_is_kept_whether_it_is_asked_often_or_seldom() {
        for (per_second, millis) in [(3, 2), (100, 2), (100, 50), (1_000_000, 7)] {
            let expected = per_second as usize * 10;
            let taken = taken(per_second, Duration::from_millis(millis));
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
        let mut pace = Pace::new(1_000, start);
        assert_eq!(pace.allowance(start + Duration::from_secs(60)), 100);
    }
}
