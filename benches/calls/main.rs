//! The user's own code beside what is built in: `cargo bench --bench calls`; `-- component` is one of them alone, and
//! `-- http --parallel` has Confluent's Parallel Consumer ask the service too (Maven fetches it).
//!
//! First 10,000 records of 1,000 keys go through a service that takes 50 ms, with order by key: the time from the first call to the
//! last answer, beside what the number of calls at once allows. Then small records go through `identity`, through a program that
//! sends them back (`cat`, whose own CPU time is counted too), and, with `--features wasm`, through a component that does.

#[path = "../shared/broker.rs"]
mod broker;
#[path = "../shared/java.rs"]
mod java;
#[path = "../shared/taken.rs"]
mod taken;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, routing::post};
use broker::Broker;
use java::Java;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use taken::Taken;
use tokio::{net::TcpListener, runtime::Runtime};

const TAKES: Duration = Duration::from_millis(50);
const CALLS: u64 = 10_000;
const KEYS: u64 = 1_000;
const SMALL: u64 = 1_000_000;

/// When the first call came, when the last one was answered, and the last value of each key.
#[derive(Default)]
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    keys: HashMap<u64, u64>,
}

fn main() {
    let (broker, runtime) = (Broker::start(), Runtime::new().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, settings: &str, records: u64| {
        let file = folder.path().join("bench.toml");
        let (servers, to) = (&broker.servers, format!("{name}-out"));
        broker.topic(&to, 4);
        let text = format!(
            "name = \"{name}\"\norder = \"key\"\n[kafka]\nbootstrap.servers = \"{servers}\"\n\
             [source]\ntopic = \"in-{records}\"\nformat = \"json\"\n{settings}\n\
             [sink]\ntopic = \"{to}\"\nformat = \"json\"\n"
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        taken::measure(command.arg("run").arg(&file).arg("--drain").stderr(Stdio::null()), records)
    };
    for records in [CALLS, SMALL] {
        seed(&broker, records);
    }
    let parallel = std::env::args()
        .any(|argument| argument == "--parallel")
        .then(|| Java::compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/calls"), "Parallel"));
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.starts_with(wanted.as_str()));
    for concurrency in [100, 500].into_iter().filter(|_| wanted("http")) {
        let asked = |name: &str, ask: &dyn Fn(&str) -> Taken| {
            let (url, seen) = runtime.block_on(serve());
            let taken = ask(&url);
            let seen = seen.lock().unwrap();
            let needed = (seen.last.unwrap() - seen.first.unwrap()).as_secs_f64();
            let allowed = (TAKES * (CALLS / concurrency) as u32).as_secs_f64();
            println!(
                "{name}, {concurrency} at once: {needed:.2} s, {:.0} % of what that allows; {taken}",
                100.0 * allowed / needed
            );
        };
        asked("http", &|url| {
            let settings = format!("[operators.http]\nurl = \"{url}\"\nconcurrency = {concurrency}");
            run(&format!("http-{concurrency}"), &settings, CALLS)
        });
        if let Some(parallel) = &parallel {
            asked("Parallel Consumer", &|url| {
                let (from, to) = (format!("in-{CALLS}"), format!("parallel-{concurrency}-out"));
                broker.topic(&to, 4);
                let (concurrency, records) = (concurrency.to_string(), CALLS.to_string());
                let arguments = [broker.servers.as_str(), &from, &to, url, &concurrency, &records];
                taken::measure(parallel.command(&arguments).stderr(Stdio::null()), CALLS)
            });
        }
    }
    for (name, settings) in [
        ("identity", "[operators.identity]"),
        ("program", "[operators.command]\nrun = [\"cat\"]\nbatch = 500"),
        ("programs", "[operators.command]\nrun = [\"cat\"]\nbatch = 500\nprocesses = 2"),
    ] {
        if wanted(name) {
            println!("{name:10} {}", run(name, settings, SMALL));
        }
    }
    if cfg!(feature = "wasm") {
        let settings = format!(
            "[operators.wasm]\ncomponent = \"{}/tests/guests/trouble.wasm\"\ngrant = [\"clock\"]",
            env!("CARGO_MANIFEST_DIR")
        );
        for name in ["identity-2", "component"] {
            let settings = if name == "component" { &settings } else { "[operators.identity]" };
            if wanted(name) {
                println!("{name:10} {}", run(name, settings, SMALL));
            }
        }
    }
}

fn seed(broker: &Broker, records: u64) {
    let topic = format!("in-{records}");
    let producer: BaseProducer = broker.topic(&topic, 2).set("linger.ms", "50").create().unwrap();
    for n in 0..records {
        let (key, value) = (format!("k-{}", n % KEYS), format!("{{\"id\":{n},\"text\":\"{:60}\"}}", n));
        let mut record = BaseRecord::to(&topic).key(&key).payload(&value).partition((n % KEYS % 2) as i32);
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// A service that sends values back, each after its time; it breaks off where those of a key are out of order.
async fn serve() -> (String, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let answer = |State(seen): State<Arc<Mutex<Seen>>>, body: String| async move {
        let id = body.split([':', ',']).nth(1).and_then(|id| id.parse::<u64>().ok()).unwrap();
        {
            let mut seen = seen.lock().unwrap();
            seen.first.get_or_insert_with(Instant::now);
            let before = seen.keys.insert(id % KEYS, id);
            assert!(before.is_none_or(|before| before < id), "{id} came after {before:?}");
        }
        tokio::time::sleep(TAKES).await;
        seen.lock().unwrap().last = Some(Instant::now());
        body
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(answer)).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen)
}
