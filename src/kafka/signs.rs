//! Whether a transaction was plain, as librdkafka's log lines show: the guard against KIP-890's hole.
//!
//! A request that was sent and not answered may still be on its way, and librdkafka sends it again. The broker works on
//! the second one, and on the first whenever it comes: a late EndTxn ends the *next* transaction of the same producer
//! id and epoch, a late TxnOffsetCommit moves its offsets back, and a late Produce of an aborted transaction becomes part
//! of the next. Brokers from 4.0 protect clients that speak KIP-890's second part; librdkafka (to 2.15) does not.
//!
//! So we have to know whether each request was answered the first time. No call of librdkafka's says that,
//! but its log does, with `debug = "broker,eos"` ([`with_log`]). A line is written before the request is sent
//! again, so all lines about a transaction are there once its end has been answered:
//!
//! | facility | what it says | written in |
//! |---|---|---|
//! | `REQTMOUT` | a request was not answered within `socket.timeout.ms` | `rd_kafka_broker_timeout_scan` |
//! | `FAIL`, in state `UP` or `REAUTH` | a connection was lost with whatever was in flight on it | `rd_kafka_broker_set_error` |
//! | `ENDTXN` | an EndTxn was answered with an error, or not at all | `rd_kafka_txn_handle_EndTxn` |
//! | `TXNCOORD`, `changed` | another broker coordinates the transactions | `rd_kafka_txn_coord_set` |
//!
//! A `FAIL` that repeats the one before is only a debug line for 30 s. Of a connection that was idle for a
//! minute and closed by the broker, librdkafka also writes only a debug line: that one is plain. A refusal
//! that came as an answer is plain too, such as CONCURRENT_TRANSACTIONS, which every busy producer meets.
//! Statistics say no more (`txretries`, `req_timeouts`), and only once a second: too late.

