//! What a running process tells of itself: metrics, their endpoint, logs.
//!
//! Must not know what it is that runs: the engine reports to [`Progress`], at the few places where records
//! change hands, by the batch.

mod logging;
mod names;
mod progress;
mod requests;
mod server;

pub use logging::{announce, init as init_logging, status_line};
pub use names::{Kind, METRICS, Metric};
pub use progress::Progress;
pub use requests::{RequestMetrics, RequestOutcome};
pub use server::{MetricsServer, ServerError, install as install_metrics};
