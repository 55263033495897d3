//! Who may not see all transactional ids cannot know that a transaction hangs.

use super::{PASSWORD, READ, create_topics, scram_user, secured, set_password, site, trusting};
use crate::harness::{Forged, allow, forge, read_committed, read_uncommitted};

#[test]
fn what_a_user_may_not_see_is_not_said_to_hang_and_whoever_may_not_abort_it_is_told_the_right() {
    let (broker, folder) = (secured(), tempfile::tempdir().unwrap());
    let way = [trusting(&broker.authority, &folder, "SASL_SSL"), scram_user("looker")].concat();
    let site = site("looker", &broker.scram(), &way, PASSWORD);
    set_password(&site.servers, "looker", PASSWORD);
    create_topics(&site);
    let topic = site.source.clone();
    allow(&site.servers, &topic, "User:looker", READ);
    let forged = Forged { producer: 471_100, epoch: 0, sequence: 0 };
    assert_eq!(forge(&site.servers, &topic, 0, forged, "nobodys"), 0);

    let (code, list, stderr) = site.pipeline(&["transactions", "list", "factorial.toml"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{list}");
    let parts = [
        "may hang: no coordinator says that it knows its producer",
        "lacks the right DESCRIBE",
        "1 transaction is open, and it does not hang as far as is known",
    ];
    assert!(parts.iter().all(|part| list.contains(part)), "{list}");
    let abort = [
        "transactions",
        "abort",
        "factorial.toml",
        "--topic",
        &topic,
        "--partition",
        "0",
        "--start-offset",
        "0",
        "--yes",
    ];
    let (code, _, stderr) = site.pipeline(&abort);
    assert!(
        code == 1 && stderr.contains("nothing was aborted, as it may be that it does not hang"),
        "{stderr}"
    );
    let (code, _, stderr) = site.pipeline(&[&abort[..], &["--force"]].concat());
    assert!(
        code == 1 && stderr.contains("lacks the right ALTER or CLUSTER_ACTION on the cluster"),
        "{stderr}"
    );

    // Who may see and do everything.
    let plain = site.servers.clone();
    let site = site.without("kafka.").through(&plain);
    let (_, list, _) = site.pipeline(&["transactions", "list", "factorial.toml"]);
    assert!(list.contains("HANGS: no coordinator knows its producer"), "{list}");
    let (code, _, stderr) = site.pipeline(&abort);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(read_committed(&plain, &topic), []);
    let keys: Vec<String> =
        read_uncommitted(&plain, &topic).iter().map(|record| record.key().to_owned()).collect();
    assert_eq!(keys, ["nobodys"]);
}
