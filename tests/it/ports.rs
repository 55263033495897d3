//! What a stranger can do at a port where metrics are served.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::harness::Site;

/// More than a process may have open by many systems' default, less what the test needs itself.
const CONNECTIONS: usize = 900;

fn connect(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have been closed already.
    let _ = stream.write_all(bytes);
    stream
}

/// All that comes before the other side hangs up.
fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it never hung up"),
        _ => String::from_utf8_lossy(&answer).into_owned(),
    }
}

#[test]
fn half_a_request_a_thousand_times_neither_silences_the_metrics_nor_takes_the_workers_files() {
    let site = Site::new("metrics-port");
    let worker = site.worker(&[]);
    worker.says(&["rebalance: assign"]);
    worker.scrape();
    let files = worker.open_files();
    let address = worker.metrics_address();

    let half: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&address, b"GET /metr")).collect();
    for _ in 0..20 {
        let asked = Instant::now();
        assert!(worker.scrape().contains("pipeline_assigned_partitions"));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert!(worker.open_files() < files + 100, "{} files, {files} before", worker.open_files());
    }
    for stream in half {
        assert_eq!(read(stream), "", "half a request has no answer");
    }
    // A head that is too large, and one that has too many headers.
    let large = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(60_000));
    assert!(read(connect(&address, large.as_bytes())).starts_with("HTTP/1.1 431 "));
    let many = format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert!(read(connect(&address, many.as_bytes())).starts_with("HTTP/1.1 431 "));
    // A caller that does not take the answers is not waited for.
    let greedy: Vec<TcpStream> =
        (0..100).map(|_| connect(&address, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    assert!(worker.scrape().contains("pipeline_assigned_partitions"));
    drop(greedy);

    worker.until_closed(files);
    let (status, log) = worker.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
