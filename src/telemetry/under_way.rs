//! Records whose computing takes long, and how far each is.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metrics::{Gauge, gauge};
use serde::{Deserialize, Serialize};

use super::names;
use crate::record::{Offset, TopicPartition};

/// What takes less is not told of: it is over before anybody could look.
const LONG: Duration = Duration::from_secs(1);

/// How far a record is, as it is told to whoever waits for its result.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub struct UnderWay {
    /// Where the record was read: the topic,
    pub topic: String,
    /// the partition in it,
    pub partition: i32,
    /// and the offset there.
    pub offset: i64,
    /// The worker that computes it.
    pub worker: String,
    /// The part of the work that is done, from 0 to 1.
    pub done: f64,
    /// Seconds since it was begun.
    pub seconds: f64,
    /// Seconds until it is computed, about.
    pub left_seconds: f64,
}

impl UnderWay {
    /// How far it is, in words: `43 % of it is computed, about 3 s are left`.
    pub fn words(&self) -> String {
        match self.done < 1.0 {
            true => format!(
                "{:.0} % of it is computed by {}, about {:.0} s are left",
                self.done * 100.0,
                self.worker,
                self.left_seconds.ceil()
            ),
            false => format!("{} has computed it, and writes it", self.worker),
        }
    }
}

/// One that is being computed.
struct Entry {
    number: u64,
    pipeline: String,
    partition: TopicPartition,
    offset: Offset,
    began: Instant,
    expected: Duration,
    /// The part that was done last, and how long after the beginning.
    reached: Box<dyn Fn() -> (f64, Duration) + Send>,
}

/// All of the process: a few, each of seconds.
static UNDER_WAY: Mutex<(u64, Vec<Entry>)> = Mutex::new((0, Vec::new()));

fn under_way() -> MutexGuard<'static, (u64, Vec<Entry>)> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until this is dropped, a record is under way.
#[derive(Debug)]
pub struct Begun(u64);

/// A record is being computed from now on, which is expected to take so long. `reached` says which part was done last, and how long
/// after the beginning that was.
pub fn begin(
    pipeline: &str,
    (partition, offset): (&TopicPartition, Offset),
    expected: Duration,
    reached: impl Fn() -> (f64, Duration) + Send + 'static,
) -> Begun {
    let (last, entries) = &mut *under_way();
    *last += 1;
    let (pipeline, partition, reached) = (pipeline.to_owned(), partition.clone(), Box::new(reached));
    let began = Instant::now();
    entries.push(Entry { number: *last, pipeline, partition, offset, began, expected, reached });
    Begun(*last)
}

impl Drop for Begun {
    fn drop(&mut self) {
        under_way().1.retain(|entry| entry.number != self.0);
    }
}

/// Tells of what is under way in one pipeline, once for each time that it is asked.
pub struct Teller {
    pipeline: String,
    worker: String,
    records: Gauge,
    done: Gauge,
    left: Gauge,
    /// What was told last of those that were not at their end.
    told: Vec<UnderWay>,
}

impl Teller {
    /// Of that pipeline, in the process that others know by the worker's name.
    pub fn new(pipeline: &str, worker: &str) -> Self {
        let gauge = |name| {
            let gauge = gauge!(name, "pipeline" => pipeline.to_owned());
            gauge.set(0.0);
            gauge
        };
        Teller {
            pipeline: pipeline.to_owned(),
            worker: worker.to_owned(),
            records: gauge(names::LONG_RECORDS),
            done: gauge(names::LONG_DONE),
            left: gauge(names::LONG_LEFT),
            told: Vec::new(),
        }
    }

