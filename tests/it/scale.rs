//! `pipeline scale`: how many workers are wanted, whether one runs or not.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant, SystemTime},
};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::Value;
use tonic::Code;

use crate::harness::{Keda, LIMIT, Producer, Response, Site, Worker, create_topic, ensure, eventually};

fn get(address: &str, path: &str) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: test\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Response::of(&bytes)
}

/// Where a process says how many workers are wanted, once it knows.
fn address(scale: &Worker) -> String {
    let line = scale.says(&["how many workers it wants is at http://"]);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    eventually(LIMIT, || {
        let answer = get(&address, "/");
        ensure(answer.status == 200, || answer.text().to_owned())
    });
    address
}

/// Five costly records on each of four partitions.
fn send(producer: &Producer) {
    for partition in 0..4 {
        for number in 0..5 {
            producer.send(&format!("{partition}-{number}"), Some(b"150000"), Some(partition));
        }
    }
    producer.flush();
}

#[test]
fn it_tells_what_waits_in_seconds_before_a_worker_runs_and_none_once_it_is_done() {
    let site = Site::new("scale").with(&["scale.min=0", "scale.empty_within=1 s", "scale.down_after=1 s"]);
    let producer = site.producer(4);
    for partition in 0..4 {
        producer.send(&format!("bad-{partition}"), Some(b"x"), Some(partition));
    }
    send(&producer);
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
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
    let wanted = eventually(LIMIT, || {
        let text = get(&address, "/metrics").text().to_owned();
        let line = text.lines().find(|line| line.starts_with("pipeline_workers_wanted{")).map(str::to_owned);
        ensure(line.as_deref().is_some_and(|line| line.ends_with(" 0")), || text.clone())
            .map(|()| line.unwrap())
    });
    assert!(wanted.contains("pipeline=\"factorial\""), "{wanted}");
    drop(worker);
}

