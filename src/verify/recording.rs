//! Asks, and keeps what was asked and what was answered while the run goes on.

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
    history::{Asked, Place},
    requests::{Requests, number_of},
    world::now,
};
use crate::{
    kafka::verify::{Acknowledgement, Asker, Seen},
    record::Record,
};

/// Requests are asked in bursts so far apart.
const TICK: Duration = Duration::from_millis(5);

/// So many records before one that is answered may not be answered yet: far more than are in work out of order.
const BEHIND: i64 = 1_000;

/// What was asked and answered so far; shared by the threads that ask and read.
#[derive(Default)]
pub struct Recording {
    asked: Mutex<Vec<Asked>>,
    /// Records that the reader was given: the topic's index, partition and offset, and their request.
    given: Mutex<HashMap<(usize, Place), Option<u32>>>,
    answered: AtomicU32,
    generation: AtomicU32,
}

impl Recording {
    /// What was asked so far.
    pub fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the reader was given so far.
    pub fn given(&self) -> MutexGuard<'_, HashMap<(usize, Place), Option<u32>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the topic of requests was made again.
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// The topic of requests is made again. Returns how often it had been before.
    pub fn next_generation(&self) -> u32 {
        self.generation.fetch_add(1, Relaxed)
    }

    /// How many requests have an answer.
    pub fn answered(&self) -> u32 {
        self.answered.load(Relaxed)
    }

    /// From which offset on each partition's requests may have been waiting yet: not those far behind one that is answered.
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

    /// A record was read from the topic of that index.
    pub fn seen(&self, topic: usize, seen: &Seen) {
        let number = number_of(&seen.record);
        let place = Place { partition: seen.partition, offset: seen.offset };
        self.given().insert((topic, place), number);
        let mut asked = self.asked();
        if let Some(asked) = number.and_then(|number| asked.get_mut(number as usize))
            && asked.answered.is_none()
        {
            asked.answered = Some(now());
            self.answered.fetch_add(1, Relaxed);
        }
    }

    fn acknowledged(&self, told: Acknowledgement) {
        if let Some(asked) = self.asked().get_mut(told.request)
            && let Ok((partition, offset)) = told.place
        {
            asked.acknowledged = Some(now());
            asked.place = Some(Place { partition, offset });
        }
    }
}

/// Asks at a rate, on a thread of its own, until it is told to stop.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Asking {
    /// Goes on after the last request that was asked. `silent` says whether nothing comes of a request.
    ///
    /// # Errors
    /// There is no producer, or no thread.
    pub fn start(
        config: &ClientConfig,
        topic: &str,
        rate: u32,
        requests: Requests,
        recording: &Arc<Recording>,
        silent: impl FnMut(&Record) -> bool + Send + 'static,
    ) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, stopped, recording) = (recording.clone(), stop.clone(), recording.clone());
        let asker = Asker::new(config, topic, move |acknowledgement| told.acknowledged(acknowledgement))
            .map_err(|error| format!("nothing can be asked: {error}"))?;
        let thread = thread::Builder::new()
            .name("ask".to_owned())
            .spawn(move || ask(&asker, rate, &requests, &recording, silent, &stopped))
            .map_err(|error| format!("nothing can be asked: {error}"))?;
        Ok(Asking { stop, thread: Some(thread) })
    }

    /// Asks no more, and waits until it is known what became of each request.
    ///
    /// # Errors
    /// That is not known after a while.
    pub fn finish(mut self) -> Result<(), String> {
        self.stop.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

/// How long the last requests may take into their topic.
const FLUSH: Duration = Duration::from_secs(120);

fn ask(
    asker: &Asker,
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
            while !asker
                .ask(number, &request)
                .map_err(|error| format!("a request cannot be asked: {error}"))?
            {
                thread::sleep(TICK);
            }
            number += 1;
        }
        thread::sleep(TICK);
    }
    match asker.flush(FLUSH) {
        true => Ok(()),
        false => Err(format!("requests were not taken by the brokers within {FLUSH:?}")),
    }
}
