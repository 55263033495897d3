//! Finds where a ramp saturates.

use super::measure::Window;

/// A window falls behind where the answers in it are a smaller share of its requests than this.
const KEEPS_UP: f64 = 0.95;
/// A window is slow where its p99 is this many times that of the first ones.
const SLOW: f64 = 10.0;

/// Where a rising load begins to saturate the workers.
#[derive(Clone, PartialEq, Debug)]
pub struct Knee {
    /// The last rate that was answered in full, in requests a second; `None` where not even the first one
    /// was.
    pub rate: Option<f64>,
    /// The p99 up to that rate, in microseconds.
    pub p99: u64,
    /// The rate of requests in the first window beyond it.
    pub beyond_rate: f64,
    /// The rate of answers there.
    pub beyond_answered: f64,
    /// The p99 there, in microseconds.
    pub beyond_p99: u64,
    /// The highest rate of answers in any window.
    pub most: f64,
}

/// Whether answers come more slowly than requests are sent.
pub(super) fn falls_behind(window: &Window) -> bool {
    window.planned > 0 && window.answered_rate() < KEEPS_UP * window.asked_rate()
}

/// Finds the knee in the windows of a phase whose rate goes up: the last window before those that fall
/// behind, or whose p99 is ten times that at the beginning. One slow window among fast ones is no knee.
/// `None` where there is no knee, or the rate does not go up.
pub fn knee(windows: &[Window]) -> Option<Knee> {
    let used: Vec<&Window> = windows.iter().filter(|window| window.planned > 0).collect();
    if used.len() < 3 || !used.is_sorted_by(|a, b| a.segment.to < b.segment.to) {
        return None;
    }
    let p99 = |window: &Window| window.latency.value_at_quantile(0.99);
    let mut first: Vec<u64> = used[..used.len().div_ceil(4)].iter().map(|window| p99(window)).collect();
    first.sort_unstable();
    let slow = SLOW * first[first.len() / 2] as f64;
    let bad = |window: &&Window| falls_behind(window) || p99(window) as f64 > slow;
    let beyond = (0..used.len()).find(|&at| used[at..].iter().take(2).all(bad))?;
    let before = beyond.checked_sub(1).map(|at| used[at]);
    Some(Knee {
        rate: before.map(Window::asked_rate),
        p99: used[..beyond].iter().map(|window| p99(window)).max().unwrap_or(0),
        beyond_rate: used[beyond].asked_rate(),
        beyond_answered: used[beyond].answered_rate(),
        beyond_p99: p99(used[beyond]),
        most: used.iter().map(|window| window.answered_rate()).fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::plan::Segment;

    /// Windows of a second that ask 100, 200, …; each is answered so often, so many microseconds later.
    fn windows(answers: &[(u64, u64)]) -> Vec<Window> {
        let window = |(at, (answered, micros)): (usize, &(u64, u64))| {
            let rate = (at as f64 + 1.0) * 100.0;
            let mut window = Window::new(Segment { lasts: Duration::from_secs(1), from: rate, to: rate });
            window.planned = rate as u64;
            window.answered = *answered;
            window.latency.saturating_record(*micros);
            window
        };
        answers.iter().enumerate().map(window).collect()
    }

    #[test]
    fn the_knee_is_the_last_rate_that_is_answered_as_it_is_asked() {
        let windows = windows(&[(100, 1_000), (200, 1_000), (300, 2_000), (330, 9_000), (340, 90_000)]);
        let knee = knee(&windows).unwrap();
        assert_eq!((knee.rate, knee.beyond_rate, knee.beyond_answered), (Some(300.0), 400.0, 330.0));
        assert_eq!(knee.most, 340.0);
        assert!((1_990..=2_020).contains(&knee.p99), "{}", knee.p99);
    }

    #[test]
    fn times_that_are_ten_times_as_long_are_beyond_the_knee_too() {
        let windows = windows(&[(100, 1_000), (200, 1_000), (300, 15_000), (400, 16_000)]);
        assert_eq!(knee(&windows).unwrap().rate, Some(200.0));
    }

    #[test]
    fn one_hiccup_is_no_knee_and_neither_is_a_load_that_is_taken_or_that_does_not_go_up() {
        assert_eq!(knee(&windows(&[(100, 1_000), (150, 90_000), (350, 1_000), (400, 1_000)])), None);
        let mut even = windows(&[(10, 1_000), (10, 1_000), (10, 1_000)]);
        for window in &mut even {
            window.segment.to = 100.0;
        }
        assert_eq!(knee(&even), None);
    }

    #[test]
    fn where_not_even_the_first_rate_is_answered_there_is_no_rate() {
        let knee = knee(&windows(&[(50, 1_000), (50, 1_000), (50, 1_000)])).unwrap();
        assert_eq!((knee.rate, knee.beyond_rate), (None, 100.0));
    }
}
