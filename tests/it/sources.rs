//! Records from several topics.

use std::collections::BTreeSet;

use crate::harness::{LIMIT, Producer, Site, all_of, create_topic, ensure, eventually};

/// Where a result's request was, from the header that the pipeline sets.
const FILE: &str = r#"
name = "sources"
guarantee = "exactly-once"

[source]
topics = ["from-site"]
format = "json"

[operators.headers]
set.from = "topic"

[sink]
topic = "from-site"
format = "json"
"#;

fn file(folder: &tempfile::TempDir) -> String {
    let file = folder.path().join("sources.toml");
    std::fs::write(&file, FILE).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The ids that a topic's requests have.
fn ids(topic: &str, round: usize) -> BTreeSet<String> {
    (0..200).map(|n| format!("{topic}/{round}/{n}")).collect()
}

fn ask(producer: &Producer, ids: &BTreeSet<String>) {
    ids.iter().for_each(|id| producer.send(id, Some(b"{}"), None));
    producer.flush();
}

/// That every one of the ids is there once, and says where it came from.
fn assert_all(site: &Site, ids: &BTreeSet<String>) {
    site.results(all_of(ids.clone()));
    let results = site.read(&site.sink);
    let found: BTreeSet<String> = results.iter().map(|result| result.key().to_owned()).collect();
    assert_eq!((found.len(), &found), (results.len(), ids));
    for result in results {
        assert_eq!(result.header("from"), result.key().split('/').next());
    }
}

#[test]
fn the_records_of_several_topics_are_done_once_each_although_workers_are_killed() {
    let site = Site::new("sources");
    let topics = ["a", "b", "c"].map(|name| format!("{}-{name}", site.source));
    let producers = topics.each_ref().map(|topic| Producer::new(&site.servers, topic, 2, &[]));
    create_topic(&site.servers, &site.sink, 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (file, site) = (file(&folder), site.without("source.topic"));
    let setting = format!("source.topics={topics:?}");
    let worker = || site.start(&["run", &file], &[&setting]);

    let (mut all, mut running) = (BTreeSet::new(), worker());
    for round in 0..3 {
        for (topic, producer) in topics.iter().zip(&producers) {
            let ids = ids(topic, round);
            ask(producer, &ids);
            all.extend(ids);
        }
        running.kill();
        running = worker();
    }
    assert_all(&site, &all);
    // In one rebalance or in two: a killed worker's partitions may come later.
    for topic in &topics {
        running.says(&["rebalance: assign partitions ", &format!("{topic}[0]")]);
        let series = format!("pipeline_assigned_partitions{{pipeline=\"sources\",topic=\"{topic}\"}}");
        eventually(LIMIT, || {
            let of_it = running.metric(&series);
            ensure(of_it == 2.0, || format!("{series} is {of_it}"))
        });
    }
    running.terminate();
}

#[test]
fn a_topic_that_matches_the_pattern_is_read_soon_after_it_is_made() {
    let site = Site::new("pattern");
    let topics = ["a", "b"].map(|name| format!("{}-{name}", site.source));
    let first = Producer::new(&site.servers, &topics[0], 2, &[]);
    create_topic(&site.servers, &site.sink, 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (file, site) = (file(&folder), site.without("source.topic"));
    let pattern = format!("source.pattern={}-[ab]", site.source);
    let worker = site.start(&["run", &file], &[&pattern]);
    let mut all = ids(&topics[0], 0);
    ask(&first, &all);
    assert_all(&site, &all);

    let second = Producer::new(&site.servers, &topics[1], 2, &[]);
    let more = ids(&topics[1], 0);
    ask(&second, &more);
    all.extend(more);
    assert_all(&site, &all);
    worker.terminate();
}
