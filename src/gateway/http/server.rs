use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tls;
use crate::config::HttpSettings;

/// Headers that a request may have.
const HEADERS: usize = 64;

/// Why HTTP cannot be served.
#[derive(Error, Debug)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("HTTP cannot be served at {address}: {reason}; name another address by http.listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// A file cannot be used.
    #[error("{0}; see [http.tls]")]
    Tls(String),
}

/// An address that is listened to, and what is taken there.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: HttpSettings,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Listens; nothing is answered before [`serve`](Server::serve).
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(settings: &HttpSettings) -> Result<Self, ServerError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose().map_err(ServerError::Tls)?;
        let failed = |reason| ServerError::Listen { address: settings.listen, reason };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address, settings: settings.clone(), tls })
    }

    /// Where it listens, as a browser is told.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers until `closed`, then finishes what is being answered, for so long as `limit` lets it.
    pub async fn serve(self, router: Router, closed: CancellationToken, limit: Duration) {
        let room = Arc::new(Semaphore::new(self.settings.connections));
        let connections = GracefulShutdown::new();
        let builder = self.builder();
        loop {
            // A client that finds no room waits to be accepted.
            let permit = tokio::select! {
                permit = room.clone().acquire_owned() => permit,
                () = closed.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
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
            let (router, connection) = (router.clone(), connections.watcher());
            let (builder, tls, patience) = (builder.clone(), self.tls.clone(), self.settings.client_timeout);
            tokio::spawn(async move {
                let stream = prepared(stream, patience);
                // Clients come and go as they like.
                let ended = match tls {
                    None => answer(&builder, stream, router, connection).await,
                    Some(tls) => match tokio::time::timeout(patience, tls.accept(stream)).await {
                        Ok(Ok(stream)) => answer(&builder, stream, router, connection).await,
                        _ => Ok(()),
                    },
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(limit, connections.shutdown()).await.is_err() {
            tracing::warn!("some clients were still being answered when the time for it was over");
        }
    }

    fn builder(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.client_timeout)
            .max_buf_size(self.settings.head)
            .max_headers(HEADERS);
        builder
    }
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
) -> hyper::Result<()> {
    let service =
        service_fn(move |request: hyper::Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
    watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
}
