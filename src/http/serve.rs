//! Serves connections until it is told to stop, each within its limits.

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

/// Headers that a request may have.
const HEADERS: usize = 64;

/// What is accepted from a stranger who reaches a port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Where one more comes, the oldest that has not asked anything yet is closed; where all
    /// have asked, it waits.
    pub connections: usize,
    /// How long a client may take to send a request's head, or to take a piece of an answer.
    pub patience: Duration,
    /// Bytes of a request's head, at least 8 KiB, which hyper needs.
    pub head: usize,
    /// Whether a connection may ask more than once.
    pub keep_alive: bool,
}

/// Answers until `closed`, then finishes what is being answered, for so long as `last` lets it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
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
                // Out of file descriptors, most likely: that may pass.
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
                    // Clients come and go as they like.
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                }
                () = newcomer.closed() => tracing::debug!("a connection that asked nothing made room"),
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(last, connections.shutdown()).await.is_err() {
        tracing::warn!("some clients were still being answered when the time for it was over");
    }
}

fn builder(limits: Limits) -> http1::Builder {
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

/// A client that does not take its answer is not waited for.
fn prepared(stream: TcpStream, patience: Duration) -> Stream {
    // An answer is written at once; waiting for more would only delay it. A socket that refuses works all the same.
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
