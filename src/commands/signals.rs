//! SIGINT and SIGTERM.

use std::{process, thread, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry::announce;

/// Ends the process if it still runs this long after a stop: a Kafka client may wait forever, for a broker or
/// for a clock that was set back.
pub async fn end_at_last(stop: CancellationToken, limit: Duration) {
    stop.cancelled().await;
    // On its own thread, which blocked tasks do not block.
    thread::spawn(move || {
        thread::sleep(limit);
        announce(&format!(
            "not stopped after {limit:?}: ended at once; what was not committed is done again"
        ));
        process::exit(1);
    });
}

/// Catches SIGINT and SIGTERM: from now on they do not end the process. Needs a tokio runtime.
pub struct Signals(Option<(Signal, Signal)>);

impl Signals {
    pub fn catch() -> Self {
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Signals(Some((interrupt, terminate))),
            _ => {
                tracing::warn!("signals cannot be caught: SIGINT and SIGTERM end the process at once");
                Signals(None)
            }
        }
    }

    /// Calls back at each signal, with how many there were, forever.
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

    /// The first signal stops gracefully, the second at once; both are announced.
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
