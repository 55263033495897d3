//! What operators remember, although workers are killed and their folders are lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, Worker, create_replicated, create_topic, delete_topic, ensure,
    eventually, records_within, three_nodes,
};

const PARTITIONS: i32 = 3;
/// The keys, of which each has as many records.
const KEYS: usize = 150;

/// A worker that keeps its state in that folder.
fn worker(site: &Site, file: &str, folder: &Path) -> Worker {
    site.start(&["run", file], &[&format!("state.folder={}", folder.display())])
}

fn pipeline(site: &Site, folder: &Path, operators: &str) -> String {
    create_topic(&site.servers, &site.sink, 2, &[]);
    file(folder, operators)
}

fn file(folder: &Path, operators: &str) -> String {
    let file = folder.join("state.toml");
    let text = format!(
        "name = \"state\"\nguarantee = \"exactly-once\"\n[source]\ntopic = \"x\"\nformat = \"json\"\n{operators}\n\
         [sink]\ntopic = \"y\"\nformat = \"json\"\n"
    );
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn key(n: usize) -> String {
    format!("k-{}", n % KEYS)
}

fn send(producer: &Producer, numbers: std::ops::Range<usize>) {
    for n in numbers {
        producer.send(&key(n), Some(format!("{{\"n\":{n}}}").as_bytes()), None);
    }
    producer.flush();
}

/// The results of a program that counts and adds up the records of each key in one go, in the order of the records.
fn expected(key_of: usize, records: usize) -> Vec<String> {
    let (mut sum, mut results) = (0, Vec::new());
    for (count, n) in (key_of..records).step_by(KEYS).enumerate() {
        sum += n;
        results.push(format!("{{\"count\":{},\"sum\":{sum}}}", count + 1));
    }
    results
}

fn all_is_right(site: &Site, records: usize) {
    let mut open: BTreeSet<(String, String)> = (0..KEYS)
        .flat_map(|of| expected(of, records).into_iter().map(move |value| (key(of), value)))
        .collect();
    site.results(|result| {
        open.remove(&(result.key().to_owned(), result.value().to_owned()));
        open.is_empty()
    });
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for result in site.read(&site.sink) {
        found.entry(result.key().to_owned()).or_default().push(result.value().to_owned());
    }
    for of in 0..KEYS {
        assert_eq!(found.remove(&key(of)), Some(expected(of, records)), "{}", key(of));
    }
    assert!(found.is_empty() && site.read(&site.dead_letters).is_empty());
}

#[test]
fn aggregates_are_those_of_a_program_that_reads_the_source_once_although_workers_are_killed() {
    let site = Site::new("aggregate");
    let folder = tempfile::tempdir().unwrap();
    let operator = "[operators.aggregate.results]\ncount = \"count\"\nsum = { sum = \"value.n\" }";
    let file = pipeline(&site, folder.path(), operator);
    let producer = site.producer(PARTITIONS);
    let folders = [folder.path().join("one"), folder.path().join("other")];
    let [mut one, mut other] = [0, 1].map(|of| Some(worker(&site, &file, &folders[of])));
    let kill = |worker: &mut Option<Worker>, of: usize| {
        worker.take().into_iter().for_each(Worker::kill);
        *worker = Some(self::worker(&site, &file, &folders[of]));
    };
    let mut seen = 0;
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for round in 0..10 {
                send(&producer, round * 1_500..(round + 1) * 1_500);
                std::thread::sleep(std::time::Duration::from_millis(300));
            }
        });
        site.results(|_| {
            seen += 1;
            match seen {
                1_500 => kill(&mut one, 0),
                6_000 => kill(&mut other, 1),
                10_000 => {
                    kill(&mut one, 0);
                    kill(&mut other, 1);
                }
                _ => {}
            }
            seen >= 12_000
        });
        sending.join().unwrap();
    });
    all_is_right(&site, 15_000);
    // Whoever has lost the folder has it from the changelog.
    for (worker, folder) in [one, other].into_iter().zip(&folders) {
        worker.unwrap().kill();
        fs::remove_dir_all(folder).unwrap();
    }
    let last = worker(&site, &file, &folders[0]);
    send(&producer, 15_000..15_000 + KEYS);
    all_is_right(&site, 15_000 + KEYS);
    last.terminate();
}

