//! What this user may do with topics, a consumer group and transactions. The admin calls that tell it are not in `rdkafka`, so
//! they are made here.

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

/// The pause before a question is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a user may do with a topic or group, by the names of Kafka's ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
}

impl Right {
    /// As ACLs name it.
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

/// Whether the user has the right to a topic; an error says that the broker does not tell.
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
        let answer = Answer::ask(
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
        told(rd::rd_kafka_TopicDescription_error(*found))?;
        let operations = rd::rd_kafka_TopicDescription_authorized_operations(*found, &mut count);
        Ok(is_among(right, operations, count))
    }
}

/// Whether the user has the right to a consumer group, which need not be there.
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
            // A cluster's first group has its coordinator some seconds later.
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
    let name = CString::new(group).map_err(|_| Code::InvalidArgument)?;
    let mut names = [name.as_ptr()];
    // SAFETY: the caller vouches for `client`; the names outlive the call, which copies them.
    unsafe {
        let answer = Answer::ask(
            client,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
            limit,
            |options, queue| {
                rd::rd_kafka_DescribeConsumerGroups(client, names.as_mut_ptr(), 1, options, queue);
            },
        )?;
        let (result, mut count) = (rd::rd_kafka_event_DescribeConsumerGroups_result(answer.0), 0);
        let found = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        if count == 0 {
            return Err(Code::BadMessage);
        }
        told(rd::rd_kafka_ConsumerGroupDescription_error(*found))?;
        let operations = rd::rd_kafka_ConsumerGroupDescription_authorized_operations(*found, &mut count);
        Ok(is_among(right, operations, count))
    }
}

/// Whether the user may have transactions with the `transactional.id` of that configuration.
///
/// A broker looks at the right before it looks at the time that a transaction may take, and refuses this one: so nothing
/// is changed by the question. (Where there is no limit to that time, the id is there afterwards, with no transaction.)
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

/// The event that answers a question; destroyed once.
struct Answer(*mut rd::rd_kafka_event_t);

impl Answer {
    /// # Safety
    /// `client` must be a live client, and `ask` put one event into the queue.
    unsafe fn ask(
        client: *mut rd::rd_kafka_t,
        operation: rd::rd_kafka_admin_op_t,
        limit: Duration,
        ask: impl FnOnce(*const rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    ) -> Result<Answer, Code> {
        let millis = limit.as_millis() as i32;
        let mut reason = [0; 256];
        // SAFETY: the caller vouches for `client`; queue and options are destroyed once, after their last use.
        unsafe {
            let queue = rd::rd_kafka_queue_new(client);
            let options = rd::rd_kafka_AdminOptions_new(client, operation);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, millis, reason.as_mut_ptr(), reason.len());
            let refused = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
            if !refused.is_null() {
                rd::rd_kafka_error_destroy(refused);
            }
            ask(options, queue);
            // librdkafka answers within the options' limit, with an error at worst.
            let event = rd::rd_kafka_queue_poll(queue, -1);
            rd::rd_kafka_AdminOptions_destroy(options);
            rd::rd_kafka_queue_destroy(queue);
            let answer = Answer(event);
            match rd::rd_kafka_event_error(event) {
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(answer),
                code => Err(code.into()),
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: ours, and destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0) }
    }
}

/// # Safety
/// `error` must be null or live.
unsafe fn told(error: *const rd::rd_kafka_error_t) -> Result<(), Code> {
    // SAFETY: the caller vouches for it; no error has the code for none.
    match unsafe { rd::rd_kafka_error_code(error) } {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(code.into()),
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
