use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

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
}

/// An address that is listened to, and what is taken there.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: HttpSettings,
}

impl Server {
    /// Listens; nothing is answered before [`serve`](Server::serve).
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(settings: &HttpSettings) -> Result<Self, ServerError> {
        let failed = |reason| ServerError::Listen { address: settings.listen, reason };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address, settings: settings.clone() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then finishes what is being answered, for so long as `limit` lets it.
    pub async fn serve(self, router: Router, stop: CancellationToken, limit: Duration) {
        let room = Arc::new(Semaphore::new(self.settings.connections));
        let connections = GracefulShutdown::new();
        let builder = self.builder();
        loop {
            // A client that finds no room waits to be accepted.
            let permit = tokio::select! {
                permit = room.clone().acquire_owned() => permit,
                () = stop.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
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
            let router = router.clone();
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                router.clone().oneshot(request.map(axum::body::Body::new) as Request)
            });
            let connection = builder.serve_connection(TokioIo::new(prepared(stream)), service);
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                // Clients come and go as they like.
                if let Err(error) = connection.await {
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

fn prepared(stream: TcpStream) -> TcpStream {
    // An answer is written at once; waiting for more would only delay it. A socket that refuses works all the same.
    let _ = stream.set_nodelay(true);
    stream
}
