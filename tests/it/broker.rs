//! The harness' own tests, and `pipeline broker`.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{self, PATIENCE, Producer, Program, Record};

#[test]
fn records_are_read_back_as_they_were_written() {
    let broker = harness::broker();
    let servers = broker.bootstrap_servers();
    let topic = harness::topic("read-back");
    let written = [
        Record::new("30").key("thirty").partition(0).timestamp(1_234_567_890_123).identified(),
        Record::new([0x00, 0xff, 0xfe]).partition(0).header("empty", "").header("binary", [0x80]),
        Record::tombstone().partition(0).key("gone"),
        Record::new("").key("").partition(1).identified().header("id", "a second header of the same name"),
    ];
    Producer::new(&servers).write_all(&topic, &written);

    let found = harness::read(&servers, &topic);

    let places: Vec<_> = found.iter().map(|found| (found.partition, found.offset)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0)]);
    for (found, written) in found.iter().zip(&written) {
        assert_eq!(found.key, written.key);
        assert_eq!(found.value, written.value);
        assert_eq!(found.headers, written.headers);
    }
    assert_eq!(found[0].timestamp, Some(1_234_567_890_123));
    assert_eq!(found[3].id(), written[3].id());
}

#[test]
fn the_verifier_sees_what_was_committed_and_nothing_else() {
    let broker = harness::broker();
    let servers = broker.bootstrap_servers();
    let topic = harness::topic("transactions");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &servers)
        .set("transactional.id", harness::topic("writer"))
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let write = |value: &str| {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<str, str>::to(&topic).payload(value).partition(0)).unwrap();
        producer.flush(PATIENCE).unwrap();
    };

    write("taken back");
    producer.abort_transaction(PATIENCE).unwrap();
    write("committed");
    producer.commit_transaction(PATIENCE).unwrap();
    write("still open");

    let texts = |found: Vec<harness::Found>| found.iter().map(|f| f.text().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(harness::read(&servers, &topic)), ["committed"]);

    producer.commit_transaction(PATIENCE).unwrap();
    let found = harness::read_until(&servers, &topic, "two records", |found| found.len() == 2);
    assert_eq!(texts(found), ["committed", "still open"]);
}

#[test]
fn a_topic_that_does_not_exist_has_no_records() {
    let broker = harness::broker();
    assert_eq!(harness::read(&broker.bootstrap_servers(), &harness::topic("nowhere")), []);
}

#[test]
fn a_topic_is_created_with_the_settings_it_was_asked_for() {
    let broker = harness::broker();
    let servers = broker.bootstrap_servers();
    let topic = harness::topic("wide");
    harness::create_topic(&servers, &topic, 3, &[("max.message.bytes", "10485760")]);
    let large = vec![b'7'; 10_000_000];

    Producer::new(&servers).write_all(&topic, &[Record::new(large.clone()).partition(2)]);

    let found = harness::read(&servers, &topic);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].partition, 2);
    assert!(found[0].value.as_ref() == Some(&large), "ten megabytes came back changed");
}

#[test]
fn the_broker_keeps_its_records_over_a_restart() {
    let mut broker = harness::broker_exclusively();
    let servers = broker.bootstrap_servers();
    let topic = harness::topic("kept");
    Producer::new(&servers).write_all(&topic, &[Record::new("before").partition(0)]);

    broker.restart().unwrap();
    broker.kill_node(1);
    broker.start_node(1).unwrap();

    assert_eq!(broker.bootstrap_servers(), servers);
    Producer::new(&servers).write_all(&topic, &[Record::new("after").partition(0)]);
    let found = harness::read_until(&servers, &topic, "both records", |found| found.len() == 2);
    assert_eq!([found[0].text(), found[1].text()], ["before", "after"]);
}

#[test]
fn three_nodes_lose_nothing_when_one_is_killed() {
    let settings = Settings {
        nodes: Nodes::Three,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: vec![("broker.session.timeout.ms".to_owned(), "4000".to_owned())],
    };
    let mut cluster = LocalCluster::start(&Jars::fetch().unwrap(), &settings).unwrap();
    let servers = cluster.bootstrap_servers();
    assert_eq!(servers.split(',').count(), 3);
    let topic = harness::topic("replicated");
    let producer = Producer::new(&servers);
    producer.write_all(&topic, &[Record::new("with three").partition(0)]);

    cluster.kill_node(1);

    producer.write_all(&topic, &[Record::new("with two").partition(0)]);
    let found = harness::read(&servers, &topic);
    assert_eq!([found[0].text(), found[1].text()], ["with three", "with two"]);
}

#[test]
fn the_broker_command_keeps_its_data_and_leaves_no_java_behind() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let servers = format!("127.0.0.1:{port}");
    let mut command = broker_command(data.path(), port);

    let mut first = command();
    first.wait_for(&format!("export PIPELINE_BOOTSTRAP_SERVERS={servers}"));
    Producer::new(&servers).write_all("kept", &[Record::new("from the first run").partition(0)]);
    first.signal("TERM");
    assert_eq!(first.wait(PATIENCE).code(), Some(0), "{}", first.stderr());

    let mut second = command();
    second.wait_for(&format!("ready at {servers}"));
    assert_eq!(harness::read(&servers, "kept")[0].text(), "from the first run");
    let java = fs::read_to_string(data.path().join("node1/pid")).unwrap();
    assert!(is_running(&java), "the pid file names process {java}, and there is none");
    second.kill();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_running(&java) {
        assert!(Instant::now() < deadline, "java (process {java}) outlived the command that started it");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_broker_on_a_taken_port_says_so_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let mut program = broker_command(data.path(), port)();

    assert_eq!(program.wait(PATIENCE).code(), Some(1));
    assert!(
        program.stderr().ends_with(&format!(
            "error: 127.0.0.1:{port} is in use already, by another broker perhaps: stop that, or choose another \
             port\n"
        )),
        "{}",
        program.stderr()
    );
}

#[test]
fn a_node_that_cannot_start_says_why_in_the_words_of_its_log() {
    let settings = Settings {
        nodes: Nodes::One,
        data: Data::Temporary,
        port: None,
        heap_mib: 256,
        properties: vec![("num.io.threads".to_owned(), "none".to_owned())],
    };
    let error = LocalCluster::start(&Jars::fetch().unwrap(), &settings).err().unwrap().to_string();
    assert!(error.contains("num.io.threads"), "{error}");
    assert!(error.contains("node1"), "{error}");
}

fn broker_command(data: &Path, port: u16) -> impl FnMut() -> Program {
    let (data, port) = (data.to_owned(), port.to_string());
    move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command.args(["broker", "--heap", "256", "--port", &port, "--data"]).arg(&data);
        Program::start(command)
    }
}

/// Below those that the system gives to connections, so that it is still free for the second start.
fn free_port() -> u16 {
    (0..100)
        .map(|_| fastrand::u16(10_000..20_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port")
}

fn is_running(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success()
}
