//! When each request of a phase is due.

use std::time::Duration;

/// A stretch of time in which the rate goes evenly from one value to another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Segment {
    /// How long it lasts.
    pub lasts: Duration,
    /// The rate at its beginning, in requests a second.
    pub from: f64,
    /// The rate at its end.
    pub to: f64,
}

impl Segment {
    /// How many requests it plans, with their fraction.
    fn requests(self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts.as_secs_f64()
    }

    /// When the request of that number within it is due: `from t + slope t² / 2 = number`, solved for t in the
    /// form that divides by no small difference.
    fn time_of(self, number: f64) -> f64 {
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let root = (self.from * self.from + 2.0 * slope * number).max(0.0).sqrt();
        if number == 0.0 { 0.0 } else { 2.0 * number / (self.from + root) }
    }
}

/// The rate of a phase over time, which says when each request is sent, whatever the answers do.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile(Vec<Segment>);

/// A ramp is measured in this many windows, to find where it saturates.
const RAMP_WINDOWS: u32 = 20;

impl Profile {
    /// A constant rate.
    pub fn constant(rate: f64, lasts: Duration) -> Profile {
        Profile(vec![Segment { lasts, from: rate, to: rate }])
    }

    /// Evenly from one rate to another.
    pub fn ramp(from: f64, to: f64, lasts: Duration) -> Profile {
        let at = |window: u32| from + (to - from) * f64::from(window) / f64::from(RAMP_WINDOWS);
        let window = |window| Segment { lasts: lasts / RAMP_WINDOWS, from: at(window), to: at(window + 1) };
        Profile((0..RAMP_WINDOWS).map(window).collect())
    }

    /// From one rate to another in `count` even steps.
    pub fn steps(from: f64, to: f64, count: u32, lasts: Duration) -> Profile {
        let step = |step: u32| {
            let rate = from + (to - from) * f64::from(step) / f64::from((count - 1).max(1));
            Segment { lasts: lasts / count, from: rate, to: rate }
        };
        Profile((0..count).map(step).collect())
    }

    /// A constant rate `base`, except for a `peak` in the middle.
    pub fn spike(base: f64, peak: f64, peak_lasts: Duration, lasts: Duration) -> Profile {
        let around = lasts.saturating_sub(peak_lasts) / 2;
        let flat = |rate, lasts| Segment { lasts, from: rate, to: rate };
        Profile(vec![flat(base, around), flat(peak, peak_lasts), flat(base, around)])
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Duration {
        self.0.iter().map(|segment| segment.lasts).sum()
    }

    /// Its segments, each of which is measured by itself.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether the rate goes up all the time, in three parts at least.
    pub fn rises(&self) -> bool {
        self.0.len() >= 3 && self.0.is_sorted_by(|a, b| a.to < b.to)
    }

    /// When each request is due, from the phase's beginning on.
    pub fn times(&self) -> Times<'_> {
        Times { segments: &self.0, index: 0, start: 0.0, before: 0.0, next: 0.0 }
    }
}

/// A request's place in its phase.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Due {
    /// From the phase's beginning.
    pub after: Duration,
    /// The segment that it is in.
    pub window: usize,
}

/// The planned times of a profile's requests, computed one after another.
#[derive(Clone, Debug)]
pub struct Times<'a> {
    segments: &'a [Segment],
    index: usize,
    /// The time at which the segment begins, in seconds.
    start: f64,
    /// What was planned before it.
    before: f64,
    next: f64,
}

impl Iterator for Times<'_> {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            let segment = self.segments.get(self.index)?;
            let number = self.next - self.before;
            // A request on the boundary belongs to the next segment; rounding may put it just before.
            if number < segment.requests() - 1e-6 {
                self.next += 1.0;
                let after = Duration::from_secs_f64(self.start + segment.time_of(number.max(0.0)));
                return Some(Due { after, window: self.index });
            }
            self.before += segment.requests();
            self.start += segment.lasts.as_secs_f64();
            self.index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(profile: &Profile) -> Vec<f64> {
        profile.times().map(|due| due.after.as_secs_f64()).collect()
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced_from_the_beginning_on() {
        assert_eq!(seconds(&Profile::constant(4.0, SECOND)), [0.0, 0.25, 0.5, 0.75]);
        assert_eq!(Profile::constant(1_000.0, 10 * SECOND).times().count(), 10_000);
        assert_eq!(Profile::constant(0.5, 3 * SECOND).times().count(), 2, "less than one a second");
    }

    #[test]
    fn a_ramp_sends_what_the_area_below_it_says() {
        let profile = Profile::ramp(0.0, 200.0, 10 * SECOND);
        let times = seconds(&profile);
        assert_eq!(times.len(), 1_000);
        // A quarter of the area is in the first half of the time: t = 10 sqrt(k / 1000).
        assert!((times[250] - 5.0).abs() < 0.001, "{}", times[250]);
        assert!((times[810] - 9.0).abs() < 0.001, "{}", times[810]);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "the times go up");
        let down = seconds(&Profile::ramp(200.0, 0.0, 10 * SECOND));
        assert!((down[750] - 5.0).abs() < 0.001, "{}", down[750]);
    }

    #[test]
    fn steps_have_each_its_rate_and_its_window() {
        let profile = Profile::steps(10.0, 30.0, 3, 3 * SECOND);
        let counts = [0, 1, 2].map(|window| profile.times().filter(|due| due.window == window).count());
        assert_eq!(counts, [10, 20, 30]);
        assert!(profile.rises() && !Profile::steps(30.0, 10.0, 3, SECOND).rises());
        assert_eq!(profile.lasts(), 3 * SECOND);
    }

    #[test]
    fn a_spike_is_in_the_middle() {
        let profile = Profile::spike(1.0, 100.0, SECOND, 5 * SECOND);
        let inside = |due: &Due| (2.0..3.0).contains(&due.after.as_secs_f64());
        assert_eq!(profile.times().filter(inside).count(), 100);
        assert_eq!(profile.times().count(), 104);
    }
}
