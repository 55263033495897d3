//! What a running process tells of itself: metrics, their endpoint, logs.
//!
//! Must not know what it is that runs: the engine reports to [`Progress`], at the few places where records
//! change hands, by the batch.

mod handles;
mod logging;
pub mod names;
mod own;
mod progress;
mod server;

pub use handles::Stage;
pub use logging::{announce, init as init_logging, status_line};
pub use progress::Progress;
pub use server::{MetricsServer, ServerError, install as install_metrics};
