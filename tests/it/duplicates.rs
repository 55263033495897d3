//! Records that come again.

use std::{collections::BTreeSet, fs};

use crate::harness::{Producer, Site, all_of, create_topic};

const FILE: &str = r#"
name = "once"
guarantee = "exactly-once"

[source]
topic = "from-site"
format = "string"

[source.deduplicate]
by = "headers['id']"
within = "24 h"

[operators.identity]

[sink]
topic = "from-site"
format = "string"
"#;

fn ids(from: usize, to: usize) -> BTreeSet<String> {
    (from..to).map(|n| format!("id-{n}")).collect()
}

#[test]
fn what_comes_again_is_left_out_although_all_workers_were_killed_in_between() {
    let site = Site::new("once");
    let producer = Producer::new(&site.servers, &site.source, 2, &[]);
    create_topic(&site.servers, &site.sink, 2, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("once.toml");
    fs::write(&file, FILE).unwrap();
    let file = file.to_str().unwrap();
    // In each round the first value of an id is new, and what comes behind it is not.
    let ask = |ids: &BTreeSet<String>, values: &[&str]| {
        for value in values {
            ids.iter().for_each(|id| producer.send(id, Some(value.as_bytes()), None));
        }
        producer.flush();
    };
    ask(&ids(0, 500), &["first", "again"]);
    let workers = [site.start(&["run", file], &[]), site.start(&["run", file], &[])];
    site.results(all_of(ids(0, 500)));
    for worker in workers {
        worker.kill();
    }
    ask(&ids(0, 500), &["again"]);
    ask(&ids(400, 1_000), &["first", "again"]);
    // Behind all that must be left out, in each partition.
    ask(&ids(1_000, 1_100), &["first"]);
    let _worker = site.start(&["run", file], &[]);
    site.results(all_of(ids(0, 1_100)));

    let results = site.read(&site.sink);
    let found: BTreeSet<String> = results.iter().map(|result| result.key().to_owned()).collect();
    assert!(found == ids(0, 1_100), "{} ids", found.len());
    assert_eq!(results.len(), 1_100, "some are double");
    assert!(results.iter().all(|result| result.value() == "first"), "the first one wins");
}
