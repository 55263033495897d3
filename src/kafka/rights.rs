//! What this user may do with topics, a consumer group and transactions. `rdkafka` lacks the admin calls for
//! it, so they are made here.

use std::{
    ffi::CString,
    slice,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, bindings as rd,
    producer::{BaseProducer, Producer},
    types::RDKafkaErrorCode as Code,
};

use super::described::{self, Answer, check};

/// The pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// What a user may do with a topic or group, by the names of Kafka's ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
}

impl Right {
    /// Its name in ACLs.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "READ",
            Right::Write => "WRITE",
        }
    }

    fn native(self) -> rd::rd_kafka_AclOperation_t {
        match self {
            Right::Read => rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Right::Write => rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
        }
    }
}

/// Whether the user has the right to a topic.
///
/// # Errors
/// Where the broker does not say.
///
/// # Safety
/// `client` must be a live client.
pub unsafe fn to_topic(
    client: *mut rd::rd_kafka_t,
    topic: &str,
    right: Right,
    limit: Duration,
) -> Result<bool, Code> {
    let name = CString::new(topic).map_err(|_| Code::InvalidArgument)?;
    let mut names = [name.as_ptr()];
    // SAFETY: the caller vouches for `client`; the collection outlives the call, which copies it.
    unsafe {
        let topics = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let answer = Answer::request(
            client,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            limit,
            |options, queue| rd::rd_kafka_DescribeTopics(client, topics, options, queue),
        );
        rd::rd_kafka_TopicCollection_destroy(topics);
        let answer = answer?;
        let (result, mut count) = (rd::rd_kafka_event_DescribeTopics_result(answer.0), 0);
        let found = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 {
            return Err(Code::BadMessage);
        }
        check(rd::rd_kafka_TopicDescription_error(*found))?;
        let operations = rd::rd_kafka_TopicDescription_authorized_operations(*found, &mut count);
        Ok(is_among(right, operations, count))
    }
}

/// Whether the user has the right to a consumer group, which need not exist.
///
/// # Errors
/// Where the broker does not say.
///
/// # Safety
/// `client` must be a live client.
pub unsafe fn to_group(
    client: *mut rd::rd_kafka_t,
    group: &str,
    right: Right,
    limit: Duration,
) -> Result<bool, Code> {
    let give_up = Instant::now() + limit;
    loop {
        // SAFETY: the caller vouches for `client`.
        match unsafe { to_group_once(client, group, right, limit) } {
            // The first group of a new cluster gets its coordinator only after some seconds.
            Err(Code::CoordinatorNotAvailable | Code::CoordinatorLoadInProgress | Code::NotCoordinator)
                if Instant::now() < give_up =>
            {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

unsafe fn to_group_once(
    client: *mut rd::rd_kafka_t,
    group: &str,
    right: Right,
    limit: Duration,
) -> Result<bool, Code> {
    // SAFETY: the caller vouches for `client`; the description is live while it is read.
    unsafe {
        described::group(client, group, limit, |found| {
            let mut count = 0;
            let operations = rd::rd_kafka_ConsumerGroupDescription_authorized_operations(found, &mut count);
            is_among(right, operations, count)
        })
    }
}

/// Whether the user may use transactions with the `transactional.id` of that configuration.
///
/// A broker checks the right before the transaction timeout, and refuses the one that is sent here, so that
/// nothing is changed. (Where the broker has no limit for it, the id exists afterwards, without a
/// transaction.)
///
/// # Errors
/// Where the broker does not say.
pub fn to_transactions(config: &ClientConfig, limit: Duration) -> Result<bool, Code> {
    let mut config = config.clone();
    config.set("transaction.timeout.ms", i32::MAX.to_string());
    let producer: BaseProducer =
        config.create().map_err(|error| error.rdkafka_error_code().unwrap_or(Code::InvalidConfig))?;
    match producer.init_transactions(limit).map_err(|error| error.rdkafka_error_code()) {
        Ok(()) | Err(Some(Code::InvalidTransactionTimeout)) => Ok(true),
        Err(Some(Code::TransactionalIdAuthorizationFailed)) => Ok(false),
        Err(code) => Err(code.unwrap_or(Code::Unknown)),
    }
}

/// # Safety
/// `operations` must point to `count` of them, or be null.
unsafe fn is_among(right: Right, operations: *const rd::rd_kafka_AclOperation_t, count: usize) -> bool {
    if operations.is_null() || count == 0 {
        return false;
    }
    // SAFETY: the caller vouches for both.
    let operations = unsafe { slice::from_raw_parts(operations, count) };
    operations.contains(&right.native())
}
