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

/// Passes bytes on, and knows for itself how long each request took.
pub struct Proxy {
    pub address: SocketAddr,
    times: Arc<Mutex<Vec<Duration>>>,
    _runtime: Runtime,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Proxy {
        let runtime = Runtime::new().unwrap();
        let times = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, record) = (listener.local_addr().unwrap(), times.clone());
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server, record.clone()));
            }
        });
        Proxy { address, times, _runtime: runtime }
    }

    /// The times of all requests, in order of length.
    pub fn times(&self) -> Vec<Duration> {
        let mut times = self.times.lock().unwrap().clone();
        times.sort_unstable();
        times
    }
}

/// Requests and answers are small, and a connection has one request at a time: each is one read.
async fn pass_on(mut client: TcpStream, server: SocketAddr, times: Arc<Mutex<Vec<Duration>>>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = client.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let began = Instant::now();
        assert!(buffer[..read].ends_with(b"\r\n\r\n"), "a whole request");
        server.write_all(&buffer[..read]).await.unwrap();
        let read = server.read(&mut buffer).await.unwrap();
        client.write_all(&buffer[..read]).await.unwrap();
        times.lock().unwrap().push(began.elapsed());
    }
}
