//! What is wanted, and a day of it: scaled by cost and by lag.

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use super::{Look, Scaler};
use crate::{
    config::Scale,
    record::{Offset, TopicPartition},
};

fn settings() -> Scale {
    Scale { empty_within: Duration::from_secs(30), min: 1, max: None, down_after: Duration::from_secs(120) }
}

fn look(seconds: u64, workers: u32) -> Look {
    Look {
        now: Duration::from_secs(seconds),
        workers: Some(workers),
        partitions: 8,
        by_number: false,
        paused: false,
    }
}

/// So many records of so many seconds each, over eight partitions, from that offset on.
fn read(scaler: &mut Scaler, first: i64, count: i64, seconds: f64) {
    for number in 0..count {
        let partition = TopicPartition::new("in", (number % 8) as i32);
        scaler.read(&partition, Offset(first + number / 8), (seconds * 1e9) as u64, None);
    }
}

fn commit(scaler: &mut Scaler, offset: i64) {
    (0..8).for_each(|partition| scaler.committed(&TopicPartition::new("in", partition), Offset(offset)));
}

#[test]
fn a_costly_backlog_wants_workers_that_a_long_cheap_one_does_not() {
    let mut scaler = Scaler::new(settings());
    read(&mut scaler, 0, 16, 10.0);
    let standing = scaler.look(&look(0, 1));
    assert_eq!((standing.backlog, standing.wanted), (160.0, 6));
    let mut scaler = Scaler::new(settings());
    read(&mut scaler, 0, 16_000, 0.001);
    assert_eq!(scaler.look(&look(0, 1)).wanted, 1);
}

#[test]
fn no_more_are_wanted_than_can_share_it() {
    let mut scaler = Scaler::new(settings());
    read(&mut scaler, 0, 1_000, 10.0);
    assert_eq!(scaler.look(&look(0, 1)).wanted, 8, "there are eight partitions");
    let mut scaler = Scaler::new(settings());
    scaler.read(&TopicPartition::new("in", 3), Offset(0), 1_000_000_000_000, None);
    assert_eq!(scaler.look(&look(0, 1)).wanted, 1, "one record is one worker's");
    let mut scaler = Scaler::new(Scale { max: Some(3), ..settings() });
    read(&mut scaler, 0, 1_000, 10.0);
    assert_eq!(scaler.look(&look(0, 1)).wanted, 3);
}

#[test]
fn while_they_are_paused_as_many_are_wanted_as_there_are_and_their_speed_is_not_measured() {
    let mut scaler = Scaler::new(settings());
    for seconds in 0..300 {
        read(&mut scaler, seconds, 8, 10.0);
        let standing = scaler.look(&Look { paused: true, ..look(seconds as u64, 2) });
        assert_eq!((standing.wanted, standing.speed), (2, 1.0), "after {seconds} s");
    }
    let standing = scaler.look(&look(300, 2));
    assert_eq!((standing.wanted, standing.speed), (8, 1.0), "what waits wants all of them once they go on");
}

#[test]
fn with_a_least_of_none_nobody_is_wanted_while_nothing_waits() {
    let mut scaler = Scaler::new(Scale { min: 0, ..settings() });
    assert_eq!(scaler.look(&look(0, 0)).wanted, 0);
    read(&mut scaler, 0, 1, 0.001);
    assert_eq!(scaler.look(&look(1, 0)).wanted, 1);
    commit(&mut scaler, 1);
    assert_eq!(scaler.look(&look(2, 1)).wanted, 1, "more may come");
    (3..130).for_each(|seconds| _ = scaler.look(&look(seconds, 1)));
    assert_eq!(scaler.look(&look(130, 1)).wanted, 0);
}

#[test]
fn fewer_are_wanted_only_after_a_while() {
    let mut scaler = Scaler::new(settings());
    read(&mut scaler, 0, 16, 10.0);
    assert_eq!(scaler.look(&look(0, 6)).wanted, 6);
    commit(&mut scaler, 2);
    for seconds in [1, 60, 120] {
        assert_eq!(scaler.look(&look(seconds, 6)).wanted, 6, "after {seconds} s");
    }
    assert_eq!(scaler.look(&look(121, 6)).wanted, 1);
}

#[test]
fn how_fast_workers_are_is_measured_while_all_of_them_have_work() {
    // Two workers, each of which does three seconds of estimated work in a second.
    let mut scaler = Scaler::new(settings());
    let (mut arrived, mut standing) = (0, scaler.look(&look(0, 2)));
    for seconds in 1..600 {
        // 8 records of 1 s each arrive in each second, and 6 of them are done.
        read(&mut scaler, arrived, 8, 1.0);
        arrived += 1;
        commit(&mut scaler, arrived * 6 / 8);
        standing = scaler.look(&look(seconds, 2));
    }
    assert!((2.8..3.2).contains(&standing.speed), "{standing:?}");
    assert!((7.9..8.1).contains(&standing.arriving), "{standing:?}");
    // With nothing to do, nothing is learnt.
    commit(&mut scaler, arrived);
    scaler.look(&look(600, 2));
    for seconds in 601..900 {
        standing = scaler.look(&look(seconds, 2));
    }
    assert!((2.8..3.2).contains(&standing.speed), "{standing:?}");
    assert_eq!(standing.wanted, 1);
}

