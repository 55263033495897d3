//! Users with passwords, and what they may do: what `rdkafka` cannot set.

use std::{ffi::CString, ptr};

use rdkafka::{ClientConfig, admin::AdminClient, bindings as rd, client::DefaultClientContext};

/// From now on the user has this password, and no other.
pub fn set_password(servers: &str, user: &str, password: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let client = admin.inner().native_ptr();
    let user = CString::new(user).unwrap();
    // SAFETY: the strings and the client outlive the calls; each object is destroyed once, after its last use.
    unsafe {
        let mut alteration = rd::rd_kafka_UserScramCredentialUpsertion_new(
            user.as_ptr(),
            rd::rd_kafka_ScramMechanism_t::RD_KAFKA_SCRAM_MECHANISM_SHA_512,
            4_096,
            password.as_ptr(),
            password.len(),
            ptr::null(),
            0,
        );
        let queue = rd::rd_kafka_queue_new(client);
        rd::rd_kafka_AlterUserScramCredentials(client, &mut alteration, 1, ptr::null(), queue);
        let event = rd::rd_kafka_queue_poll(queue, -1);
        assert_eq!(rd::rd_kafka_event_error(event), rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        let result = rd::rd_kafka_event_AlterUserScramCredentials_result(event);
        let mut count = 0;
        let responses = rd::rd_kafka_AlterUserScramCredentials_result_responses(result, &mut count);
        assert_eq!(count, 1);
        let error = rd::rd_kafka_AlterUserScramCredentials_result_response_error(*responses);
        let code = rd::rd_kafka_error_code(error);
        assert_eq!(code, rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, "the broker refuses the user");
        rd::rd_kafka_event_destroy(event);
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_UserScramCredentialAlteration_destroy(alteration);
    }
}