#[test]
fn a_changelog_that_was_made_again_is_refused_until_the_folder_is_removed() {
    let site = Site::new("made-again");
    let folder = tempfile::tempdir().unwrap();
    let operator = "[operators.aggregate.results]\ncount = \"count\"\nsum = { sum = \"value.n\" }";
    let file = pipeline(&site, folder.path(), operator);
    let producer = site.producer(PARTITIONS);
    let kept = folder.path().join("kept");
    send(&producer, 0..1_500);
    let before = worker(&site, &file, &kept);
    all_is_right(&site, 1_500);
    before.terminate();
    let changelog = format!("{}-changelog", site.source);
    delete_topic(&site.servers, &changelog);
    let refused = worker(&site, &file, &kept).fails();
    assert!(refused.contains(&format!("the changelog {changelog}[")), "{refused}");
    assert!(
        refused.contains("ends at offset 0, and what") && refused.contains("remove the folder"),
        "{refused}"
    );
    fs::remove_dir_all(&kept).unwrap();
    let after = worker(&site, &file, &kept);
    send(&producer, 0..KEYS);
    // Each key begins anew.
    let mut open: Vec<(String, String)> =
        (0..KEYS).chain(0..KEYS).map(|n| (key(n), format!("{{\"count\":1,\"sum\":{n}}}"))).collect();
    site.results(|result| {
        let found = open.iter().position(|(key, value)| key == result.key() && value == result.value());
        found.into_iter().for_each(|place| drop(open.swap_remove(place)));
        open.is_empty()
    });
    after.terminate();
}

#[test]
fn aggregates_are_right_although_brokers_and_workers_are_killed_in_turn() {
    let mut cluster = three_nodes();
    let site = Site::at(&cluster.bootstrap_servers(), "aggregate-three");
    let folder = tempfile::tempdir().unwrap();
    let operator = "[operators.aggregate.results]\ncount = \"count\"\nsum = { sum = \"value.n\" }";
    create_replicated(&site.servers, &site.sink, 2);
    create_replicated(&site.servers, &site.source, PARTITIONS);
    let file = file(folder.path(), operator);
    let producer = Producer::existing(&site.servers, &site.source);
    let start = || worker(&site, &file, folder.path());
    let mut workers = [start(), start()];
    for round in 0..4 {
        send(&producer, round * 3_750..round * 3_750 + 3_000);
        std::thread::sleep(Duration::from_secs(1));
        let node = 1 + round % 3;
        cluster.kill_node(node);
        send(&producer, round * 3_750 + 3_000..(round + 1) * 3_750);
        workers.into_iter().for_each(Worker::kill);
        workers = [start(), start()];
        cluster.start_node(node).unwrap();
    }
    all_is_right(&site, 15_000);
    workers.into_iter().for_each(|worker| drop(worker.terminate()));
}

/// A window's records and their sum, by key and by the window's start in seconds.
type Windows = BTreeMap<(String, u64), (u64, u64)>;

fn windows(results: &[Consumed]) -> Windows {
    let mut windows = Windows::new();
    for result in results {
        let value: serde_json::Value = serde_json::from_str(result.value()).unwrap();
        let start = humantime::parse_rfc3339(value["window"]["start"].as_str().unwrap()).unwrap();
        let start = start.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let of = (value["count"].as_u64().unwrap(), value["sum"].as_u64().unwrap());
        let twice = windows.insert((result.key().to_owned(), start), of);
        assert_eq!(twice, None, "{} {start}", result.key());
    }
    windows
}

