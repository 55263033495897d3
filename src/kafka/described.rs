//! What the brokers say of a topic or group. `rdkafka` lacks the admin calls for it, so they are made here.

use std::{ffi::CString, time::Duration};

use rdkafka::{bindings as rd, types::RDKafkaErrorCode as Code};

/// What is read from the description of a group, by either protocol: the broker is asked by KIP-848's first.
///
/// # Errors
/// Where the broker does not say.
///
/// # Safety
/// `client` must be a live client; `read` is given a live description.
pub unsafe fn group<T>(
    client: *mut rd::rd_kafka_t,
    group: &str,
    limit: Duration,
    read: impl FnOnce(*const rd::rd_kafka_ConsumerGroupDescription_t) -> T,
) -> Result<T, Code> {
    let name = CString::new(group).map_err(|_| Code::InvalidArgument)?;
    let mut names = [name.as_ptr()];
    // SAFETY: the caller vouches for `client`; the names outlive the call, which copies them.
    unsafe {
        let answer = Answer::request(
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
        check(rd::rd_kafka_ConsumerGroupDescription_error(*found))?;
        Ok(read(*found))
    }
}

/// The event that answers an admin call; destroyed once.
pub struct Answer(pub *mut rd::rd_kafka_event_t);

impl Answer {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Where the broker does not say.
    ///
    /// # Safety
    /// `client` must be a live client, and `ask` must have one event put into the queue.
    pub unsafe fn request(
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

/// What an admin call says of one thing.
///
/// # Errors
/// What is wrong with it.
///
/// # Safety
/// `error` must be null or live.
pub unsafe fn check(error: *const rd::rd_kafka_error_t) -> Result<(), Code> {
    // SAFETY: the caller vouches for it; no error has the code for none.
    match unsafe { rd::rd_kafka_error_code(error) } {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(code.into()),
    }
}
