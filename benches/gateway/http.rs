//! Whoever asks over HTTP: as many users as wanted, each with a connection that it keeps.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Measured;

/// Waits until a gateway is ready.
pub fn until_ready(address: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let mut answer = String::new();
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").expect("written");
            if stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.0 200") {
                return;
            }
        }
        assert!(Instant::now() < deadline, "the gateway is not ready");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// So many requests, shared among the users; each asks again as soon as it has an answer.
pub fn load(address: &str, value: &str, users: usize, requests: usize) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let request = format!("GET /factorial/{value} HTTP/1.1\r\nhost: bench\r\n\r\n");
    let start = Instant::now();
    let times = runtime.block_on(async {
        let users = (0..users).map(|_| user(address, &request, requests / users));
        futures::future::join_all(users).await.concat()
    });
    Measured::new(times, start)
}

async fn user(address: &str, request: &str, requests: usize) -> Vec<Duration> {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("nodelay");
    let (mut times, mut buffer) = (Vec::with_capacity(requests), [0; 4_096]);
    for _ in 0..requests {
        let start = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut length = 0;
        while !is_whole(&buffer[..length]) {
            let read = stream.read(&mut buffer[length..]).await.expect("read");
            assert!(read > 0, "the gateway hung up: {}", String::from_utf8_lossy(&buffer[..length]));
            length += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..length]));
        times.push(start.elapsed());
    }
    times
}

/// Whether the head has come, and as much of a body as it says.
fn is_whole(answer: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(answer) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| body.len() >= length))
}
