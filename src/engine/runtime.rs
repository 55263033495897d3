//! What the engine runs on: a clock, timers, randomness, and cores.

use std::{
    sync::Arc,
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
    /// Runs work that may take long, off the threads that wait for input and output.
    fn compute(&self, work: Box<dyn FnOnce() + Send>);
    /// How many pieces of work can run at once.
    fn cores(&self) -> usize;
}

/// The machine's own clock and cores: the runtime in production.
pub struct Machine {
    start: Instant,
    name: String,
    pool: rayon::ThreadPool,
}

impl Machine {
    /// A pool as wide as the machine has cores.
    ///
    /// # Errors
    /// A sentence, where the pool's threads cannot be started.
    pub fn new() -> Result<Arc<Self>, String> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| format!("cannot start the compute threads: {error}"))?;
        Ok(Arc::new(Machine { start: Instant::now(), name: name(), pool }))
    }
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

    fn compute(&self, work: Box<dyn FnOnce() + Send>) {
        self.pool.spawn_fifo(work);
    }

    fn cores(&self) -> usize {
        self.pool.current_num_threads()
    }
}
