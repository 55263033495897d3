//! Metrics of requests and their answers: the gateway's and the load generator's.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{handles::build_info, names::*};

/// Handles to the metrics of requests.
pub struct RequestMetrics {
    ok: Histogram,
    error: Histogram,
    timeout: Histogram,
    expired: Histogram,
    acknowledged: Histogram,
    in_flight: Gauge,
    coalesced: Counter,
    late: Counter,
    known: Counter,
    repeated: Counter,
}

/// A request's outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// A result.
    Ok,
    /// A reason why there is no result.
    Error,
    /// No answer in time.
    Timeout,
    /// The caller disconnected first.
    Expired,
}

impl RequestMetrics {
    /// Registers every series, at 0.
    pub fn new(name: &str) -> Self {
        let p = name.to_owned();
        build_info(&p);
        let outcome = |outcome: &'static str| histogram!(REQUEST_DURATION, "pipeline" => p.clone(), "outcome" => outcome);
        let plain = |name: &'static str| counter!(name, "pipeline" => p.clone());
        RequestMetrics {
            ok: outcome("ok"),
            error: outcome("error"),
            timeout: outcome("timeout"),
            expired: outcome("expired"),
            acknowledged: histogram!(REQUEST_ACK_DURATION, "pipeline" => p.clone()),
            in_flight: gauge!(REQUESTS_IN_FLIGHT, "pipeline" => p.clone()),
            coalesced: plain(REQUESTS_COALESCED),
            late: plain(REPLIES_LATE),
            known: plain(REQUESTS_KNOWN),
            repeated: plain(REQUESTS_REPEATED),
        }
    }

    /// A request ended, `after` it was meant to be sent.
    pub fn ended(&self, outcome: RequestOutcome, took: Duration) {
        let histogram = match outcome {
            RequestOutcome::Ok => &self.ok,
            RequestOutcome::Error => &self.error,
            RequestOutcome::Timeout => &self.timeout,
            RequestOutcome::Expired => &self.expired,
        };
        histogram.record(took.as_secs_f64());
    }

    /// The broker acknowledged a request, `after` it was produced.
    pub fn acknowledged(&self, took: Duration) {
        self.acknowledged.record(took.as_secs_f64());
    }

    /// Sets the number of requests in flight.
    pub fn in_flight(&self, requests: usize) {
        self.in_flight.set(requests as f64);
    }

    /// A caller shares a request that was already in flight.
    pub fn coalesced(&self) {
        self.coalesced.increment(1);
    }

    /// An answer came from the cache.
    pub fn known(&self, took: Duration) {
        self.known.increment(1);
        self.ended(RequestOutcome::Ok, took);
    }

    /// A result was late, or was not requested by this process.
    pub fn late(&self) {
        self.late.increment(1);
    }

    /// Requests were produced again.
    pub fn repeated(&self, requests: usize) {
        self.repeated.increment(requests as u64);
    }
}
