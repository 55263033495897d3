//! Threads of ours that serve librdkafka.

use std::thread::JoinHandle;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Waits for a thread that was told to end. Other tasks go on meanwhile, elsewhere, where this is called in one.
pub fn join(thread: JoinHandle<()>) {
    // A thread that panicked has nothing to tell that could be helped.
    block(|| drop(thread.join()));
}

/// Does what may take its time. Other tasks go on meanwhile, elsewhere, where this is called in one.
pub fn block(work: impl FnOnce()) {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
