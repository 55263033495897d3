//! What the engine runs on: a clock, timers, randomness, and cores.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use futures::{FutureExt, future::BoxFuture};

/// What the engine runs on. It is a trait so that the engine can also run with a virtual clock, seeded
/// randomness and a single thread.
pub trait Runtime: Send + Sync + 'static {
    /// The time since a fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Milliseconds since 1970 UTC, as other machines count them, more or less.
    fn unix_millis(&self) -> u64;
    /// This process's name for others, in the headers of replies.
    fn name(&self) -> &str;
    /// Resolves after that time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// A random number from 0 to under 1.
    fn random(&self) -> f64;
    /// Runs work off the threads that wait for input and output. Work that takes long does not hold up other work, although
    /// it may use all cores.
    fn compute(&self, length: Length, work: Box<dyn FnOnce() + Send>);
    /// How many pieces of work can run at once.
    fn cores(&self) -> usize;
}

/// How long work is expected to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// Less than [`LONG`](Length::LONG).
    Short,
    /// As long, or longer.
    Long,
}

impl Length {
    /// A wait of this is noticed: 25 ms.
    pub const LONG: u64 = 25_000_000;

    /// Of so many nanoseconds.
    pub fn of(nanos: u64) -> Length {
        if nanos < Length::LONG { Length::Short } else { Length::Long }
    }
}

/// The machine's own clock and cores: the runtime in production.
pub struct Machine {
    start: Instant,
    name: String,
    pool: rayon::ThreadPool,
    /// For long work, once there is some: the threads of a pool would not take up other work before all parts of it are done. The
    /// system lets both have their turns.
    long: OnceLock<Option<Arc<Long>>>,
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads of long work, which is begun only as there are threads for it: one that waits for a part of it would otherwise begin
/// another one, and another, each with the memory that computing it takes.
struct Long {
    pool: rayon::ThreadPool,
    /// How many are begun, and those that are not.
    state: Mutex<(usize, VecDeque<Work>)>,
}

impl Long {
    fn new() -> Option<Arc<Long>> {
        Some(Arc::new(Long { pool: pool("long").ok()?, state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, (usize, VecDeque<Work>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, work: Work) {
        let (begun, waiting) = &mut *self.state();
        waiting.push_back(work);
        if *begun < self.pool.current_num_threads() {
            *begun += 1;
            self.begin();
        }
    }

    /// Begins the one that has waited longest, and then the next.
    fn begin(self: &Arc<Self>) {
        let own = self.clone();
        self.pool.spawn_fifo(move || {
            let next = own.state().1.pop_front();
            next.into_iter().for_each(|work| work());
            let (begun, waiting) = &mut *own.state();
            match waiting.is_empty() {
                true => *begun -= 1,
                false => own.begin(),
            }
        });
    }
}

impl Machine {
    /// A pool as wide as the machine has cores.
    ///
    /// # Errors
    /// A sentence, where the pool's threads cannot be started.
    pub fn new() -> Result<Arc<Self>, String> {
        let pool = pool("compute").map_err(|error| format!("cannot start the compute threads: {error}"))?;
        Ok(Arc::new(Machine { start: Instant::now(), name: name(), pool, long: OnceLock::new() }))
    }
}

fn pool(name: &'static str) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().thread_name(move |index| format!("{name}-{index}")).build()
}

/// The host's name and the process id.
fn name() -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the buffer is ours and of that length; the last byte stays zero.
    let found = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) };
    let length = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    let host = if found == 0 { String::from_utf8_lossy(&buffer[..length]) } else { "unknown".into() };
    format!("{host}/{}", std::process::id())
}

impl Runtime for Machine {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }

    fn compute(&self, length: Length, work: Box<dyn FnOnce() + Send>) {
        let long = match length {
            Length::Short => None,
            // Where its threads cannot be started, the others do it.
            Length::Long => self.long.get_or_init(Long::new).as_ref(),
        };
        match long {
            Some(long) => long.add(work),
            None => self.pool.spawn_fifo(work),
        }
    }

    fn cores(&self) -> usize {
        self.pool.current_num_threads()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };

    use super::*;

    #[test]
    fn no_more_long_work_is_begun_than_there_are_threads_and_all_is_done() {
        let machine = Machine::new().unwrap();
        let (begun, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (done, all) = mpsc::channel();
        for number in 0..40 {
            let (begun, most, done) = (begun.clone(), most.clone(), done.clone());
            let work = Box::new(move || {
                most.fetch_max(1 + begun.fetch_add(1, SeqCst), SeqCst);
                // A thread that waits for its other part takes up what it finds.
                let nap = || std::thread::sleep(Duration::from_millis(2));
                rayon::join(|| rayon::join(nap, nap), || rayon::join(nap, nap));
                begun.fetch_sub(1, SeqCst);
                done.send(number).unwrap();
            });
            machine.compute(Length::Long, work);
        }
        drop(done);
        let mut numbers: Vec<i32> = all.iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>());
        assert!(most.load(SeqCst) <= machine.cores(), "{}", most.load(SeqCst));
    }

    #[test]
    fn long_work_on_all_cores_does_not_hold_up_short_work() {
        let machine = Machine::new().unwrap();
        let begun = Arc::new(Barrier::new(machine.cores() + 1));
        let (answer, answered) = mpsc::channel();
        let over = Arc::new(Barrier::new(machine.cores() + 1));
        for _ in 0..machine.cores() {
            let (begun, over) = (begun.clone(), over.clone());
            let work = Box::new(move || {
                begun.wait();
                over.wait();
            });
            machine.compute(Length::of(Length::LONG), work);
        }
        begun.wait();
        machine.compute(Length::of(Length::LONG - 1), Box::new(move || answer.send(()).unwrap()));
        assert_eq!(answered.recv_timeout(Duration::from_secs(20)), Ok(()));
        over.wait();
    }
}
