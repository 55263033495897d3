//! A run minute by minute: shows trends that are no anomaly, such as growing memory.

use std::time::Duration;

use super::history::Asked;

/// A minute, in milliseconds.
const MINUTE: i64 = 60_000;

/// The memory and files of the largest worker at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceSample {
    /// In milliseconds since 1970 UTC.
    pub at: i64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open files, sockets included.
    pub files: u64,
}

/// What happened in a minute.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Minute {
    /// Requests produced.
    pub asked: usize,
    /// The median latency, from handing a request to the producer to its answer; those without one do not
    /// count.
    pub p50: Duration,
    /// The 99th percentile of it.
    pub p99: Duration,
    /// The most resident memory that a worker had, in bytes.
    pub resident: u64,
    /// The most files that a worker had open.
    pub files: u64,
}

/// The minutes since the first request. The last one, which is cut short, is left out unless it is the only one.
pub fn by_minute(asked: &[Asked], samples: &[ResourceSample]) -> Vec<Minute> {
    let Some(first) = asked.first() else { return Vec::new() };
    let minute_of = |at: i64| usize::try_from((at - first.at) / MINUTE).ok().filter(|_| at >= first.at);
    let last = asked.iter().filter_map(|asked| minute_of(asked.at)).max().unwrap_or_default();
    let mut waited: Vec<Vec<i64>> = vec![Vec::new(); last.max(1)];
    let mut minutes = vec![Minute::default(); last.max(1)];
    for asked in asked {
        let Some(minute) = minute_of(asked.at).filter(|minute| *minute < minutes.len()) else { continue };
        minutes[minute].asked += 1;
        waited[minute].extend(asked.answered.map(|answered| answered - asked.at));
    }
    for (minute, waited) in minutes.iter_mut().zip(&mut waited) {
        waited.sort_unstable();
        (minute.p50, minute.p99) = (percentile(waited, 50), percentile(waited, 99));
    }
    for sample in samples {
        if let Some(minute) = minute_of(sample.at).and_then(|minute| minutes.get_mut(minute)) {
            minute.resident = minute.resident.max(sample.resident);
            minute.files = minute.files.max(sample.files);
        }
    }
    minutes
}

/// A percentile; `sorted` is in milliseconds.
fn percentile(sorted: &[i64], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    Duration::from_millis(sorted.get(rank).map_or(0, |millis| (*millis).max(0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: i64, waited: Option<i64>) -> Asked {
        Asked { at, answered: waited.map(|waited| at + waited), ..Asked::default() }
    }

    #[test]
    fn each_minute_has_its_own_requests_and_the_most_that_a_worker_held() {
        let mut all: Vec<Asked> = (1..=100).map(|number| asked(1_000 + number, Some(number))).collect();
        all.extend([asked(62_000, Some(7)), asked(62_001, None), asked(130_000, Some(9_000))]);
        let sample = |at, resident, files| ResourceSample { at, resident, files };
        let samples =
            [sample(5_000, 10, 4), sample(9_000, 30, 3), sample(62_000, 20, 5), sample(999_000, 99, 9)];
        let millis = Duration::from_millis;
        let first = Minute { asked: 100, p50: millis(50), p99: millis(99), resident: 30, files: 4 };
        let second = Minute { asked: 2, p50: millis(7), p99: millis(7), resident: 20, files: 5 };
        assert_eq!(by_minute(&all, &samples), [first, second]);
    }

    #[test]
    fn a_short_run_is_one_minute_and_none_is_none() {
        assert_eq!(by_minute(&[asked(5, Some(2))], &[]).len(), 1);
        assert!(by_minute(&[], &[]).is_empty());
    }
}
