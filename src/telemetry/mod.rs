//! What a running process reports about itself: metrics, their endpoint, logs.
//!
//! The engine and the clients report to [`Progress`] by the batch, at the few places where records change
//! hands.
//!
//! Knows: http, librdkafka, record. Must not know: rdkafka, clap.

mod brokers;
mod dead_letters;
mod explain;
mod factorials;
mod handles;
mod held;
mod lag;
mod logging;
mod names;
mod progress;
mod rebalances;
mod recorder;
mod remembered;
mod requests;
mod samples;
mod scale;
mod series;
mod server;
mod spans;
mod under_way;

pub use brokers::{BrokerState, Client, ClientStatistics};
pub use factorials::{FactorialMetrics, Method};
pub use handles::{Subject, build_info};
pub use held::Stable;
pub use lag::Lag;
pub use logging::{announce, announce_plainly, init as init_logging, status_line};
pub use names::*;
pub use progress::{Progress, STAGES, Stage};
pub use rebalances::{RebalanceEvent, RebalanceRecord};
pub use recorder::Recorded;
pub use requests::{RequestMetrics, RequestOutcome};
pub use scale::ScaleMetrics;
pub use server::{MetricsServer, ServerError, TEXT_FORMAT, install as install_metrics};
pub use spans::end as end_spans;
pub use under_way::{Begun, Teller, UnderWay, begin as begin_long};
