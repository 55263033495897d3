//! A gateway, and what its callers receive.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitStatus,
};

use serde_json::Value;

use super::{LIMIT, Worker, ensure, eventually};

/// A `pipeline serve` process; killed when it is dropped.
pub struct Gateway {
    pub process: Worker,
    pub address: SocketAddr,
}

impl Gateway {
    /// That process, once it serves that path; it need not be ready.
    pub fn of(process: Worker, path: &str) -> Gateway {
        let line = process.says(&["://", &format!(": {path} (")]);
        let rest = line.split("://").nth(1).unwrap();
        let address = rest.split(": /").next().unwrap().parse().unwrap();
        Gateway { process, address }
    }

    pub fn wait_until_ready(&self) {
        eventually(LIMIT, || {
            let ready = self.get("/readyz");
            ensure(ready.status == 200, || format!("{}\n{}", ready.text(), self.process.log()))
        });
    }

    /// Waits until so many requests are pending.
    pub fn until_in_flight(&self, count: u32) {
        eventually(LIMIT, || {
            let found = self.metric("pipeline_requests_in_flight");
            ensure(found == f64::from(count), || format!("{found} requests are in flight, not {count}"))
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request whose answer is taken later.
    pub fn begin(&self, head: &str, body: &str) -> Pending {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
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

    /// The value of one of its metrics: see [`Worker::metric`].
    pub fn metric(&self, series: &str) -> f64 {
        self.process.metric(series)
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
