//! Whoever asks over HTTP gets the answer, on a real broker with real workers.

mod answers;
mod faults;
mod limits;
mod page;
mod replies;
mod together;
mod traces;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitStatus,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::harness::{Names, Worker, create_topic};

/// A `pipeline serve` process; killed when it is dropped.
pub struct Gateway {
    process: Worker,
    address: SocketAddr,
}

impl Gateway {
    /// One that is ready, for the topics of the test.
    pub fn start(servers: &str, names: &Names, settings: &[&str]) -> Gateway {
        let gateway = Gateway::start_unready(servers, names, settings, &[]);
        gateway.wait_until_ready();
        gateway
    }

    /// The same, not ready yet, with more variables in its environment.
    pub fn start_unready(
        servers: &str,
        names: &Names,
        settings: &[&str],
        variables: &[(&str, &str)],
    ) -> Gateway {
        let ours = [
            format!("name={}", names.source),
            "http.listen=127.0.0.1:0".to_owned(),
            "metrics.listen=127.0.0.1:0".to_owned(),
            format!("routes.factorial.request.topic={}", names.source),
            format!("routes.factorial.result.topic={}", names.sink),
            "kafka.session.timeout.ms=2000".to_owned(),
            "kafka.heartbeat.interval.ms=300".to_owned(),
        ];
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(ours.iter().map(|setting| format!("--set={setting}")));
        arguments.extend(settings.iter().map(|setting| format!("--set={setting}")));
        let process = Worker::spawn(servers, &arguments, variables);
        process.says(&[": /factorial"]);
        let log = process.log();
        let rest = log.split("://").nth(1).unwrap();
        let address = rest.split(": /").next().unwrap().parse().unwrap();
        Gateway { process, address }
    }

    pub fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let ready = self.get("/readyz");
            if ready.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{}\n{}", ready.text(), self.process.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where its metrics are, as `host:port`.
    pub fn metrics(&self) -> String {
        self.process.metrics().trim_start_matches("http://").to_owned()
    }

    /// Sends a request whose answer is taken later.
    pub fn begin(&self, head: &str, body: &str) -> Pending {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
        let mut request = format!("{line} HTTP/1.0\r\nhost: test\r\n");
        fields.lines().for_each(|field| request += &format!("{field}\r\n"));
        if !body.is_empty() {
            request += &format!("content-length: {}\r\n", body.len());
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        Pending(stream)
    }

    pub fn ask(&self, n: u64) -> Pending {
        self.begin(&format!("GET /factorial/{n}"), "")
    }

    pub fn get(&self, path: &str) -> Response {
        self.begin(&format!("GET {path}"), "").response()
    }

    pub fn json(&self, path: &str) -> Value {
        let response = self.begin(&format!("GET {path}\naccept: application/json"), "").response();
        assert_eq!((response.status, response.header("content-type")), (200, "application/json"));
        response.json()
    }

    /// All its metrics, as text.
    pub fn scrape(&self) -> String {
        self.process.scrape()
    }

    /// The value of a metric's only series, or of the one with such labels.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.scrape();
        let named = |line: &&str| {
            line.split(['{', ' ']).next() == series.split('{').next()
                && series.split_once('{').is_none_or(|(_, label)| line.contains(label.trim_end_matches('}')))
        };
        let line = text.lines().find(named).unwrap_or_else(|| panic!("no {series} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// All that it has said, and what others see of how it was started.
    pub fn seen(&self) -> String {
        format!("{}\n{}", self.process.log(), self.process.command_line())
    }

    pub fn kill(self) {
        self.process.kill();
    }

    pub fn terminate(self) -> (ExitStatus, String) {
        self.process.terminate()
    }
}

/// A request that was sent.
pub struct Pending(TcpStream);

impl Pending {
    /// The answer; `None` where the connection was closed without one.
    pub fn finish(mut self) -> Option<Response> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no answer: {error}"),
        }
        (!bytes.is_empty()).then(|| Response::of(&bytes))
    }

    pub fn response(self) -> Response {
        self.finish().expect("the connection was closed without an answer")
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn of(bytes: &[u8]) -> Response {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Response { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Status and the last part of the problem's type.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert!(document["title"].is_string() && document["detail"].is_string(), "{document}");
        let kind = document["type"].as_str().unwrap().strip_prefix("urn:pipeline:problem:").unwrap();
        (self.status, kind.to_owned())
    }
}

/// The test's topics, with so many partitions for results.
pub fn topics(servers: &str, names: &Names, results: i32) {
    create_topic(servers, &names.source, 2, &[]);
    create_topic(servers, &names.sink, results, &[]);
}

/// n! by another way than the workers': one multiplication after the other.
pub fn factorial(n: u64) -> String {
    let mut product = num_bigint::BigUint::from(1_u32);
    (2..=n).for_each(|factor| product *= factor);
    product.to_string()
}
