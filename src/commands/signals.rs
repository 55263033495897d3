//! What the user or the system asks of the process: SIGINT and SIGTERM.

use std::{process, thread, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry::announce;

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

/// SIGINT and SIGTERM, from when this is made: they do not end the process any more. Needs a tokio runtime.
pub struct Signals(Option<(Signal, Signal)>);

impl Signals {
    pub fn catch() -> Self {
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Signals(Some((interrupt, terminate))),
            _ => {
                tracing::warn!("signals cannot be caught: the process ends at once when it is told to");
                Signals(None)
            }
        }
    }

    /// Calls back at each of them, with how many there were, for ever.
    pub async fn each(self, mut call: impl FnMut(usize)) {
        let Some((mut interrupt, mut terminate)) = self.0 else { return };
        for count in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            call(count);
        }
    }

    /// The first stops gracefully, the second at once; both are said in words.
    pub async fn stop(self, stop: CancellationToken, gracefully: &str, at_once: &str) {
        self.each(|signals| {
            if signals == 1 {
                announce(&format!("stopping: {gracefully} (once more to stop at once)"));
                return stop.cancel();
            }
            announce(&format!("stopped at once; {at_once}"));
            process::exit(130);
        })
        .await;
    }
}