#[test]
fn what_waits_in_a_retry_topic_wants_nobody_before_its_time() {
    let mut scaler = Scaler::new(Scale { min: 0, ..settings() });
    let partition = TopicPartition::new("in-retry-1", 0);
    scaler.read(&partition, Offset(0), 1_000_000, Some(Duration::from_secs(60)));
    let standing = scaler.look(&look(59, 0));
    assert_eq!((standing.wanted, standing.backlog), (0, 0.0));
    let standing = scaler.look(&look(60, 0));
    assert_eq!((standing.wanted, standing.backlog), (1, 0.001));
}

#[test]
fn a_source_that_is_not_there_yet_wants_the_fewest() {
    let mut scaler = Scaler::new(Scale { min: 3, ..settings() });
    assert_eq!(scaler.look(&Look { partitions: 0, ..look(0, 0) }).wanted, 3);
    assert_eq!(scaler.look(&Look { partitions: 2, ..look(200, 0) }).wanted, 2, "one each");
}

#[test]
fn whoever_starts_anew_lets_the_workers_be_for_a_while() {
    let mut scaler = Scaler::new(settings());
    scaler.keep(Duration::ZERO, 6);
    assert_eq!(scaler.look(&look(1, 6)).wanted, 6, "perhaps not all is read yet");
    assert_eq!(scaler.look(&look(121, 6)).wanted, 1);
    let mut scaler = Scaler::new(Scale { max: Some(3), ..settings() });
    scaler.keep(Duration::ZERO, 6);
    assert_eq!(scaler.look(&look(1, 6)).wanted, 3);
}

#[test]
fn what_was_measured_stays_when_all_is_read_again() {
    let mut scaler = Scaler::new(settings());
    read(&mut scaler, 0, 16, 10.0);
    assert_eq!(scaler.look(&look(0, 1)).wanted, 6);
    scaler.read_again();
    let standing = scaler.look(&look(1, 6));
    assert_eq!((standing.backlog, standing.wanted), (0.0, 6), "what was needed before still counts");
}

const PARTITIONS: usize = 48;
const DAY: u64 = 24 * 3_600;
/// How long a new worker takes until it computes, in seconds.
const START: u64 = 30;
/// How often the workers are made as many as are wanted, in seconds.
const TURN: u64 = 15;
/// Records that wait for each worker, when lag decides.
const LAG: u64 = 1_000;

/// When the flood of costly records is over, and that of cheap ones.
const COSTLY: u64 = 37_800;
const CHEAP: u64 = 57_660;

/// What a day was like.
struct Day {
    /// Seconds from a flood's last record until nothing waits: of 1,800 costly records, and of 3,000,000 cheap ones.
    empty: [u64; 2],
    worker_hours: f64,
    /// How often the number of workers was changed.
    changes: u32,
    /// Each minute: seconds of work that wait, and workers.
    minutes: Vec<(f64, usize)>,
}

/// The records that arrive in a second of the day: how many, and how many seconds each costs.
fn arrivals(second: u64) -> Vec<(u64, f64)> {
    let hour = second as f64 / 3_600.0;
    // 10 a second at night, 100 by day.
    let cheap = 55.0 - 45.0 * (hour / 12.0 * std::f64::consts::PI).cos();
    let mut all = vec![(cheap as u64, 0.005)];
    // From ten on, for half an hour, one a second that costs 20 s.
    if (COSTLY - 1_800..COSTLY).contains(&second) {
        all.push((1, 20.0));
    }
    // At four in the afternoon, 3,000,000 within a minute that cost next to nothing.
    if (CHEAP - 60..CHEAP).contains(&second) {
        all.push((50_000, 0.000_1));
    }
    all
}

