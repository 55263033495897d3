//! librdkafka's log lines and errors, to ours.

use rdkafka::{config::RDKafkaLogLevel as Level, error::KafkaError};

use super::complaints::no_way_in;

/// One of librdkafka's log lines, through `tracing`: what a `ClientContext::log` calls.
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

/// One of librdkafka's error events: what a `ClientContext::error` calls. Quietly, as librdkafka logs what
/// went wrong as well, and with more of its circumstances; but credentials that are refused are somebody's to see to.
pub fn log_error(error: &KafkaError, reason: &str) {
    if let Some(why) = error.rdkafka_error_code().and_then(|code| no_way_in(code, reason)) {
        tracing::warn!("not let in by a broker, which is tried again: {why}");
    }
    tracing::debug!(target: "librdkafka", %error, "{reason}");
}
