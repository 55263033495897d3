//! Ends our threads that serve librdkafka.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long a thread may take to end.
const END: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(2);

/// Waits for a thread that is ending. Called in a task, it lets the runtime move the other tasks to other
/// threads. A thread that waits for a broker that does not answer is abandoned, so that it does not keep the
/// process from stopping.
pub fn join(thread: JoinHandle<()>) {
    let deadline = Instant::now() + END;
    block(|| {
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!("a client still waits for a broker that does not answer: it is abandoned");
                return;
            }
            thread::sleep(LOOK);
        }
        // Nothing can be done where it has panicked.
        drop(thread.join());
    });
}

/// Runs work that may block. Called in a task, it lets the runtime move the other tasks to other threads.
pub fn block(work: impl FnOnce()) {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
