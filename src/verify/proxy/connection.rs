//! One client's connection, and its connection to the broker.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex as AsyncMutex,
};
use tokio_util::sync::CancellationToken;

use super::{
    Effect, Held, Rule, Shared, answers,
    api::{Head, correlation},
};

/// The largest request or answer: the default of Kafka's `socket.request.max.bytes`.
const LARGEST: usize = 100 << 20;
/// How long to wait for the answer to a late request.
const LATE: Duration = Duration::from_secs(30);
/// The pause after accepting a connection failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections forever.
pub(super) async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let next = AtomicU64::new(0);
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (id, cut) = (next.fetch_add(1, Relaxed), CancellationToken::new());
        shared.connections().insert(id, cut.clone());
        let shared = shared.clone();
        tokio::spawn(async move {
            // However it ends, both sides are closed by then.
            let _ = serve(client, &shared, cut).await;
            shared.connections().remove(&id);
        });
    }
}

async fn serve(client: TcpStream, shared: &Shared, cut: CancellationToken) -> io::Result<()> {
    // If the broker is down, the client sees its connection closed, as it would without the proxy.
    let broker = TcpStream::connect(shared.broker).await?;
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
    let connection = Connection {
        shared,
        cut,
        to_client: AsyncMutex::new(Some(to_client)),
        mute: AtomicBool::new(false),
        awaited: Mutex::default(),
    };
    tokio::select! {
        result = connection.requests(from_client, to_broker) => result,
        result = connection.answers(from_broker) => result,
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    cut: CancellationToken,
    /// `None` once the client's side was cut.
    to_client: AsyncMutex<Option<OwnedWriteHalf>>,
    /// Set once the client receives no more answers.
    mute: AtomicBool,
    /// Answers that are handled specially, by their correlation id.
    awaited: Mutex<Vec<(i32, Answer)>>,
}

enum Answer {
    /// Is passed to the holder of the request.
    Report(Held),
    /// Is lost: the connection is cut.
    Cut,
}

impl Connection<'_> {
    /// Passes requests on until the client disconnects or is cut.
    async fn requests(&self, mut client: OwnedReadHalf, mut broker: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let request = tokio::select! {
                () = self.cut.cancelled() => return Ok(()),
                request = read(&mut client) => request?,
            };
            let Some(head) = Head::read(&request[4..]) else { return Err(io::ErrorKind::InvalidData.into()) };
            let rule = self.shared.rule(head.api, &self.cut);
            if let Some(held) = &rule.held {
                self.await_answer(head, Answer::Report(held.clone()));
                tokio::select! {
                    () = held.released() => {}
                    () = self.cut.cancelled() => return self.late(held, client, broker, &request).await,
                }
            }
            if self.disturb(&rule, head, &request).await? {
                broker.write_all(&request).await?;
            }
        }
    }

    /// Applies the rule. Returns whether the request goes to the broker.
    async fn disturb(&self, rule: &Rule, head: Head, request: &[u8]) -> io::Result<bool> {
        match rule.effect {
            None => Ok(true),
            Some(Effect::CutBefore) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Effect::CutAfter) => {
                self.await_answer(head, Answer::Cut);
                Ok(true)
            }
            Some(Effect::Slow(pause)) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = rule.calm.cancelled() => {}
                    () = self.cut.cancelled() => {}
                }
                Ok(true)
            }
            Some(Effect::HalfOpen) => {
                self.mute.store(true, Relaxed);
                tokio::select! {
                    () = rule.calm.cancelled() => {}
                    () = self.cut.cancelled() => {}
                }
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Some(Effect::Refuse(error)) => match answers::refusal(head, &request[4..], error) {
                Some(answer) => self.forward(&answer).await.map(|()| false),
                None => Ok(true),
            },
        }
    }

    /// Sends a held request whose client is gone to the broker once it is released, on the broker's side of
    /// this connection, which outlives the client's.
    async fn late(
        &self,
        held: &Held,
        client: OwnedReadHalf,
        mut broker: OwnedWriteHalf,
        request: &[u8],
    ) -> io::Result<()> {
        drop(client);
        *self.to_client.lock().await = None;
        held.released().await;
        broker.write_all(request).await?;
        // `answers` reports the answer; both end here.
        tokio::time::sleep(LATE).await;
        Ok(())
    }

    /// Passes answers on until the broker disconnects. `requests` notices when the client is gone: one of its
    /// requests may still be held.
    async fn answers(&self, mut broker: OwnedReadHalf) -> io::Result<()> {
        loop {
            let answer = read(&mut broker).await?;
            match self.awaited(correlation(&answer[4..])) {
                Some(Answer::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Some(Answer::Report(held)) => held.answered(&answer[8..]),
                None => {}
            }
            let _ = self.forward(&answer).await;
        }
    }

    async fn forward(&self, answer: &[u8]) -> io::Result<()> {
        if !self.mute.load(Relaxed)
            && let Some(client) = &mut *self.to_client.lock().await
        {
            client.write_all(answer).await?;
        }
        Ok(())
    }

    fn await_answer(&self, head: Head, what: Answer) {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).push((head.correlation, what));
    }

    fn awaited(&self, correlation: Option<i32>) -> Option<Answer> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let index = awaited.iter().position(|(id, _)| Some(*id) == correlation)?;
        Some(awaited.swap_remove(index).1)
    }
}

/// Reads one request or answer, with its size. Allocates as bytes arrive, not as the size claims.
async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await?;
    let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if !(Head::SIZE - 4..=LARGEST).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    from.take(size as u64).read_to_end(&mut frame).await?;
    if frame.len() == 4 + size { Ok(frame) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
