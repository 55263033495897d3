//! Access lists, which `rdkafka` cannot make.

use std::{ffi::CString, ptr};

use rdkafka::{
    ClientConfig,
    admin::AdminClient,
    bindings::{
        self as rd, rd_kafka_AclOperation_t as Operation, rd_kafka_ResourcePatternType_t as Pattern,
        rd_kafka_ResourceType_t as Resource,
    },
    client::DefaultClientContext,
};

/// From now on only users with that name, `User:…`, have that right to the topic; until then all had it.
pub fn allow(servers: &str, topic: &str, user: &str, operation: Operation) {
    let (kind, pattern) = (Resource::RD_KAFKA_RESOURCE_TOPIC, Pattern::RD_KAFKA_RESOURCE_PATTERN_LITERAL);
    create(servers, (kind, pattern, topic), user, operation);
}

/// The same of all transactional ids that begin so.
pub fn allow_transactions(servers: &str, prefix: &str, user: &str, operation: Operation) {
    let (kind, pattern) =
        (Resource::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID, Pattern::RD_KAFKA_RESOURCE_PATTERN_PREFIXED);
    create(servers, (kind, pattern, prefix), user, operation);
}

/// The same of all groups whose names begin so.
pub fn allow_groups(servers: &str, prefix: &str, user: &str, operation: Operation) {
    let (kind, pattern) = (Resource::RD_KAFKA_RESOURCE_GROUP, Pattern::RD_KAFKA_RESOURCE_PATTERN_PREFIXED);
    create(servers, (kind, pattern, prefix), user, operation);
}

/// The same of the group of exactly that name.
pub fn allow_group(servers: &str, group: &str, user: &str, operation: Operation) {
    let (kind, pattern) = (Resource::RD_KAFKA_RESOURCE_GROUP, Pattern::RD_KAFKA_RESOURCE_PATTERN_LITERAL);
    create(servers, (kind, pattern, group), user, operation);
}

fn create(servers: &str, (kind, pattern, name): (Resource, Pattern, &str), user: &str, operation: Operation) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let client = admin.inner().native_ptr();
    let [name, user, host] = [name, user, "*"].map(|text| CString::new(text).unwrap());
    // SAFETY: the strings and the client outlive the calls; each object is destroyed once, after its last use.
    unsafe {
        let mut acl = rd::rd_kafka_AclBinding_new(
            kind,
            name.as_ptr(),
            pattern,
            user.as_ptr(),
            host.as_ptr(),
            operation,
            rd::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
            ptr::null_mut(),
            0,
        );
        assert!(!acl.is_null());
        let queue = rd::rd_kafka_queue_new(client);
        rd::rd_kafka_CreateAcls(client, &mut acl, 1, ptr::null(), queue);
        let event = rd::rd_kafka_queue_poll(queue, -1);
        assert_eq!(rd::rd_kafka_event_error(event), rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        let mut count = 0;
        let result = rd::rd_kafka_event_CreateAcls_result(event);
        let results = rd::rd_kafka_CreateAcls_result_acls(result, &mut count);
        assert_eq!(count, 1);
        assert!(rd::rd_kafka_acl_result_error(*results).is_null(), "the broker refuses the access list");
        rd::rd_kafka_event_destroy(event);
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AclBinding_destroy(acl);
    }
}
