//! What the gateway costs: the same requests over HTTP and straight to Kafka, in one run on one broker, with one
//! worker: `cargo bench --bench gateway`. Each request is produced, computed and read back: nothing is known, and
//! nothing shared.

#[path = "../shared/asking.rs"]
mod asking;
#[path = "../shared/broker.rs"]
mod broker;
mod http;

use std::{
    env,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use asking::Straight;

const WARM_UP: usize = 1_000;
const REQUESTS: usize = 2_000;
const USERS: usize = 64;
const LOAD: usize = 20_000;
/// What is asked one at a time, and by all users at once.
const SMALL: &str = "10";
const LARGER: &str = "100";

fn main() {
    let broker = broker::Broker::start();
    let servers = &broker.servers;
    let rounds = env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let run = format!("gateway-bench-{:x}", fastrand::u32(..));
    let (from, to) = (format!("{run}-in"), format!("{run}-out"));
    broker.topic(&from, 2);
    broker.topic(&to, 4);
    let _worker = Process::start(
        servers,
        &[
            "run",
            "factorial.toml",
            &format!("--set=source.topic={from}"),
            &format!("--set=source.group={run}"),
            &format!("--set=sink.topic={to}"),
            "--set=metrics.listen=127.0.0.1:0",
        ],
    );
    let address = "127.0.0.1:18931";
    let _gateway = Process::start(
        servers,
        &[
            "serve",
            "gateway.toml",
            &format!("--set=name={run}"),
            &format!("--set=http.listen={address}"),
            &format!("--set=routes.factorial.request.topic={from}"),
            &format!("--set=routes.factorial.result.topic={to}"),
            "--set=routes.factorial.correlation=id",
            "--set=cache.memory=0",
            "--set=metrics.listen=127.0.0.1:0",
        ],
    );
    http::until_ready(address);
    let straight = Straight::new(servers, &from, &to);
    straight.load(SMALL, 1, WARM_UP);
    http::load(address, SMALL, 1, WARM_UP);
    for _ in 0..rounds {
        print("straight, one at a time", &straight.load(SMALL, 1, REQUESTS));
        print("gateway,  one at a time", &http::load(address, SMALL, 1, REQUESTS));
    }
    straight.load(LARGER, USERS, WARM_UP);
    http::load(address, LARGER, USERS, WARM_UP);
    for _ in 0..rounds {
        print("straight, 64 users", &straight.load(LARGER, USERS, LOAD));
        print("gateway,  64 users", &http::load(address, LARGER, USERS, LOAD));
    }
}

/// How long each request took, and all of them together.
pub struct Measured {
    times: Vec<Duration>,
    took: Duration,
}

impl Measured {
    /// Begins with nothing.
    pub fn new(times: Vec<Duration>, start: Instant) -> Self {
        Measured { times, took: start.elapsed() }
    }
}

fn print(what: &str, measured: &Measured) {
    let mut times = measured.times.clone();
    times.sort();
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:24} p50 {:6.2} ms  p90 {:6.2} ms  p99 {:6.2} ms  {:7.0}/s",
        at(0.5),
        at(0.9),
        at(0.99),
        times.len() as f64 / measured.took.as_secs_f64()
    );
}

/// `pipeline` with these arguments, for as long as this is there.
struct Process(Child);

impl Process {
    fn start(servers: &str, arguments: &[&str]) -> Process {
        let child = Command::new(env!("CARGO_BIN_EXE_pipeline"))
            .args(arguments)
            .env("PIPELINE_BOOTSTRAP_SERVERS", servers)
            .stderr(Stdio::null())
            .spawn();
        Process(child.expect("pipeline starts"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
