//! Finished factorials: what was computed once is not computed again, whoever asks whom.

use std::{collections::BTreeMap, path::Path, time::Duration};

use pipeline::{
    factorial::factorial_decimal,
    pieces::{Manifest, Place},
};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, Worker, create_topic, delete_records, ensure, eventually, records_within,
};

fn site(test: &str, guarantee: &str, more: &[&str]) -> Site {
    let guarantee = format!("guarantee={guarantee}");
    let site = Site::new(test).with(&[&guarantee, "operators.factorial.finished=64 MiB"]).with(more);
    create_topic(&site.servers, &site.source, 4, &[]);
    site
}

fn worker(site: &Site, folder: &Path) -> Worker {
    site.worker(&[&format!("state.folder={}", folder.display())])
}

/// Asks for each n, and returns the results of these requests by n. Round after round each is in another partition, so that other
/// workers get it.
fn ask(site: &Site, round: usize, all: &[u32]) -> BTreeMap<u32, Consumed> {
    let producer = Producer::existing(&site.servers, &site.source);
    for (place, n) in all.iter().enumerate() {
        let partition = i32::try_from((place + round) % 4).unwrap();
        producer.send(&format!("{round}-{n}"), Some(n.to_string().as_bytes()), Some(partition));
    }
    producer.flush();
    let mut results = BTreeMap::new();
    records_within(&site.servers, &site.sink, LIMIT, |record| {
        if let Some((of, n)) = record.header("id").and_then(|id| id.split_once('-'))
            && of == round.to_string()
            && record.header("pipeline.piece").is_none()
        {
            results.insert(n.parse().unwrap(), record.clone());
        }
        results.len() == all.len()
    });
    assert!(results.keys().eq(all), "in round {round} only {:?} came", results.keys());
    results
}

/// Asks again and again until nothing is computed any more.
fn until_known(computed: &mut impl FnMut() -> usize) {
    eventually(Duration::from_secs(60), || {
        let computed = computed();
        ensure(computed == 0, || format!("{computed} were computed"))
    });
}

fn finished(worker: &Worker) -> f64 {
    worker.metric("pipeline_factorial_finished_total{")
}

#[test]
fn what_one_worker_has_computed_no_worker_computes_again() {
    let small = 0..10;
    let all: Vec<u32> = small.clone().chain(150_000..150_012).collect();
    for guarantee in ["at-least-once", "exactly-once"] {
        let site = site("finished", guarantee, &[]);
        let folder = tempfile::tempdir().unwrap();
        let mut round = 0;
        // How many were computed, of those that are worth it.
        let mut computed = || {
            let results = ask(&site, round, &all);
            round += 1;
            let mut computed = 0;
            for (n, result) in results {
                assert!(result.value() == format!("{n};{}", factorial_decimal(n)), "not the digits of {n}!");
                let said = result.header("pipeline.finished");
                assert!(
                    said.is_none() || said == Some(&n.to_string()) && !small.contains(&n),
                    "{n}: {said:?}"
                );
                computed += usize::from(said.is_some());
            }
            computed
        };
        let (one, other) = (worker(&site, folder.path()), worker(&site, folder.path()));
        assert_eq!(computed(), 12, "{guarantee}");
        until_known(&mut computed);
        assert!(finished(&one) + finished(&other) >= 12.0);
        one.kill();
        other.kill();
        // Whoever comes without a folder learns it of the topic.
        let elsewhere = tempfile::tempdir().unwrap();
        let third = worker(&site, elsewhere.path());
        until_known(&mut computed);
        assert!(finished(&third) >= 12.0);
        third.terminate();
        // And whoever has one knows it at once.
        let fourth = worker(&site, elsewhere.path());
        assert_eq!((computed(), finished(&fourth)), (0, 12.0), "{guarantee}");
        fourth.terminate();
    }
}

#[test]
fn a_large_result_is_known_until_its_pieces_are_gone() {
    let site = site("finished-large", "exactly-once", &["sink.large=pieces"]);
    create_topic(&site.servers, &site.sink, 4, &[("max.message.bytes", "300000")]);
    let folder = tempfile::tempdir().unwrap();
    let worker = worker(&site, folder.path());
    let mut round = 0;
    let mut manifest = |is_computed: bool| {
        eventually(Duration::from_secs(60), || {
            let record = &ask(&site, round, &[200_000])[&200_000];
            round += 1;
            assert_eq!(record.header("pipeline.manifest"), Some("1"));
            let said = record.header("pipeline.finished").map(str::to_owned);
            ensure(said.is_some() == is_computed, || format!("{said:?}"))?;
            let Place::Topic(pieces) = Manifest::read(record.value.as_deref().unwrap())?.place else {
                return Err("it is elsewhere".to_owned());
            };
            Ok(pieces)
        })
    };
    let can_be_read = || {
        let (code, stdout, stderr) = site.pipeline(&["request", "200000"]);
        let right = format!("200000;{}", factorial_decimal(200_000));
        assert!(code == 0 && stdout.trim_end() == right, "{stderr}");
    };
    let computed = manifest(true);
    let known = manifest(false);
    can_be_read();
    for pieces in [&computed, &known] {
        delete_records(&site.servers, &site.sink, pieces.partition, pieces.offsets[0]);
    }
    // The worker looks now and then where the topic begins.
    let again = manifest(true);
    assert!(again != computed && again != known);
    can_be_read();
    worker.terminate();
}
