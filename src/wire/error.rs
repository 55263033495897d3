//! Why a broker cannot be asked, and what its error codes mean.

use std::time::Duration;

use thiserror::Error;

use super::bytes::Malformed;

/// Why a broker did not answer a request.
#[derive(Error, Debug)]
pub enum WireError {
    /// There is no connection.
    #[error("no connection to the broker at {address}: {reason}")]
    Unreachable {
        /// Its host and port.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The connection broke, or TLS refuses the other side.
    #[error("the connection to the broker at {address} broke during {api}: {reason}")]
    Broken {
        /// Its host and port.
        address: String,
        /// The request.
        api: &'static str,
        /// What the system says, or TLS.
        reason: String,
    },
    /// It does not answer.
    #[error("the broker at {address} did not answer {api} within {limit:?}")]
    Silent {
        /// Its host and port.
        address: String,
        /// The request.
        api: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// It does not let this user in.
    #[error(
        "the broker at {address} does not let this user in: {reason}; look at `sasl.username`, `sasl.password` and `sasl.mechanism` in [kafka]"
    )]
    NotLetIn {
        /// Its host and port.
        address: String,
        /// Its own words, or what is wrong with its answer.
        reason: String,
    },
    /// Its answer is none.
    #[error("the broker at {address} gave no answer to {api} that Kafka's protocol knows: {reason}")]
    NoAnswer {
        /// Its host and port.
        address: String,
        /// The request.
        api: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It does not know such a request.
    #[error(
        "the broker at {address} does not know the request {api} (version {version}), as Kafka does from 3.0 on"
    )]
    Unknown {
        /// Its host and port.
        address: String,
        /// The request.
        api: &'static str,
        /// Its version.
        version: i16,
    },
    /// It refused the request as a whole.
    #[error("the broker at {address} refuses {api}: {}", meaning(*code))]
    Refused {
        /// Its host and port.
        address: String,
        /// The request.
        api: &'static str,
        /// Kafka's error code.
        code: i16,
    },
    /// No such broker is in the cluster.
    #[error("broker {0} is not in the cluster now: is it down?")]
    NoBroker(i32),
}

impl WireError {
    pub(super) fn malformed(address: &str, api: &'static str, Malformed(reason): Malformed) -> Self {
        WireError::NoAnswer { address: address.to_owned(), api, reason }
    }
}

/// What a Kafka error code means, with what helps where that is known (`Errors` in Kafka's `clients` folder).
pub fn meaning(code: i16) -> String {
    let known = match code {
        3 => "it does not know the topic or partition (UNKNOWN_TOPIC_OR_PARTITION)",
        5 => "the partition has no leader (LEADER_NOT_AVAILABLE): is a broker down?",
        6 => "it leads the partition no more (NOT_LEADER_OR_FOLLOWER): try again",
        14 => "it is still loading what it coordinates (COORDINATOR_LOAD_IN_PROGRESS): try again in a while",
        15 => "its coordinator is not available (COORDINATOR_NOT_AVAILABLE): try again in a while",
        16 => "it is not the coordinator (NOT_COORDINATOR)",
        19 | 20 => "too few replicas are in sync (NOT_ENOUGH_REPLICAS): is a broker down?",
        29 => {
            "this user lacks the right READ on the topic, and an ACL must give it (TOPIC_AUTHORIZATION_FAILED)"
        }
        31 => {
            "this user lacks the right ALTER or CLUSTER_ACTION on the cluster, and an ACL must give it (CLUSTER_AUTHORIZATION_FAILED)"
        }
        33 => "it does not know the SASL mechanism (UNSUPPORTED_SASL_MECHANISM)",
        34 => {
            "it expects no SASL there (ILLEGAL_SASL_STATE): does `security.protocol` say what that port speaks?"
        }
        35 => "it does not know this version of the request (UNSUPPORTED_VERSION)",
        47 => {
            "a producer of a later epoch has written meanwhile (INVALID_PRODUCER_EPOCH): list the transactions again"
        }
        48 => "the transaction is not in a state for it (INVALID_TXN_STATE)",
        52 => {
            "a later coordinator has written meanwhile (TRANSACTION_COORDINATOR_FENCED): list the transactions again"
        }
        53 => {
            "this user lacks the right DESCRIBE on the transactional id, and an ACL must give it (TRANSACTIONAL_ID_AUTHORIZATION_FAILED)"
        }
        58 => "the credentials are wrong (SASL_AUTHENTICATION_FAILED)",
        105 => "it knows no such transactional id (TRANSACTIONAL_ID_NOT_FOUND)",
        _ => return format!("Kafka's error code {code}"),
    };
    known.to_owned()
}
