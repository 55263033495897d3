//! Threads of ours that serve librdkafka.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// How long a thread that was told to end may take.
const END: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(2);

/// Waits for a thread that was told to end. Other tasks go on meanwhile, elsewhere, where this is called in one. One that
/// waits for a broker that does not answer is left to itself: it must not keep a process that was told to stop.
pub fn join(thread: JoinHandle<()>) {
    let deadline = Instant::now() + END;
    block(|| {
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!("a client waits for a broker that does not answer: it is left to itself");
                return;
            }
            thread::sleep(LOOK);
        }
        // A thread that panicked has nothing to tell that could be helped.
        drop(thread.join());
    });
}

/// Does what may take its time. Other tasks go on meanwhile, elsewhere, where this is called in one.
pub fn block(work: impl FnOnce()) {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