/// A day in which `wanted` is asked how many workers there should be: with what arrived, what is done, and the lag.
fn day(mut by_cost: Option<Scaler>) -> Day {
    let mut random = fastrand::Rng::with_seed(7);
    let mut queues: Vec<VecDeque<f64>> = vec![VecDeque::new(); PARTITIONS];
    let mut ends = [0_i64; PARTITIONS];
    // When each worker computes from.
    let mut workers: Vec<u64> = vec![0];
    let mut recent: VecDeque<(u64, usize)> = VecDeque::new();
    let mut day = Day { empty: [0; 2], worker_hours: 0.0, changes: 0, minutes: Vec::new() };
    for second in 0..DAY {
        for (count, cost) in arrivals(second) {
            for _ in 0..count {
                let partition = random.usize(..PARTITIONS);
                queues[partition].push_back(cost);
                if let Some(scaler) = &mut by_cost {
                    let place = TopicPartition::new("in", partition as i32);
                    scaler.read(&place, Offset(ends[partition]), (cost * 1e9) as u64, None);
                }
                ends[partition] += 1;
            }
        }
        let ready = workers.iter().filter(|from| **from <= second).count();
        for worker in 0..ready {
            let mut left = 1.0;
            for queue in queues.iter_mut().skip(worker).step_by(ready) {
                while left > 0.0
                    && let Some(cost) = queue.front_mut()
                {
                    let spent = cost.min(left);
                    (*cost, left) = (*cost - spent, left - spent);
                    if *cost <= 0.0 {
                        queue.pop_front();
                    }
                }
            }
        }
        day.worker_hours += workers.len() as f64 / 3_600.0;
        let lag: usize = queues.iter().map(VecDeque::len).sum();
        for (place, over) in [COSTLY, CHEAP].into_iter().enumerate() {
            // What comes meanwhile is done within the second.
            if second >= over && day.empty[place] == 0 && lag < 100 {
                day.empty[place] = second - over + 1;
            }
        }
        if second.is_multiple_of(60) {
            day.minutes.push((queues.iter().flatten().sum(), workers.len()));
        }
        if !second.is_multiple_of(TURN) {
            continue;
        }
        let wanted = if let Some(scaler) = &mut by_cost {
            for (partition, queue) in queues.iter().enumerate() {
                let offset = Offset(ends[partition] - queue.len() as i64);
                scaler.committed(&TopicPartition::new("in", partition as i32), offset);
            }
            let now = Duration::from_secs(second);
            let look = Look {
                now,
                workers: Some(ready as u32),
                partitions: PARTITIONS as u32,
                by_number: false,
                paused: false,
            };
            scaler.look(&look).wanted as usize
        } else {
            // Kubernetes' own scaler: as much lag for each, and fewer only after two minutes.
            recent.push_back((second, (lag as u64).div_ceil(LAG).clamp(1, PARTITIONS as u64) as usize));
            recent.retain(|(then, _)| second - then <= 120);
            recent.iter().map(|(_, needed)| *needed).max().unwrap_or(1)
        };
        if wanted != workers.len() {
            day.changes += 1;
            workers.resize(wanted, second + START);
        }
    }
    day
}

/// A day of both, as a picture.
fn picture(by_cost: &Day, by_lag: &Day) -> String {
    let (width, height) = (760.0, 150.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} 430\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        width + 100.0
    );
    type Read = fn(&(f64, usize)) -> f64;
    let panels: [(&str, f64, f64, Read); 2] = [
        ("seconds of work that wait", 40.0, 6_000.0, |minute| minute.0),
        ("workers", 240.0, 50.0, |minute| minute.1 as f64),
    ];
    for (title, top, most, of) in panels {
        let _ = write!(
            svg,
            "<text x=\"50\" y=\"{}\">{title}</text>\n<path d=\"M50 {top}v{height}h{width}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"44\" y=\"{}\" text-anchor=\"end\">{most}</text><text x=\"44\" y=\"{}\" text-anchor=\"end\">0</text>\n",
            top - 10.0,
            top + 10.0,
            top + height
        );
        for (day, colour) in [(by_lag, "#d97706"), (by_cost, "#2563eb")] {
            let points: Vec<String> = (0..)
                .zip(&day.minutes)
                .map(|(minute, at)| {
                    let (x, y) =
                        (50.0 + width * f64::from(minute) / 1_440.0, of(at).min(most) / most * height);
                    format!("{x:.1},{:.1}", top + height - y)
                })
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>",
                points.join(" ")
            );
        }
    }
    for hour in [0, 6, 12, 18, 24] {
        let x = 50.0 + width * f64::from(hour) / 24.0;
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"408\" text-anchor=\"middle\">{hour}:00</text>");
    }
    svg + "<text x=\"500\" y=\"30\" fill=\"#2563eb\">by cost</text><text x=\"580\" y=\"30\" fill=\"#d97706\">by lag</text>\n</svg>\n"
}

#[test]
fn a_flood_of_costly_records_is_done_much_sooner_where_cost_decides() {
    let (by_cost, by_lag) = (day(Some(Scaler::new(settings()))), day(None));
    let said = |day: &Day| {
        format!(
            "{} s and {} s until empty, {:.0} worker-hours, {} changes",
            day.empty[0], day.empty[1], day.worker_hours, day.changes
        )
    };
    eprintln!("by cost: {}\nby lag: {}", said(&by_cost), said(&by_lag));
    assert!(by_cost.empty[0] * 4 < by_lag.empty[0], "the costly flood");
    assert!(by_cost.changes < by_lag.changes);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scaling.svg");
    let picture = picture(&by_cost, &by_lag);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &picture).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == picture,
        "{path} is another day's: UPDATE=1 cargo test"
    );
}
