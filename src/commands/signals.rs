use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry::announce;

/// The first SIGINT or SIGTERM stops gracefully, the second at once; both are said in words.
pub async fn stop_on_signals(stop: CancellationToken, gracefully: &str, at_once: &str) {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        tracing::warn!("signals cannot be caught: the process ends at once when it is told to");
        return;
    };
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    next().await;
    announce(&format!("stopping: {gracefully} (once more to stop at once)"));
    stop.cancel();
    next().await;
    announce(&format!("stopped at once; {at_once}"));
    process::exit(130);
}
