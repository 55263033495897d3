//! TLS, passwords and rights, against a real broker that asks for them.

mod certificates;
mod rights;
mod secured;
mod transactions;
mod users;
mod ways_in;
mod withdrawn;

use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{Site, allow, allow_groups, allow_transactions, create_topic};

pub use certificates::Authority;
pub use secured::{scram_user, secured, trusting};
pub use users::set_password;

/// The user's own, so that it would be found wherever it is printed.
pub const PASSWORD: &str = "hunter2-and-nobody-else";

/// How the transactional ids of the pipeline `factorial` begin.
const TRANSACTIONS: &str = "factorial-";
const READ: Operation = Operation::RD_KAFKA_ACL_OPERATION_READ;
const WRITE: Operation = Operation::RD_KAFKA_ACL_OPERATION_WRITE;

/// A site whose processes come to the broker there, with these settings, and that password in their environment.
pub fn site(test: &str, servers: &str, way: &[String], password: &str) -> Site {
    let way: Vec<&str> = way.iter().map(String::as_str).collect();
    Site::at(&secured().plain(), test).through(servers).with(&way).env("PASSWORD", password)
}

/// Its topics are there, and nobody may do anything with them.
pub fn create_topics(site: &Site) {
    for topic in site.topics() {
        create_topic(&site.servers, topic, 2, &[]);
    }
}

/// The user may do all that a worker, a gateway and a caller need.
pub fn allow_all(site: &Site, user: &str) {
    let (plain, user) = (&site.servers, format!("User:{user}"));
    for topic in site.topics() {
        allow(plain, topic, &user, READ);
        allow(plain, topic, &user, WRITE);
    }
    allow_groups(plain, &site.source, &user, READ);
    allow_transactions(plain, TRANSACTIONS, &user, WRITE);
}

/// Why a worker ends by itself, whose password nobody sees in what it says.
pub fn ends(site: &Site, password: &str) -> String {
    let mut worker = site.worker(&["metrics.listen=127.0.0.1:0"]);
    let error = worker.fails();
    assert!(!worker.log().contains(password), "the password is seen in {}", worker.log());
    error
}
