//! The listener, with its limits, and TLS where the file asks for it.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::tls;
use crate::{
    config::HttpSettings,
    http::{ConnectionLimits, serve},
};

/// Why HTTP cannot be served.
#[derive(Error, Debug)]
pub enum ServerError {
    /// The server cannot listen at the address.
    #[error("HTTP cannot be served at {address}: {reason}; name another address by http.listen")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
    },
    /// A file for TLS cannot be used.
    #[error("{0}; see [http.tls]")]
    Tls(String),
}

/// A listener, with its limits and TLS.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Listens; nothing is answered before [`serve`](Server::serve).
    ///
    /// # Errors
    /// Where the address is taken, or a file for TLS cannot be used.
    pub async fn bind(settings: &HttpSettings) -> Result<Self, ServerError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose().map_err(ServerError::Tls)?;
        let failed = |reason| ServerError::Listen { address: settings.listen, reason };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let limits = ConnectionLimits {
            connections: settings.connections,
            patience: settings.client_timeout,
            head: settings.head,
            keep_alive: true,
            http2: false,
        };
        Ok(Server { listener, address, limits, tls })
    }

    /// The URL to open in a browser.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers until `closed`, then finishes what is being answered, for `limit` at most.
    pub async fn serve(self, router: Router, closed: CancellationToken, limit: Duration) {
        serve(self.listener, self.tls, router, self.limits, closed, limit).await;
    }
}
