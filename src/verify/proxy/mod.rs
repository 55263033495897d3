//! A TCP proxy in front of one broker that recognizes Kafka's requests and can disturb them: hold one back
//! and release it later, cut connections, slow them, leave them half-open, answer instead of the broker.
//!
//! Of the protocol it knows sizes and headers, and the two answers that it makes itself.
//!
//! Must not know: rdkafka, kafka.

mod answers;
mod api;
mod connection;
mod held;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

pub use api::Api;
pub use held::Held;

/// What happens to requests of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The connection is cut, and the request never reaches the broker.
    CutBefore,
    /// The broker gets the request, and the connection is cut once it has answered: the answer is lost.
    CutAfter,
    /// The request is delayed by this time.
    Slow(Duration),
    /// The request is swallowed, and its connection carries nothing more in either direction.
    HalfOpen,
    /// The request never reaches the broker; the answer is this error (Kafka protocol guide, *Error codes*), where the
    /// proxy can make one: for Produce and SaslAuthenticate. Others go through.
    Refuse(i16),
}

/// The error of a broker whose disk is full or broken.
pub const KAFKA_STORAGE_ERROR: i16 = 56;
/// The error of a broker that does not know these credentials.
pub const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// A running proxy; ends with its connections when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// State shared by the connections and the proxy's owner.
struct Shared {
    broker: SocketAddr,
    rules: Mutex<Rules>,
    connections: Mutex<HashMap<u64, CancellationToken>>,
    /// Requests that were disturbed.
    hits: AtomicU64,
    end: CancellationToken,
}

#[derive(Default)]
struct Rules {
    holds: Vec<(Api, Held)>,
    /// The kind of requests; `None`: all.
    effects: Vec<(Option<Api>, Effect)>,
    /// Cancelled when the effects end: ends the delay of slow requests, and cuts half-open connections.
    calm: CancellationToken,
}

impl Proxy {
    /// Starts forwarding from that listener to the broker at that address, on its own thread.
    ///
    /// # Errors
    /// The thread cannot be started, or the listener cannot be used.
    pub fn start(listener: TcpListener, broker: SocketAddr) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared {
            broker,
            rules: Mutex::default(),
            connections: Mutex::default(),
            hits: AtomicU64::new(0),
            end: CancellationToken::new(),
        });
        let accepting = shared.clone();
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let end = accepting.end.clone();
                tokio::select! {
                    () = end.cancelled() => {}
                    () = connection::accept(listener, accepting) => {}
                }
            });
        })?;
        Ok(Proxy { address, shared, thread: Some(thread) })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds back the next request of that kind. Several proxies may share one: the first to get such a
    /// request holds it.
    pub fn hold_next(&self, api: Api, held: &Held) {
        self.shared.rules().holds.push((api, held.clone()));
    }

    /// Applies an effect to requests of that kind, or to all, from now on.
    pub fn disturb(&self, api: Option<Api>, effect: Effect) {
        self.shared.rules().effects.push((api, effect));
    }

    /// Ends all effects of [`disturb`](Proxy::disturb): slow requests go on, and half-open connections are
    /// cut.
    pub fn calm(&self) {
        let mut rules = self.shared.rules();
        rules.effects.clear();
        std::mem::take(&mut rules.calm).cancel();
    }

    /// Cuts all connections. Returns how many there were.
    pub fn cut_all(&self) -> usize {
        let connections = self.shared.connections();
        connections.values().for_each(CancellationToken::cancel);
        connections.len()
    }

    /// How many requests were disturbed so far.
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.end.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is ignored here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules for a request of that kind: its holder, and the effects with their cancellation.
    fn rule(&self, api: Option<Api>, connection: &CancellationToken) -> Rule {
        let mut rules = self.rules();
        let held = rules.holds.iter().position(|(kind, held)| Some(*kind) == api && held.take(connection));
        let held = held.map(|index| rules.holds.swap_remove(index).1);
        let meant = |(kind, _): &&(Option<Api>, Effect)| kind.is_none() || *kind == api;
        let effect = rules.effects.iter().find(meant).map(|(_, effect)| *effect);
        if held.is_some() || effect.is_some() {
            self.hits.fetch_add(1, Relaxed);
        }
        Rule { held, effect, calm: rules.calm.clone() }
    }
}

/// What happens to one request.
struct Rule {
    held: Option<Held>,
    effect: Option<Effect>,
    calm: CancellationToken,
}
