//! What the user or the system asks of the process: SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Calls back at each SIGINT or SIGTERM, with how many there were, for ever.
pub async fn each_signal(mut call: impl FnMut(usize)) {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        tracing::warn!("signals cannot be caught: the process ends at once when it is told to");
        return;
    };
    for count in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        call(count);
    }
}
