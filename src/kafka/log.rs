//! Passes librdkafka's log lines and errors to our log.

use rdkafka::{config::RDKafkaLogLevel as Level, error::KafkaError};

use super::complaints::no_way_in;

/// Logs a line of librdkafka's through `tracing`; for `ClientContext::log`.
pub fn log(level: Level, facility: &str, line: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        Level::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
        Level::Notice | Level::Info => tracing::info!(target: "librdkafka", facility, "{line}"),
        Level::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// Logs an error event of librdkafka's; for `ClientContext::error`. At the debug level, as librdkafka also
/// logs what went wrong, with more detail. But refused credentials are a warning, as a person has to act on
/// them.
pub fn log_error(error: &KafkaError, reason: &str) {
    if let Some(why) = error.rdkafka_error_code().and_then(|code| no_way_in(code, reason)) {
        tracing::warn!("a broker does not accept this client, which tries again: {why}");
    }
    tracing::debug!(target: "librdkafka", %error, "{reason}");
}
