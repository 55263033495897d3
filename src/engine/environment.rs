use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};

/// Time, randomness and processors, so that the engine can be run with a virtual clock, seeded chance and a
/// single thread.
pub trait Environment: Send + Sync + 'static {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// A number from 0 to under 1.
    fn random(&self) -> f64;
    /// Runs work that takes its time, off the threads that wait for input and output.
    fn compute(&self, work: Box<dyn FnOnce() + Send>);
    /// How many pieces of work can run at once.
    fn cores(&self) -> usize;
}

/// The machine's own clock and cores.
pub struct Machine {
    start: Instant,
    pool: rayon::ThreadPool,
}

impl Machine {
    /// A pool as wide as the machine has cores.
    ///
    /// # Errors
    /// A sentence, where the threads cannot be started.
    pub fn new() -> Result<Arc<Self>, String> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|index| format!("compute-{index}"))
            .build()
            .map_err(|error| format!("cannot start the compute threads: {error}"))?;
        Ok(Arc::new(Machine { start: Instant::now(), pool }))
    }
}

impl Environment for Machine {
    fn now(&self) -> Duration {
        self.start.elapsed()
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
