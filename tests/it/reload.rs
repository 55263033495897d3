//! A file that changes while its worker runs.

use std::{collections::BTreeSet, fs, path::Path};

use crate::harness::{Site, create_topic};

fn write(file: &Path, site: &Site, field: &str, more: &str) {
    let text = format!(
        "name = \"changed\"\nguarantee = \"exactly-once\"\n[source]\ntopic = \"{}\"\nformat = \"json\"\n[operators.map]\n\
         set.by = \"{field}\"\n[sink]\ntopic = \"{}\"\nformat = \"json\"\n{more}\n",
        site.source, site.sink
    );
    // As editors do it.
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

/// Sends records, and returns what becomes of them with a map that sets that.
fn send(site: &Site, numbers: std::ops::Range<usize>) {
    let producer = crate::harness::Producer::existing(&site.servers, &site.source);
    numbers.for_each(|n| producer.send(&format!("k-{n}"), Some(format!("{{\"n\":{n}}}").as_bytes()), None));
    producer.flush();
}

fn results(numbers: std::ops::Range<usize>, by: &str) -> BTreeSet<String> {
    numbers.map(|n| format!("{{\"n\":{n},\"by\":\"{by}\"}}")).collect()
}

fn wait_for(site: &Site, mut open: BTreeSet<String>) {
    site.results(|result| {
        open.remove(result.value());
        open.is_empty()
    });
}

#[test]
fn a_changed_file_is_taken_over_without_a_record_lost_and_one_that_cannot_be_is_refused() {
    let site = Site::new("reload");
    create_topic(&site.servers, &site.source, 2, &[]);
    create_topic(&site.servers, &site.sink, 2, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changed.toml");
    write(&file, &site, "'one'", "");
    let path = file.to_str().unwrap();
    let worker = site.start(&["run", path], &[]);
    send(&site, 0..1_000);
    wait_for(&site, results(0..1_000, "one"));

    write(&file, &site, "'two'", "[commit]\ninterval = \"50 ms\"");
    worker.signal("-HUP");
    worker.says(&["goes on with the changed file"]);
    send(&site, 1_000..2_000);
    wait_for(&site, results(1_000..2_000, "two"));

    // Each of these is refused with its reason, and the worker goes on as it was.
    write(&file, &site, "'three' +", "");
    worker.signal("-HUP");
    worker.says(&["changed.toml is not taken; the pipeline goes on as it was"]);
    write(&file, &site, "'four'", "[dead_letters]\ntopic = \"elsewhere\"");
    worker.signal("-HUP");
    worker.says(&["is not taken", "a change of the topics needs a restart of the worker"]);
    send(&site, 2_000..3_000);
    wait_for(&site, results(2_000..3_000, "two"));
    worker.terminate();

    // With --watch nobody has to say so. Records come all the while.
    write(&file, &site, "'five'", "");
    let worker = site.start(&["run", path, "--watch"], &[]);
    send(&site, 3_000..3_500);
    wait_for(&site, results(3_000..3_500, "five"));
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for n in (3_500..9_500).step_by(100) {
                send(&site, n..n + 100);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        write(&file, &site, "'six'", "");
        worker.says(&["goes on with the changed file"]);
        sending.join().unwrap();
    });
    send(&site, 9_500..9_600);
    wait_for(&site, results(9_500..9_600, "six"));
    worker.terminate();
    let all = site.read(&site.sink);
    let numbers: BTreeSet<u64> = all
        .iter()
        .map(|result| {
            serde_json::from_str::<serde_json::Value>(result.value()).unwrap()["n"].as_u64().unwrap()
        })
        .collect();
    assert_eq!((all.len(), numbers), (9_600, (0..9_600).collect()));
    assert!(site.read(&site.dead_letters).is_empty());
}
