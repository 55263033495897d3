//! What the load generator is held against: a server and a proxy that know the times.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use pipeline::factorial::factorial_decimal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// A server whose times are known; ends with what holds it.
pub struct Server {
    pub address: SocketAddr,
    /// The most requests that it had at a time.
    pub most_at_once: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Server {
    /// Answers n with n!, so long after it was asked as `wait` says, by n and the time since the first request.
    pub fn start(wait: impl Fn(u32, Duration) -> Duration + Clone + Send + Sync + 'static) -> Server {
        let runtime = Runtime::new().unwrap();
        let (now_at_once, most_at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (first, most) = (Arc::new(Mutex::new(None)), most_at_once.clone());
        let answer = move |Path(n): Path<u32>| async move {
            let since = first.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
            most.fetch_max(now_at_once.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(wait(n, since)).await;
            now_at_once.fetch_sub(1, SeqCst);
            match n {
                // Not all is well with everybody.
                404 => (StatusCode::NOT_FOUND, "nothing here".to_owned()),
                13 => (StatusCode::OK, "unlucky".to_owned()),
                14 => (StatusCode::OK, factorial_decimal(13)),
                n => (StatusCode::OK, format!("{}\n", factorial_decimal(n))),
            }
        };
        let router = Router::new().route("/factorial/{n}", get(answer));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server { address, most_at_once, _runtime: runtime }
    }
}

/// Passes bytes on, and keeps by itself when each request came and when its answer had gone.
pub struct Proxy {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _runtime: Runtime,
}

#[derive(Clone, Copy)]
struct Seen {
    /// The request's number in the run: the last part of its id.
    number: u64,
    came: Instant,
    answered: Instant,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Proxy {
        let runtime = Runtime::new().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, record) = (listener.local_addr().unwrap(), seen.clone());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server, record.clone()));
            }
        });
        Proxy { address, seen, _runtime: runtime }
    }

    /// From when each request but the first few was due to its answer, in order of length. The proxy knows the
    /// plan's rate; its beginning is given away by the request that came with the least delay.
    pub fn times_by_plan(&self, first: u64, rate: f64) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap();
        let planned: Vec<Seen> = seen.iter().copied().filter(|seen| seen.number >= first).collect();
        let after = |seen: &Seen| Duration::from_secs_f64((seen.number - first) as f64 / rate);
        let began = planned.iter().map(|seen| seen.came - after(seen)).min().unwrap();
        let mut times: Vec<Duration> =
            planned.iter().map(|seen| seen.answered - (began + after(seen))).collect();
        times.sort_unstable();
        times
    }
}

/// Requests and answers are small, and a connection has one request at a time: each is one read.
async fn pass_on(mut client: TcpStream, server: SocketAddr, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = client.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let came = Instant::now();
        assert!(buffer[..read].ends_with(b"\r\n\r\n"), "a whole request");
        let text = std::str::from_utf8(&buffer[..read]).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("correlation-id: ")).unwrap();
        let number = u64::from_str_radix(id.rsplit('-').next().unwrap(), 16).unwrap();
        server.write_all(&buffer[..read]).await.unwrap();
        let read = server.read(&mut buffer).await.unwrap();
        client.write_all(&buffer[..read]).await.unwrap();
        seen.lock().unwrap().push(Seen { number, came, answered: Instant::now() });
    }
}