#[test]
fn each_window_is_handed_on_once_although_workers_are_killed() {
    const BEGIN: u64 = 1_700_000_000;
    let site = Site::new("windows");
    let folder = tempfile::tempdir().unwrap();
    let operators = "[operators.timestamp]\nto = \"value.at\"\n[operators.aggregate]\nwindow = \"1 s\"\ngrace = \"500 ms\"\n\
                     [operators.aggregate.results]\ncount = \"count\"\nsum = { sum = \"value.n\" }";
    let file = pipeline(&site, folder.path(), operators);
    let producer = site.producer(PARTITIONS);
    let start = || worker(&site, &file, folder.path());
    let mut workers = [start(), start()];
    let mut expected = Windows::new();
    for round in 0..5_u64 {
        for n in round * 2_000..(round + 1) * 2_000 {
            // Ten milliseconds apart, and some come a bit late.
            let at = BEGIN * 1_000 + n * 10 - if n % 7 == 0 { 300.min(n * 10) } else { 0 };
            let value = format!("{{\"n\":{n},\"at\":{at}}}");
            producer.send(&key(n as usize), Some(value.as_bytes()), None);
            let window = expected.entry((key(n as usize), at / 1_000)).or_default();
            *window = (window.0 + 1, window.1 + n);
        }
        producer.flush();
        workers.into_iter().for_each(Worker::kill);
        workers = [start(), start()];
    }
    // What comes long after all of them closes the last windows.
    for partition in 0..PARTITIONS {
        let value = format!("{{\"n\":0,\"at\":{}}}", BEGIN * 1_000 + 3_000_000);
        producer.send("end", Some(value.as_bytes()), Some(partition));
    }
    producer.flush();
    let mut open: BTreeSet<(String, u64)> = expected.keys().cloned().collect();
    let results = site.results(|result| {
        windows(std::slice::from_ref(result)).keys().for_each(|window| {
            open.remove(window);
        });
        open.is_empty()
    });
    drop(results);
    let found = windows(&site.read(&site.sink));
    assert_eq!(found, expected);
    assert!(site.read(&site.dead_letters).is_empty());
    for worker in workers {
        worker.terminate();
    }
}

/// The values of the results by the id that they have, of records that were sent once or several times with one id each.
fn results_by_id(site: &Site) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for result in site.read(&site.sink) {
        let value: serde_json::Value = serde_json::from_str(result.value()).unwrap();
        found.entry(value["id"].to_string()).or_default().push(result.value().to_owned());
    }
    found
}

#[test]
fn the_first_record_of_each_id_is_handed_on_although_workers_are_killed() {
    for guarantee in ["exactly-once", "at-least-once"] {
        let site = Site::new("first");
        let folder = tempfile::tempdir().unwrap();
        let file =
            pipeline(&site, folder.path(), "[operators.deduplicate]\nby = \"value.id\"\nwithin = \"24 h\"");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("exactly-once", guarantee)).unwrap();
        let producer = site.producer(PARTITIONS);
        let start = || worker(&site, &file, folder.path());
        let mut workers = [start(), start()];
        let mut random = fastrand::Rng::with_seed(11);
        let mut first = BTreeMap::new();
        let mut sent = 0_u32;
        let mut send = |ids: std::ops::Range<usize>| {
            for _ in 0..3_000 {
                // Each id has its partition, and comes about three times.
                let id = random.usize(ids.clone());
                let value = format!("{{\"id\":{id},\"n\":{sent}}}");
                sent += 1;
                producer.send(&id.to_string(), Some(value.as_bytes()), None);
                first.entry(id.to_string()).or_insert(value);
            }
            producer.flush();
        };
        for round in 0..5 {
            send(round * 800..round * 800 + 1_000);
            std::thread::sleep(std::time::Duration::from_millis(400));
            workers.into_iter().for_each(Worker::kill);
            workers = [start(), start()];
        }
        // Behind them all, so that all of them are read.
        for partition in 0..PARTITIONS {
            let value = format!("{{\"id\":\"end-{partition}\"}}");
            producer.send("end", Some(value.as_bytes()), Some(partition));
            first.insert(format!("\"end-{partition}\""), value);
        }
        producer.flush();
        let mut open: BTreeSet<String> = first.values().cloned().collect();
        site.results(|result| {
            open.remove(result.value());
            open.is_empty()
        });
        workers.into_iter().for_each(|worker| drop(worker.terminate()));
        let mut found = results_by_id(&site);
        if guarantee == "at-least-once" {
            // What was not committed came twice; another record of the id never came.
            found.values_mut().for_each(Vec::dedup);
        }
        let expected = first.iter().map(|(id, value)| (id.clone(), vec![value.clone()]));
        assert_eq!(found, expected.collect(), "{guarantee}");
        assert!(site.read(&site.dead_letters).is_empty());
    }
}

