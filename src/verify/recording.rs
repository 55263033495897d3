//! Produces requests, and records which were produced and answered during the run.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::ClientConfig;

use super::{
    clock::now,
    history::{Asked, Place},
    requests::{Requests, number_of},
};
use crate::{
    kafka::verify::{Acknowledgement, Seen, VerifyProducer},
    record::{PIECE, Record},
};

/// The pause between bursts of requests.
const TICK: Duration = Duration::from_millis(5);

/// How many records before an answered one may be unanswered: far more than are ever computed out of order.
const BEHIND: i64 = 1_000;

/// The requests and answers so far; shared by the threads that produce and read.
#[derive(Default)]
pub struct Recording {
    asked: Mutex<Vec<Asked>>,
    /// Records that the reader saw: the topic's index, partition and offset, and their request.
    given: Mutex<HashMap<(usize, Place), Option<u32>>>,
    answered: AtomicU32,
    generation: AtomicU32,
}

impl Recording {
    /// The requests so far.
    pub fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records that the reader saw so far.
    pub fn given(&self) -> MutexGuard<'_, HashMap<(usize, Place), Option<u32>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the request topic was recreated.
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// The request topic is being recreated. Returns how often it had been before.
    pub fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Relaxed)
    }

    /// How many requests have an answer.
    pub fn answered(&self) -> u32 {
        self.answered.load(Relaxed)
    }

    /// The offset from which each partition's requests may still be waiting: not those far behind an answered
    /// one.
    pub fn waiting_from(&self) -> BTreeMap<i32, i64> {
        let (generation, mut from) = (self.generation(), BTreeMap::new());
        for asked in self.asked().iter().filter(|asked| asked.generation == generation) {
            if let Some(place) = asked.place {
                let from: &mut i64 = from.entry(place.partition).or_default();
                *from = if asked.answered.is_some() { (*from).max(place.offset - BEHIND) } else { *from };
            }
        }
        from
    }

    /// Records that the reader saw a record of the topic with that index.
    pub fn seen(&self, topic: usize, seen: &Seen) {
        let number = number_of(&seen.record);
        let place = Place { partition: seen.partition, offset: seen.offset };
        self.given().insert((topic, place), number);
        if seen.record.headers.get(PIECE).is_some() {
            return;
        }
        let mut asked = self.asked();
        if let Some(asked) = number.and_then(|number| asked.get_mut(number as usize))
            && asked.answered.is_none()
        {
            asked.answered = Some(now());
            self.answered.fetch_add(1, Relaxed);
        }
    }

    /// Records that a reader saw this record of the request topic.
    pub fn requested(&self, seen: &Seen) {
        if let Some(number) = number_of(&seen.record)
            && let Some(asked) = self.asked().get_mut(number as usize)
        {
            asked.seen.insert(Place { partition: seen.partition, offset: seen.offset });
        }
    }

    fn acknowledged(&self, ack: Acknowledgement) {
        if let Some(asked) = self.asked().get_mut(ack.request)
            && let Ok((partition, offset)) = ack.place
        {
            asked.acknowledged = Some(now());
            asked.place = Some(Place { partition, offset });
        }
    }
}

/// Produces requests at a rate, on its own thread, until it is stopped.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Asking {
    /// Starts after the last request produced so far. `silent` reports whether no result is expected of a
    /// request.
    ///
    /// # Errors
    /// The producer or the thread cannot be created.
    pub fn start(
        config: &ClientConfig,
        topic: &str,
        rate: u32,
        requests: Requests,
        recording: &Arc<Recording>,
        silent: impl FnMut(&Record) -> bool + Send + 'static,
    ) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (acks, stopped, recording) = (recording.clone(), stop.clone(), recording.clone());
        let producer = VerifyProducer::new(config, topic, move |ack| acks.acknowledged(ack))
            .map_err(|error| format!("requests cannot be produced: {error}"))?;
        let thread = thread::Builder::new()
            .name("requests".to_owned())
            .spawn(move || produce(&producer, rate, &requests, &recording, silent, &stopped))
            .map_err(|error| format!("requests cannot be produced: {error}"))?;
        Ok(Asking { stop, thread: Some(thread) })
    }

    /// Stops, and waits until each request is delivered or has failed.
    ///
    /// # Errors
    /// The brokers did not take all of them in time.
    pub fn finish(mut self) -> Result<(), String> {
        self.stop.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

/// How long delivering the last requests may take.
const FLUSH: Duration = Duration::from_secs(120);

fn produce(
    producer: &VerifyProducer,
    rate: u32,
    requests: &Requests,
    recording: &Recording,
    mut silent: impl FnMut(&Record) -> bool,
    stop: &AtomicBool,
) -> Result<(), String> {
    let (begun, mut number) = (Instant::now(), recording.asked().len() as u32);
    let first = number;
    while !stop.load(Relaxed) {
        let due = first + (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        while number < due && !stop.load(Relaxed) {
            let request = requests.request(number);
            let asked = Asked {
                at: now(),
                silent: silent(&request),
                generation: recording.generation(),
                ..Asked::default()
            };
            recording.asked().push(asked);
            while !producer
                .send(number, &request)
                .map_err(|error| format!("a request cannot be produced: {error}"))?
            {
                thread::sleep(TICK);
            }
            number += 1;
        }
        thread::sleep(TICK);
    }
    match producer.flush(FLUSH) {
        true => Ok(()),
        false => Err(format!("requests were not taken by the brokers within {FLUSH:?}")),
    }
}
