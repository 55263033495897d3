//! Permanent errors: no retry helps until a person changes something.

use rdkafka::{ClientContext, client::Client, error::KafkaError, types::RDKafkaErrorCode as Code};

use crate::engine::Stop;

/// The stop for an error, where it is one of those.
pub fn of_error(error: &KafkaError) -> Option<Stop> {
    of_code(error.rdkafka_error_code()?, &error.to_string())
}

/// The stop for a client's fatal error, where it has one of those.
pub fn of_client<C: ClientContext>(client: &Client<C>) -> Option<Stop> {
    let (code, reason) = client.fatal_error()?;
    of_code(code, &reason)
}

fn of_code(code: Code, reason: &str) -> Option<Stop> {
    let what = match code {
        Code::GroupAuthorizationFailed => {
            "the broker does not let this user be in the group: an ACL must give it the right READ"
        }
        Code::TransactionalIdAuthorizationFailed => {
            "the broker does not let this user have transactions: an ACL must give it the right WRITE on transactional \
             ids that begin with the pipeline's name"
        }
        Code::ClusterAuthorizationFailed => {
            "the broker does not let this user write idempotently: an ACL must give it the right WRITE on the topic, or \
             IDEMPOTENT_WRITE on the cluster"
        }
        Code::InvalidTransactionTimeout => {
            "the broker takes no transaction.timeout.ms of this size in [sink.kafka]: its transaction.max.timeout.ms is less"
        }
        Code::FencedInstanceId => {
            "another member of the group has the same group.instance.id, and took this one's place: each worker needs one \
             of its own, or none"
        }
        Code::OffsetMetadataTooLarge => {
            "the broker does not take the metadata of this pipeline's offsets, 3,072 bytes at most: raise its \
             offset.metadata.max.bytes, which is 4096 where nobody changed it, or set order = \"partition\", which needs none"
        }
        _ => return None,
    };
    Some(Stop::Fatal(format!("{what} ({reason})")))
}