#[test]
fn what_another_topic_says_is_joined_from_the_first_record_on() {
    let site = Site::new("join");
    let folder = tempfile::tempdir().unwrap();
    let customers = format!("{}-customers", site.source);
    let operator = format!(
        "[operators.join]\ntopic = \"{customers}\"\nby = \"value.who\"\ninto = \"customer\"\nmissing = \"dead-letter\""
    );
    let file = pipeline(&site, folder.path(), &operator);
    let rows = Producer::new(&site.servers, &customers, 3, &[("cleanup.policy", "compact")]);
    let say = |numbers: std::ops::Range<usize>, name: &str| {
        for n in numbers {
            rows.send(&format!("c-{n}"), Some(format!("{{\"name\":\"{name} {n}\"}}").as_bytes()), None);
        }
        rows.flush();
    };
    say(0..20_000, "old");
    say(0..10_000, "new");
    let producer = site.producer(PARTITIONS);
    let ask = |numbers: std::ops::Range<usize>| {
        for n in numbers {
            let value = format!("{{\"n\":{n},\"who\":\"c-{}\"}}", n % 20_000);
            producer.send(&key(n), Some(value.as_bytes()), None);
        }
        producer.flush();
    };
    let has = |numbers: std::ops::Range<usize>, name: &dyn Fn(usize) -> &'static str| {
        let result = |n: usize| {
            let who = n % 20_000;
            format!("{{\"n\":{n},\"who\":\"c-{who}\",\"customer\":{{\"name\":\"{} {who}\"}}}}", name(who))
        };
        let mut open: BTreeSet<String> = numbers.map(result).collect();
        site.results(|result| {
            open.remove(result.value());
            open.is_empty()
        });
    };
    ask(0..20_000);
    let first = worker(&site, &file, folder.path());
    has(0..20_000, &|who| if who < 10_000 { "new" } else { "old" });
    say(10_000..20_000, "newest");
    rows.send("c-5", None, None);
    rows.flush();
    first.kill();
    // It goes on from what it has, and reads what is new before anything else.
    let second = worker(&site, &file, folder.path());
    second.says(&["a topic that is followed is read to its end"]);
    ask(20_000..25_000);
    ask(30_000..40_000);
    has(20_006..25_000, &|_| "new");
    has(30_000..40_000, &|_| "newest");
    let letters = site.letters(|_| true);
    assert_eq!(letters[0].header("pipeline.error.class"), Some("not-in-table"));
    let message = letters[0].header("pipeline.error.message").unwrap();
    assert_eq!(message, format!("`{customers}` has nothing under the key \"c-5\""));
    second.terminate();
    assert_eq!(site.read(&site.sink).len(), 34_999);
    assert_eq!(site.read(&site.dead_letters).len(), 1);
}