#[test]
fn keda_is_told_the_same_and_each_change_of_activity() {
    let site =
        Site::new("scale-keda").with(&["scale.min=0", "scale.empty_within=1 s", "scale.down_after=1 s"]);
    let producer = site.producer(4);
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
    let keda = Keda::of(&address);
    let spec = r#"metricSpecs:[{metricName:"workers_wanted",targetSize:1,targetSizeFloat:1.0}]"#;
    assert_eq!(keda.ask("GetMetricSpec", r#"name: "worker""#).unwrap(), spec);
    assert_eq!(keda.ask("IsActive", "").unwrap(), "", "nothing waits");
    let mut activity = keda.activity();
    assert!(!activity.next());

    send(&producer);
    assert!(activity.next());
    assert_eq!(keda.ask("IsActive", "").unwrap(), "result:true");
    // The number may change while both are asked.
    eventually(LIMIT, || {
        let wanted = get(&address, "/").json()["workers_wanted"].as_u64().unwrap();
        let told = keda.ask("GetMetrics", r#"metricName: "workers_wanted""#).unwrap();
        let same = format!(
            r#"metricValues:[{{metricName:"workers_wanted",metricValue:{wanted},metricValueFloat:{wanted}.0}}]"#
        );
        ensure(told == same && wanted > 0, || format!("{wanted} are wanted, and KEDA is told {told}"))
    });
    let error = keda.ask("GetMetrics", r#"metricName: "lag""#).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::NotFound, "there is no metric `lag` here; ask for `workers_wanted`")
    );

    let worker = site.worker(&[]);
    assert!(!activity.next(), "all is done");
    assert_eq!(site.read(&site.sink).len(), 20);
    drop(worker);
}

#[test]
fn strangers_at_the_port_of_scale_neither_silence_it_nor_take_its_files() {
    let site = Site::new("scale-port");
    site.producer(1).flush();
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
    let files = scale.open_files();
    let keda = Keda::of(&address);
    // Silent ones; ones that begin with HTTP/2, and go on with nothing or with half a head.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let half = [preface, b"\0\0\x08\x01\0\0\0\0\x01\x83"].concat();
    let begins: [&[u8]; 5] = [b"", b"PRI * HT", b"GET /metr", preface, &half];
    let strangers: Vec<TcpStream> = (0..900)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).unwrap();
            // It may have been closed already.
            let _ = stream.write_all(begins[number % begins.len()]);
            stream
        })
        .collect();
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(get(&address, "/").json()["workers_wanted"], 1);
        assert_eq!(keda.ask("IsActive", "").unwrap(), "result:true");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert!(scale.open_files() < files + 100, "{} files, {files} before", scale.open_files());
    }
    for mut stream in strangers {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it never hung up");
    }
    // It is told how many requests a connection may send at once.
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(preface).unwrap();
    let mut settings = [0; 64];
    let read = stream.read(&mut settings).unwrap();
    assert!(
        settings[..read].windows(6).any(|setting| setting == [0, 3, 0, 0, 0, 16]),
        "{:?}",
        &settings[..read]
    );
    drop(stream);
    let large = format!(r#"name: "{}""#, "a".repeat(20_000));
    let error = keda.ask("IsActive", &large).unwrap_err();
    assert!(error.message().contains("the limit is: 16384 bytes"), "{error}");
    let error = keda.ask_without_end("IsActive").unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::DeadlineExceeded, "the question did not come in time")
    );
    scale.until_closed(files + 1);
    let (_, log) = scale.terminate();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn what_waits_in_a_retry_topic_is_work_once_its_time_has_come() {
    let site = Site::new("scale-retry").with(&["scale.min=0", "scale.down_after=1 s", "order=none"]);
    let retry = format!("{}-retry", site.source);
    let site = site.with(&[&format!("retry.topic={retry}"), "retry.after=[\"1 min\"]"]);
    site.producer(1).flush();
    let topic = format!("{retry}-1");
    create_topic(&site.servers, &topic, 1, &[]);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &site.servers).create().unwrap();
    let send = |at: u64| {
        let at = at.to_string();
        let header = Header { key: "pipeline.retry.at", value: Some(&at) };
        let headers = OwnedHeaders::new().insert(header);
        producer.send(BaseRecord::<str, str>::to(&topic).payload("150000").headers(headers)).unwrap();
        producer.flush(LIMIT).unwrap();
    };
    let now = || u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let at = now() + 10_000;
    send(at);
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
    let backlog = || get(&address, "/").json()["backlog_seconds"].as_f64().unwrap();
    // The second one is read after the first.
    send(0);
    let one = eventually(LIMIT, || {
        let backlog = backlog();
        ensure(backlog > 0.0, || "nothing waits".to_owned()).map(|()| backlog)
    });
    let both = eventually(LIMIT, || {
        let backlog = backlog();
        ensure(backlog > one, || format!("{backlog} s wait")).map(|()| backlog)
    });
    assert!(now() >= at, "it was counted before its time");
    assert!((both / one - 2.0).abs() < 0.001, "{one} s waited, then {both} s");
    let worker = site.worker(&[]);
    eventually(LIMIT, || {
        let standing = get(&address, "/").json();
        ensure(standing["workers_wanted"] == 0, || standing.to_string())
    });
    drop(worker);
}

#[test]
fn a_topic_that_is_not_there_yet_is_waited_for() {
    let site = Site::new("scale-early").with(&["scale.min=2"]);
    let (code, once, log) = site.pipeline(&["scale", "factorial.toml", "--once"]);
    assert!(code == 0 && once.contains(": 2 workers wanted"), "{once}{log}");
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
    assert_eq!(get(&address, "/").json()["workers_wanted"], 2);
    send(&site.producer(4));
    eventually(LIMIT, || {
        let standing = get(&address, "/").json();
        ensure(standing["backlog_seconds"].as_f64() > Some(0.0), || standing.to_string())
    });
    let said = format!("there is no topic {} yet", site.source);
    assert_eq!(scale.log().matches(&said).count(), 1, "{}", scale.log());
}

#[test]
fn workers_with_the_group_protocol_of_the_broker_are_counted_and_measured() {
    let site = Site::new("scale848").without("kafka.").with(&["kafka.group.protocol=consumer"]);
    let producer = site.producer(2);
    // They are measured while all of them have work for some seconds.
    let workers = [site.worker(&["limits.rate=5"]), site.worker(&["limits.rate=5"])];
    let scale = site.start(&["scale", "factorial.toml", "--listen", "127.0.0.1:0"], &[]);
    let address = address(&scale);
    eventually(LIMIT, || {
        let standing = get(&address, "/").json();
        ensure(standing["workers"] == 2, || standing.to_string())
    });
    for number in 0..40 {
        producer.send(&number.to_string(), Some(b"150000"), Some(number % 2));
    }
    producer.flush();
    eventually(LIMIT, || {
        let standing = get(&address, "/").json();
        ensure(standing["worker_seconds_per_second"] != 1.0, || standing.to_string())
    });
    drop(workers);
}
