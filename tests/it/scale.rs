//! `pipeline scale`: how many workers are wanted, whether one runs or not.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::harness::{LIMIT, Response, Site, ensure, eventually};

fn get(address: &str, path: &str) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: test\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Response::of(&bytes)
}

#[test]
fn it_tells_what_waits_in_seconds_before_a_worker_runs_and_none_once_it_is_done() {
    let site = Site::new("scale").with(&["scale.min=0", "scale.empty_within=1 s", "scale.down_after=1 s"]);
    let producer = site.producer(4);
    for partition in 0..4 {
        for number in 0..5 {
            producer.send(&format!("{partition}-{number}"), Some(b"150000"), Some(partition));
        }
        producer.send(&format!("bad-{partition}"), Some(b"x"), Some(partition));
    }
    producer.flush();
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let line = scale.says(&["how many workers it wants is at http://"]);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let standing = || get(&address, "/").json();
    // The estimate is the kernel's own: it does not depend on this machine's load.
    let waits = eventually(LIMIT, || {
        let standing = standing();
        let waits = standing["backlog_seconds"].as_f64().unwrap();
        ensure(waits > 0.0 && standing["workers_wanted"].as_u64() > Some(0), || standing.to_string())
            .map(|()| waits)
    });
    assert!((0.001..100.0).contains(&waits), "{waits}");
    let (code, once, error) = site.pipeline(&["scale", "factorial.toml", "--once"]);
    assert_eq!(code, 0, "{error}");
    assert!(once.contains("workers wanted") && once.contains("s of work wait"), "{once}");

    let worker = site.worker(&[]);
    let done = |standing: &Value| {
        standing["backlog_seconds"].as_f64() == Some(0.0) && standing["workers"].as_u64() == Some(1)
    };
    eventually(LIMIT, || {
        let standing = standing();
        ensure(done(&standing), || standing.to_string())
    });
    assert_eq!(site.read(&site.sink).len(), 20);
    let wanted = eventually(Duration::from_secs(200), || {
        let text = get(&address, "/metrics").text().to_owned();
        let line = text.lines().find(|line| line.starts_with("pipeline_workers_wanted{")).map(str::to_owned);
        ensure(line.as_deref().is_some_and(|line| line.ends_with(" 0") || line.ends_with(" 1")), || {
            text.clone()
        })
        .map(|()| line.unwrap())
    });
    assert!(wanted.contains("pipeline=\"factorial\""), "{wanted}");
    drop(worker);
}