#[test]
fn a_copartitioned_table_is_read_where_its_partition_is_worked_on() {
    let site = Site::new("beside");
    let folder = tempfile::tempdir().unwrap();
    let customers = format!("{}-customers", site.source);
    let operator =
        format!("[operators.join]\ntopic = \"{customers}\"\ninto = \"customer\"\ncopartitioned = true");
    let file = pipeline(&site, folder.path(), &operator);
    let rows = Producer::new(&site.servers, &customers, PARTITIONS, &[("cleanup.policy", "compact")]);
    let producer = site.producer(PARTITIONS);
    // Each row is in the partition of its records; the same key in another partition is never looked up.
    let beside = |n: usize| Some(n as i32 % PARTITIONS);
    let say = |numbers: std::ops::Range<usize>, name: &str| {
        for n in numbers {
            rows.send(&format!("c-{n}"), Some(format!("\"{name} {n}\"").as_bytes()), beside(n));
            rows.send(&format!("c-{n}"), Some(b"\"another partition's\""), beside(n + 1));
        }
        rows.flush();
    };
    // Looks each key up once, and says how many have other rows than `name`.
    let mut asked = 0;
    let mut others = |workers: &[&Worker], name: &str| {
        let mut open = BTreeMap::new();
        for n in 0..600 {
            producer.send(&format!("c-{n}"), Some(format!("{{\"ask\":{asked}}}").as_bytes()), beside(n));
            let row = if n < 300 { format!("\"{name} {n}\"") } else { "null".to_owned() };
            open.insert(format!("{{\"ask\":{asked},"), format!("\"customer\":{row}}}"));
            asked += 1;
        }
        producer.flush();
        let mut others = 0;
        let all = records_within(&site.servers, &site.sink, LIMIT, |result| {
            let (ask, row) = result.value().split_at(result.value().find("\"customer\"").unwrap());
            assert!(!row.contains("another partition's"), "{row}");
            let expected = open.remove(ask);
            others += usize::from(expected.is_some_and(|expected| expected != row));
            open.is_empty()
        });
        let logs = || workers.iter().map(|worker| worker.log()).collect::<Vec<_>>().join("\n----\n");
        assert!(
            all.is_some(),
            "{} are missing, such as {:?}\n{}",
            open.len(),
            open.first_key_value(),
            logs()
        );
        others
    };
    say(0..300, "old");
    let start = |of: &str| worker(&site, &file, &folder.path().join(of));
    let (one, other) = (start("one"), start("other"));
    one.says(&["rebalance"]);
    other.says(&["rebalance"]);
    assert_eq!(others(&[&one, &other], "old"), 0, "what is there is read before the first record");
    other.kill();
    say(0..300, "new");
    // What is new comes a moment later.
    eventually(Duration::from_secs(60), || {
        let old = others(&[&one], "new");
        ensure(old == 0, || format!("{old} have other rows"))
    });
    one.terminate();
    // What was read is kept for each partition, and what is new is read first.
    say(0..300, "newer");
    let again = start("one");
    assert_eq!(others(&[&again], "newer"), 0);
    again.terminate();
    assert!(site.read(&site.dead_letters).is_empty());

    let other = Producer::new(&site.servers, &format!("{customers}-other"), PARTITIONS + 1, &[]);
    drop(other);
    let refused = site
        .start(
            &["run", &file],
            &[
                &format!("operators.join.topic={customers}-other"),
                &format!("state.folder={}", folder.path().display()),
            ],
        )
        .fails();
    let counts = format!("{customers}-other has 4, {} 3", site.source);
    assert!(refused.contains("as many partitions in both topics") && refused.contains(&counts), "{refused}");
}

#[test]
fn a_standby_takes_over_at_once_what_another_worker_has_remembered() {
    let site = Site::new("standby");
    let folder = tempfile::tempdir().unwrap();
    let operator = "[operators.aggregate.results]\ncount = \"count\"\nsum = { sum = \"value.n\" }";
    let file = pipeline(&site, folder.path(), operator);
    let producer = site.producer(PARTITIONS);
    let start = |of: &str| {
        let folder = format!("state.folder={}", folder.path().join(of).display());
        site.start(&["run", &file], &[&folder, "state.standby=true"])
    };
    let one = start("one");
    send(&producer, 0..6_000);
    all_is_right(&site, 6_000);
    // It gets some of the partitions, and copies the others.
    let other = start("other");
    send(&producer, 6_000..12_000);
    all_is_right(&site, 12_000);
    let explained = || crate::harness::pipeline(&site.servers, &["explain", &other.metrics()], &[]).1;
    eventually(Duration::from_secs(60), || {
        let told = explained();
        let up_to_date = "copies of the partitions that other workers have are up to date";
        ensure(told.contains(up_to_date), || told)
    });
    one.kill();
    send(&producer, 12_000..15_000);
    all_is_right(&site, 15_000);
    // It has read nothing of what it had a copy of, but for what came last.
    let told = explained();
    let read: Vec<u64> = told
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("partition ")?
                .split_once(": ")?
                .1
                .split_once(" records of the changelog")
        })
        .map(|(records, _)| records.parse().unwrap())
        .collect();
    assert_eq!(read.len(), PARTITIONS as usize, "{told}");
    assert!(read.iter().sum::<u64>() < 6_000, "{told}");
    other.terminate();
}
