//! Metrics of requests and their answers: the gateway's and the load generator's.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{handles::build_info, names::*};

/// What has become of requests; handles are kept.
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

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// A result.
    Ok,
    /// A reason why there is none.
    Error,
    /// Nothing in time.
    Timeout,
    /// The caller was gone first.
    Expired,
}

impl RequestMetrics {
    /// Registers every series at 0.
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

    /// A request has ended, so long after it was meant to be sent.
    pub fn ended(&self, outcome: RequestOutcome, took: Duration) {
        let histogram = match outcome {
            RequestOutcome::Ok => &self.ok,
            RequestOutcome::Error => &self.error,
            RequestOutcome::Timeout => &self.timeout,
            RequestOutcome::Expired => &self.expired,
        };
        histogram.record(took.as_secs_f64());
    }

    /// The broker has a request, so long after it was produced.
    pub fn acknowledged(&self, took: Duration) {
        self.acknowledged.record(took.as_secs_f64());
    }

    /// So many wait.
    pub fn in_flight(&self, requests: usize) {
        self.in_flight.set(requests as f64);
    }

    /// One more waits for a request that was on its way.
    pub fn coalesced(&self) {
        self.coalesced.increment(1);
    }

    /// An answer was known already.
    pub fn known(&self, took: Duration) {
        self.known.increment(1);
        self.ended(RequestOutcome::Ok, took);
    }

    /// A result was late, or nobody here had asked for it.
    pub fn late(&self) {
        self.late.increment(1);
    }

    /// So many requests were produced once more.
    pub fn repeated(&self, requests: usize) {
        self.repeated.increment(requests as u64);
    }
}