    /// How far each is that takes long, and of those that were told of before and are at their end, that they are. The gauges
    /// say the same of the one that will be the last.
    pub fn tell(&mut self) -> Vec<UnderWay> {
        let now: Vec<UnderWay> = {
            let entries = under_way();
            let own = entries.1.iter().filter(|entry| entry.pipeline == self.pipeline);
            own.filter(|entry| entry.began.elapsed() >= LONG).map(|entry| self.of(entry)).collect()
        };
        let last = now.iter().max_by(|one, other| one.left_seconds.total_cmp(&other.left_seconds));
        self.records.set(now.len() as f64);
        self.done.set(last.map_or(0.0, |last| last.done));
        self.left.set(last.map_or(0.0, |last| last.left_seconds));
        let is_same = |one: &UnderWay, other: &UnderWay| {
            (&one.topic, one.partition, one.offset) == (&other.topic, other.partition, other.offset)
        };
        let mut told = std::mem::replace(&mut self.told, now.clone());
        told.retain(|before| !now.iter().any(|now| is_same(before, now)));
        let ended = told.into_iter().map(|ended| UnderWay { done: 1.0, left_seconds: 0.0, ..ended });
        now.iter().cloned().chain(ended).collect()
    }

    fn of(&self, entry: &Entry) -> UnderWay {
        let elapsed = entry.began.elapsed();
        let (done, left) = estimate((entry.reached)(), elapsed, entry.expected);
        UnderWay {
            topic: entry.partition.topic.to_string(),
            partition: entry.partition.partition,
            offset: entry.offset.0,
            worker: self.worker.clone(),
            done,
            seconds: elapsed.as_secs_f64(),
            left_seconds: left.as_secs_f64(),
        }
    }
}

/// Which part is done, and how long the rest takes: as the parts before took, or as it was expected while there is none.
fn estimate((part, after): (f64, Duration), elapsed: Duration, expected: Duration) -> (f64, Duration) {
    let all = if part > 0.0 { after.div_f64(part) } else { expected };
    let left = all.saturating_sub(elapsed);
    // It is not done before it says so.
    let most = if part < 1.0 { 0.99 } else { 1.0 };
    let done = elapsed.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
    (done.min(most).max(part), left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_left_takes_as_long_as_the_parts_before_took() {
        assert_eq!(estimate((0.0, seconds(0)), seconds(2), seconds(8)), (0.25, seconds(6)));
        // The first half took four seconds, a second ago.
        assert_eq!(estimate((0.5, seconds(4)), seconds(5), seconds(80)), (0.625, seconds(3)));
        // Longer than expected: nobody knows.
        assert_eq!(estimate((0.5, seconds(4)), seconds(20), seconds(8)), (0.99, seconds(0)));
        assert_eq!(estimate((0.0, seconds(0)), seconds(1), seconds(0)), (0.99, seconds(0)));
        assert_eq!(estimate((1.0, seconds(4)), seconds(4), seconds(8)), (1.0, seconds(0)));
    }

    #[test]
    fn long_work_is_told_of_until_its_end_and_short_work_never() {
        let partition = TopicPartition::new("in", 3);
        let begun = |pipeline: &str, offset| {
            begin(pipeline, (&partition, Offset(offset)), seconds(10), || (0.25, seconds(1)))
        };
        let (one, other) = (begun("told", 7), begun("another", 8));
        let mut teller = Teller::new("told", "worker-1");
        assert_eq!(teller.tell(), []);
        under_way().1.iter_mut().for_each(|entry| entry.began -= seconds(2));
        let short = begun("told", 9);
        let told = teller.tell();
        let places = |told: &[UnderWay]| -> Vec<(String, i32, i64)> {
            told.iter().map(|told| (told.topic.clone(), told.partition, told.offset)).collect()
        };
        assert_eq!(places(&told), [("in".to_owned(), 3, 7)]);
        assert!((0.5..0.6).contains(&told[0].done) && told[0].left_seconds > 1.0, "{told:?}");
        assert_eq!(told[0].words(), "50 % of it is computed by worker-1, about 2 s are left");
        drop((one, short));
        let told = teller.tell();
        assert_eq!((places(&told), told[0].done), (vec![("in".to_owned(), 3, 7)], 1.0));
        assert_eq!(told[0].words(), "worker-1 has computed it, and writes it");
        assert_eq!(teller.tell(), []);
        drop(other);
    }
}