use std::{
    ffi::CStr,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rdkafka::{ClientConfig, bindings as rd, config::RDKafkaLogLevel as Level};

/// The configuration of a client whose log says enough: a few lines for each transaction, and none for each
/// record or request.
pub fn with_log(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    let theirs = config.get("debug").map_or(String::new(), |theirs| format!("{theirs},"));
    config.set("debug", format!("{theirs}broker,eos")).set("log.connection.close", "true");
    config.set_log_level(Level::Debug);
    config
}

/// Reads the log of one client. Must be dropped before the client.
pub struct Signs {
    client: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    /// The first sign that was not plain. Locked while lines are read, so that no line is between the queue
    /// and here.
    found: Mutex<Option<String>>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for Signs {}
// SAFETY: as above.
unsafe impl Sync for Signs {}

impl Signs {
    /// Takes over the client's log lines from now on.
    ///
    /// # Safety
    /// `client` must be a live client, and stay so until this is dropped.
    pub unsafe fn of(client: *mut rd::rd_kafka_t) -> Signs {
        // SAFETY: the caller vouches for `client`. It keeps a reference of its own to the queue.
        let queue = unsafe {
            let queue = rd::rd_kafka_queue_new(client);
            rd::rd_kafka_set_log_queue(client, queue);
            queue
        };
        Signs { client, queue, found: Mutex::default() }
    }

    /// Logs and examines the new lines; does not wait.
    pub fn read(&self) {
        drop(self.look());
    }

    /// The first sign since [`forget`](Signs::forget) that was not plain, if any; examines the new lines
    /// first.
    pub fn found(&self) -> Option<String> {
        self.look().clone()
    }

    /// Adds a sign from elsewhere than the log.
    pub fn add(&self, sign: impl FnOnce() -> String) {
        self.look().get_or_insert_with(sign);
    }

    /// Forgets all signs up to now.
    pub fn forget(&self) {
        *self.look() = None;
    }

    fn look(&self) -> MutexGuard<'_, Option<String>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the queue is live; each event is read and destroyed once, and its texts live as long as it.
        unsafe {
            loop {
                let event = rd::rd_kafka_queue_poll(self.queue, 0);
                if event.is_null() {
                    return found;
                }
                let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
                if rd::rd_kafka_event_log(event, &mut facility, &mut line, &mut level) == 0 {
                    let facility = CStr::from_ptr(facility).to_string_lossy();
                    let line = CStr::from_ptr(line).to_string_lossy();
                    let level = level_of(level);
                    super::log(level, &facility, &line);
                    if !is_plain(level, &facility, &line) {
                        found.get_or_insert_with(|| line.trim().to_owned());
                    }
                }
                rd::rd_kafka_event_destroy(event);
            }
        }
    }
}

impl Drop for Signs {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once; the lines go to the client's main queue from now on.
        unsafe {
            rd::rd_kafka_set_log_queue(self.client, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// A level as syslog counts it.
fn level_of(level: i32) -> Level {
    match level {
        ..=3 => Level::Error,
        4 => Level::Warning,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    }
}

fn is_plain(level: Level, facility: &str, line: &str) -> bool {
    match facility {
        "REQTMOUT" => false,
        "FAIL" if !line.contains(" in state UP") && !line.contains(" in state REAUTH") => true,
        "FAIL" if matches!(level, Level::Debug) => {
            // All other failures are also logged at a higher level.
            line.contains("Disconnected") && !line.contains("error log suppressed")
        }
        "FAIL" => false,
        "ENDTXN" => line.contains("EndTxn returned NO_ERROR "),
        "TXNCOORD" => !line.contains("Transaction coordinator changed"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as librdkafka 2.12 writes them.
    #[test]
    fn a_request_that_may_still_be_on_its_way_is_not_plain() {
        for (level, facility, line) in [
            (
                Level::Warning,
                "REQTMOUT",
                "Timed out 1 in-flight, 0 retry-queued, 0 out-queue, 0 partially-sent",
            ),
            (
                Level::Info,
                "FAIL",
                "b:9092/1: Disconnected: connection closed by peer (after 212ms in state UP)",
            ),
            (
                Level::Debug,
                "FAIL",
                "b:9092/1: Disconnected: connection closed by peer (after 9ms in state UP) (_TRANSPORT): \
                 identical to last error: error log suppressed",
            ),
            (
                Level::Debug,
                "FAIL",
                "TxnCoordinator: Closing connection due to nodename change (after 7ms in state UP)",
            ),
            (Level::Error, "FAIL", "b:9092/1: Receive failed: timed out (after 7ms in state REAUTH)"),
            (
                Level::Debug,
                "ENDTXN",
                "EndTxn returned _TRANSPORT in state CommittingTransaction (may_retry=true)",
            ),
            (
                Level::Debug,
                "ENDTXN",
                "EndTxn returned NOT_COORDINATOR in state AbortingTransaction (may_retry=true)",
            ),
            (
                Level::Debug,
                "TXNCOORD",
                "Transaction coordinator changed from b:9092/1 -> (none): EndTxn failed",
            ),
        ] {
            assert!(!is_plain(level, facility, line), "{facility}: {line}");
        }
    }

    #[test]
    fn what_was_answered_or_never_sent_is_plain() {
        for (level, facility, line) in [
            (
                Level::Debug,
                "ENDTXN",
                "EndTxn returned NO_ERROR in state CommittingTransaction (may_retry=true)",
            ),
            (
                Level::Error,
                "FAIL",
                "c:9092/2: Connect to ipv4#127.0.0.1:2 failed: refused (after 0ms in state CONNECT)",
            ),
            // It was idle: otherwise the line would also be there at the level of information.
            (
                Level::Debug,
                "FAIL",
                "b:9092/bootstrap: Disconnected: connection closed by peer (after 600007ms in state UP)",
            ),
            (Level::Debug, "TXNCOORD", "Querying for transaction coordinator: Coordinator query timer"),
            (Level::Debug, "ADDPARTS", "TxnCoordinator/1: AddPartitionsToTxn: CONCURRENT_TRANSACTIONS"),
        ] {
            assert!(is_plain(level, facility, line), "{facility}: {line}");
        }
    }
}
