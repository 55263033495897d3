//! What the user or the system asks of the process: SIGINT and SIGTERM.

use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry::announce;

/// The first SIGINT or SIGTERM stops gracefully, the second at once; both are said in words.
pub async fn stop_on_signals(stop: CancellationToken, gracefully: &str, at_once: &str) {
    each_signal(|signals| {
        if signals == 1 {
            announce(&format!("stopping: {gracefully} (once more to stop at once)"));
            return stop.cancel();
        }
        announce(&format!("stopped at once; {at_once}"));
        process::exit(130);
    })
    .await;
}

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
