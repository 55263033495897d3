//! TLS, passwords and rights, against a real broker that asks for them.

mod certificates;
mod rights;
mod secured;
mod users;
mod ways_in;
mod withdrawn;

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use crate::harness::{Names, Worker, allow, allow_groups, allow_transactions, create_topic};

pub use certificates::Authority;
pub use secured::{Secured, scram_user, secured, trusting};
pub use users::set_password;

/// The user's own, so that it would be found wherever it is printed.
pub const PASSWORD: &str = "hunter2-and-nobody-else";

/// How the transactional ids of the pipeline `factorial` begin.
const TRANSACTIONS: &str = "factorial-";
const READ: Operation = Operation::RD_KAFKA_ACL_OPERATION_READ;
const WRITE: Operation = Operation::RD_KAFKA_ACL_OPERATION_WRITE;

/// The pipeline's topics are there, and nobody may do anything with them.
pub fn topics(broker: &Secured, names: &Names) {
    for topic in [&names.source, &names.sink, &names.dead_letters] {
        create_topic(&broker.plain(), topic, 2, &[]);
    }
}

/// The user may do all that a worker, a gateway and whoever asks need.
pub fn allow_all(broker: &Secured, names: &Names, user: &str) {
    let (plain, user) = (broker.plain(), format!("User:{user}"));
    for topic in [&names.source, &names.sink, &names.dead_letters] {
        allow(&plain, topic, &user, READ);
        allow(&plain, topic, &user, WRITE);
    }
    allow_groups(&plain, &names.source, &user, READ);
    allow_transactions(&plain, TRANSACTIONS, &user, WRITE);
}

/// `pipeline` with these arguments and settings, and that password in its environment: exit code, standard output and
/// error.
pub fn pipeline(
    servers: &str,
    arguments: &[&str],
    settings: &[String],
    password: &str,
) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(arguments)
        .args(settings.iter().map(|setting| format!("--set={setting}")))
        .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
        .env("PASSWORD", password)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Why a worker with these settings, and that password in its environment, ends by itself: what it says last.
pub fn ends(servers: &str, settings: &[String], password: &str) -> String {
    let variables = [("PASSWORD", password)];
    let settings = [settings, &["metrics.listen=127.0.0.1:0".to_owned()]].concat();
    let mut worker = Worker::start_with(servers, &settings, &variables);
    worker.says(&["error: "]);
    assert_eq!(worker.wait(Duration::from_secs(60)).code(), Some(1), "{}", worker.log());
    let log = worker.log();
    assert!(!log.contains(password), "the password is seen in {log}");
    let mut errors = log.lines().filter_map(|line| line.strip_prefix("error: "));
    let error = errors.next().unwrap_or_else(|| panic!("no error in {log}"));
    assert_eq!(errors.next(), None, "{log}");
    error.to_owned()
}
