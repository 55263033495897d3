//! Serves connections until it is stopped, each within its limits.

use std::{error::Error, pin::Pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
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
/// The most requests of an HTTP/2 connection at once: those of some objects that KEDA scales, of which each keeps one open.
const STREAMS: u32 = 16;
/// What an HTTP/2 connection may send before it is read: what is asked over it has some hundred bytes.
const WINDOW: u32 = 64 << 10;

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
    /// Whether an HTTP/1 connection may send more than one request.
    pub keep_alive: bool,
    /// Whether HTTP/2 is spoken too, with those who begin with it, as gRPC does. Such a connection has never sent its last request:
    /// so the oldest one makes room, whatever it has sent.
    pub http2: bool,
}

impl ConnectionLimits {
    /// For ports that metrics are read from: the Kafka clients need file descriptors too. A response closes its connection, so that
    /// none stays open unused.
    pub const OF_METRICS: ConnectionLimits = ConnectionLimits {
        connections: 64,
        patience: Duration::from_secs(10),
        head: 16 << 10,
        keep_alive: false,
        http2: false,
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
                () = newcomer.closed() => tracing::debug!("a connection was closed to make room"),
                () = newcomer.late(limits.patience) => tracing::debug!("a connection without a request was closed"),
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(last, connections.shutdown()).await.is_err() {
        tracing::warn!("some clients were still being answered when the time limit was reached");
    }
}

type Builder = auto::Builder<TokioExecutor>;

fn builder(limits: ConnectionLimits) -> Builder {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_buf_size(limits.head)
        .max_headers(HEADERS)
        .keep_alive(limits.keep_alive);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.patience)
        .keep_alive_timeout(limits.patience)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    if limits.http2 { builder } else { builder.http1_only() }
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
    builder: &Builder,
    stream: S,
    router: Router,
    watcher: Watcher,
    newcomer: Arc<Newcomer>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        newcomer.asks(request.version() != Version::HTTP_2);
        router.clone().oneshot(request.map(Body::new))
    });
    watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
}
