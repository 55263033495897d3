//! What the user or the system asks of the process: SIGINT and SIGTERM.

use std::{process, thread, time::Duration};

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

/// Ends the process if it is there yet so long after it was told to stop: a client of Kafka may wait for ever, for a
/// broker or for a clock that was set back.
pub async fn end_at_last(stop: CancellationToken, limit: Duration) {
    stop.cancelled().await;
    // Whatever holds up the tasks holds up no thread of its own.
    thread::spawn(move || {
        thread::sleep(limit);
        announce(&format!(
            "not stopped after {limit:?}: ended at once; what was not committed is done again"
        ));
        process::exit(1);
    });
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
