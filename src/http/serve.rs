//! Serves connections until it is stopped, each within its limits.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::newcomers::{Newcomer, Newcomers};

/// The most headers of a request.
const HEADERS: usize = 64;

/// What a stranger who reaches a port may use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once. One more closes the oldest that has not sent a request yet; if all have sent one,
    /// it waits.
    pub connections: usize,
    /// How long a client may take to send a request's head, or to read a piece of the response.
    pub patience: Duration,
    /// The most bytes of a request's head; at least 8 KiB, which hyper needs.
    pub head: usize,
    /// Whether a connection may send more than one request.
    pub keep_alive: bool,
}

impl ConnectionLimits {
    /// For ports that metrics are read from: the Kafka clients need file descriptors too. A response closes its connection, so that
    /// none stays open unused.
    pub const OF_METRICS: ConnectionLimits = ConnectionLimits {
        connections: 64,
        patience: Duration::from_secs(10),
        head: 16 << 10,
        keep_alive: false,
    };
}

/// Serves until `closed`, then finishes the requests in progress, for at most `last`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: ConnectionLimits,
    closed: CancellationToken,
    last: Duration,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let newcomers = Newcomers::default();
    let connections = GracefulShutdown::new();
    let builder = builder(limits);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closed.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: this may pass.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if room.available_permits() == 0 {
            newcomers.close_oldest();
        }
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = closed.cancelled() => break,
        };
        let (router, watcher) = (router.clone(), connections.watcher());
        let (builder, tls, newcomer) = (builder.clone(), tls.clone(), Arc::new(newcomers.add()));
        tokio::spawn(async move {
            let stream = prepared(stream, limits.patience);
            let answered = async {
                match tls {
                    None => answer(&builder, stream, router, watcher, newcomer.clone()).await,
                    Some(tls) => match tokio::time::timeout(limits.patience, tls.accept(stream)).await {
                        Ok(Ok(stream)) => answer(&builder, stream, router, watcher, newcomer.clone()).await,
                        _ => Ok(()),
                    },
                }
            };
            tokio::select! {
                ended = answered => {
                    // Clients may disconnect at any time.
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                }
                () = newcomer.closed() => tracing::debug!("a connection without a request was closed to make room"),
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(last, connections.shutdown()).await.is_err() {
        tracing::warn!("some clients were still being answered when the time limit was reached");
    }
}

fn builder(limits: ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_buf_size(limits.head)
        .max_headers(HEADERS)
        .keep_alive(limits.keep_alive);
    builder
}

type Stream = Pin<Box<TimeoutStream<TcpStream>>>;

/// A client that does not read its response is not waited for.
fn prepared(stream: TcpStream, patience: Duration) -> Stream {
    // A response is written at once; waiting for more would only delay it. The socket works without the
    // option too.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    Box::pin(stream)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    builder: &http1::Builder,
    stream: S,
    router: Router,
    watcher: Watcher,
    newcomer: Arc<Newcomer>,
) -> hyper::Result<()> {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        newcomer.asks();
        router.clone().oneshot(request.map(Body::new))
    });
    watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
}
