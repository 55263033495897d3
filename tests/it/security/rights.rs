//! A missing right is named, and the worker ends: nothing but an ACL helps.

use rdkafka::bindings::rd_kafka_AclOperation_t as Operation;

use super::{
    PASSWORD, READ, TRANSACTIONS, WRITE, create_topics, ends, scram_user, secured, set_password, site,
    trusting,
};
use crate::harness::{Producer, Site, all_of, allow, allow_group, allow_groups, allow_transactions};

/// What a worker needs a right to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Needed {
    Source,
    Sink,
    Group,
    TransactionalId,
}

/// Everything but that.
fn allow_but(site: &Site, user: &str, lacks: Needed) {
    let (plain, user) = (&site.servers, format!("User:{user}"));
    let describe = Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE;
    allow(plain, &site.source, &user, if lacks == Needed::Source { describe } else { READ });
    allow(plain, &site.sink, &user, if lacks == Needed::Sink { describe } else { WRITE });
    allow(plain, &site.dead_letters, &user, WRITE);
    if lacks != Needed::Group {
        allow_groups(plain, &site.source, &user, READ);
    }
    if lacks != Needed::TransactionalId {
        allow_transactions(plain, TRANSACTIONS, &user, WRITE);
    }
}

#[test]
fn without_a_right_to_a_topic_group_or_transactional_id_the_worker_ends_with_a_sentence_that_names_it() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let read = ["does not let this user read", "Topic authorization failed"];
    let write = ["does not let this user write", "Topic authorization failed"];
    let group = ["does not let this user", "Group authorization failed"];
    let transactions = ["does not let this user have transactions", "right WRITE on transactional"];
    let cases = [
        ("at-least-once", Needed::Source, read),
        ("exactly-once", Needed::Source, read),
        ("at-least-once", Needed::Sink, write),
        ("exactly-once", Needed::Sink, write),
        ("at-least-once", Needed::Group, group),
        ("exactly-once", Needed::Group, group),
        ("exactly-once", Needed::TransactionalId, transactions),
    ];
    std::thread::scope(|scope| {
        for (index, (guarantee, lacks, parts)) in cases.into_iter().enumerate() {
            let trusting = trusting(&broker.authority, &folder, "SASL_SSL");
            scope.spawn(move || {
                let user = format!("lacks-{index}");
                let way = [trusting, scram_user(&user)].concat();
                let site = site("no-right", &broker.scram(), &way, PASSWORD);
                let site = site.with(&[&format!("guarantee={guarantee}")]);
                set_password(&site.servers, &user, PASSWORD);
                create_topics(&site);
                allow_but(&site, &user, lacks);
                let requests = Producer::existing(&site.servers, &site.source);
                requests.send("id", Some(b"10"), None);
                requests.flush();
                let error = ends(&site, PASSWORD);
                assert!(
                    parts.iter().all(|part| error.contains(part)),
                    "without {lacks:?}, {guarantee}: {error}"
                );
            });
        }
    });
}

#[test]
fn a_worker_that_may_not_see_whether_it_is_paused_says_so_once_and_goes_on() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let way = [trusting(&broker.authority, &folder, "SASL_SSL"), scram_user("uncontrolled")].concat();
    let site = site("uncontrolled", &broker.scram(), &way, PASSWORD);
    set_password(&site.servers, "uncontrolled", PASSWORD);
    create_topics(&site);
    allow_but(&site, "uncontrolled", Needed::Group);
    allow_group(&site.servers, &site.source, "User:uncontrolled", READ);
    let worker = site.worker(&["metrics.listen=127.0.0.1:0"]);
    let requests = Producer::existing(&site.servers, &site.source);
    requests.send("id", Some(b"10"), None);
    requests.flush();
    site.results(all_of(["id".to_owned()]));
    let lacks = format!("this user lacks the right READ on the group {}.control", site.source);
    worker.says(&["are not followed for now", &lacks]);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(worker.log().matches(".control").count(), 1, "{}", worker.log());
    let (code, _, stderr) = site.pipeline(&["pause", "factorial.toml"]);
    assert!(code == 1 && stderr.contains(&lacks), "{stderr}");
}

#[test]
fn a_topic_that_may_not_even_be_seen_is_no_topic_and_the_rights_are_named() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let way = [trusting(&broker.authority, &folder, "SASL_SSL"), scram_user("blind")].concat();
    let site = site("unseen", &broker.scram(), &way, PASSWORD);
    set_password(&site.servers, "blind", PASSWORD);
    create_topics(&site);
    let expected = format!(
        "cannot create topic {}: this user lacks the right CREATE on it, or DESCRIBE if it is there already; an ACL must \
         give it",
        site.source
    );
    assert_eq!(ends(&site, PASSWORD), expected);
}
