//! The broker that all of this stands on, the verifier that judges, and `pipeline broker`.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use pipeline::broker::{Data, Jars, LocalCluster, Nodes, Settings, Watch};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::harness::{
    Consumed, LIMIT, Producer, Site, broker_exclusively, broker_settings, ensure, eventually, finish,
    read_committed, three_nodes,
};

fn values(records: &[Consumed]) -> Vec<&str> {
    records.iter().map(Consumed::value).collect()
}

#[test]
fn records_are_read_back_byte_for_byte() {
    let site = Site::new("read-back");
    let ten_megabytes = vec![b'7'; 10_000_000];
    let values: [Option<&[u8]>; 5] =
        [Some(b"30"), Some(&[0x00, 0xff, 0xfe]), None, Some(b""), Some(&ten_megabytes)];
    let producer = Producer::new(&site.servers, &site.source, 3, &[("max.message.bytes", "10485760")]);
    for (key, value) in ["a", "b", "c", "d", "e"].into_iter().zip(values) {
        producer.send(key, value, Some(2));
    }
    producer.flush();

    let records = site.read(&site.source);

    assert_eq!(records.iter().map(Consumed::key).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    for ((record, value), offset) in records.iter().zip(values).zip(0..) {
        assert!(record.value.as_deref() == value, "the value at offset {offset} came back changed");
        assert_eq!((record.partition, record.offset), (2, offset));
        assert_eq!(record.header("id"), Some(record.key()));
        assert_eq!(record.timestamp, Some(1_700_000_000_000));
    }
}

#[test]
fn the_verifier_sees_what_was_committed_and_nothing_else() {
    let site = Site::new("transactions");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &site.servers)
        .set("transactional.id", &site.source)
        .create()
        .unwrap();
    producer.init_transactions(LIMIT).unwrap();
    let write = |value: &str| {
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<str, str>::to(&site.source).payload(value).partition(0)).unwrap();
        producer.flush(LIMIT).unwrap();
    };

    write("taken back");
    producer.abort_transaction(LIMIT).unwrap();
    write("committed");
    producer.commit_transaction(LIMIT).unwrap();
    write("still open");
    assert_eq!(values(&site.read(&site.source)), ["committed"]);

    producer.commit_transaction(LIMIT).unwrap();
    // The markers of a commit are written after its answer.
    eventually(LIMIT, || {
        let records = site.read(&site.source);
        ensure(values(&records) == ["committed", "still open"], || format!("{records:?}"))
    });
}

#[test]
fn the_broker_keeps_its_records_when_it_is_restarted_and_when_it_is_killed() {
    let mut broker = broker_exclusively();
    let site = Site::at(&broker.bootstrap_servers(), "kept");
    let producer = site.producer(1);
    let write = |value: &str| {
        producer.send(value, Some(value.as_bytes()), Some(0));
        producer.flush();
    };

    write("at first");
    broker.restart().unwrap();
    write("restarted");
    broker.kill_node(1);
    broker.start_node(1).unwrap();
    write("killed");

    assert_eq!(broker.bootstrap_servers(), site.servers);
    assert_eq!(values(&site.read(&site.source)), ["at first", "restarted", "killed"]);
}

#[test]
fn three_nodes_go_on_when_one_is_killed() {
    let mut cluster = three_nodes();
    let servers = cluster.bootstrap_servers();
    assert_eq!(servers.split(',').count(), 3);
    // Created by the first write, with as many replicas as there are nodes.
    let producer = Producer::existing(&servers, "replicated");
    producer.send("before", Some(b"with three"), Some(0));
    producer.flush();

    cluster.kill_node(1);

    producer.send("after", Some(b"with two"), Some(0));
    producer.flush();
    assert_eq!(values(&read_committed(&servers, "replicated")), ["with three", "with two"]);
}

#[test]
fn the_broker_command_keeps_its_data_and_leaves_no_java_behind() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let servers = format!("127.0.0.1:{port}");

    let mut first = BrokerCommand::start(data.path(), port);
    first.prints(&format!("ready at {servers}"));
    first.prints(&format!("  export PIPELINE_BOOTSTRAP_SERVERS={servers}"));
    let producer = Producer::existing(&servers, "kept");
    producer.send("key", Some(b"from the first run"), Some(0));
    producer.flush();
    drop(producer);
    assert!(Command::new("kill").args(["-TERM", &first.child.id().to_string()]).status().unwrap().success());
    assert_eq!(first.child.wait().unwrap().code(), Some(0));

    let mut second = BrokerCommand::start(data.path(), port);
    second.prints(&format!("ready at {servers}"));
    assert_eq!(values(&read_committed(&servers, "kept")), ["from the first run"]);
    let java = fs::read_to_string(data.path().join("node1/pid")).unwrap();
    assert!(is_running(&java), "the pid file names process {java}, and there is none");
    second.child.kill().unwrap();
    second.child.wait().unwrap();
    eventually(Duration::from_secs(10), || {
        ensure(!is_running(&java), || {
            format!("java (process {java}) has outlived the command that started it")
        })
    });
}

#[test]
fn a_broker_on_a_taken_port_says_so_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    let (code, _, said) = finish(&mut broker_command(data.path(), port));

    assert_eq!(code, 1);
    assert_eq!(
        said.lines().last().unwrap(),
        format!(
            "error: 127.0.0.1:{port} is in use already, by another broker perhaps: stop that, or choose another port"
        )
    );
}

#[test]
fn data_that_is_in_use_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let lock = fs::File::create(data.path().join("in-use")).unwrap();
    lock.lock().unwrap();

    let (code, _, said) = finish(&mut broker_command(data.path(), free_port()));

    assert_eq!(code, 1);
    assert!(said.contains("error: another `pipeline broker` runs on the data in "), "{said}");
    let left: Vec<_> = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["in-use"], "nothing was prepared beside it");
}

#[test]
fn the_data_of_one_node_is_not_taken_for_that_of_three() {
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("node1")).unwrap();
    let (nodes, kept) = (Nodes::Three, Data::Kept(data.path().to_owned()));
    let settings = Settings { nodes, data: kept, ..broker_settings(&[]) };
    let error = LocalCluster::start(&Jars::fetch().unwrap(), &settings).err().unwrap().to_string();
    assert!(error.contains("holds the data of a cluster of 1 node(s), not 3: ask for 1"), "{error}");
}

#[test]
fn a_node_that_cannot_start_says_why_in_the_words_of_its_log() {
    // Valid for the tool that prepares the folder, not for the node.
    let settings = broker_settings(&[("auto.create.topics.enable", "perhaps")]);
    let error = LocalCluster::start(&Jars::fetch().unwrap(), &settings).err().unwrap().to_string();
    assert!(error.contains("perhaps") && error.contains("auto.create.topics.enable"), "{error}");
}

fn broker_command(data: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.args(["broker", "--heap", "256", "--port", &port.to_string(), "--data"]).arg(data);
    command
}

struct BrokerCommand {
    child: Child,
    stdout: BufReader<ChildStdout>,
    _watch: Watch,
}

impl BrokerCommand {
    fn start(data: &Path, port: u16) -> Self {
        let mut child = broker_command(data, port).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        BrokerCommand { _watch: Watch::over(&child).unwrap(), child, stdout }
    }

    /// Waits for its next line, or its end; it has a time limit of its own for its start.
    fn prints(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

impl Drop for BrokerCommand {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
