//! A connection to one broker: a request, then its answer.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{
    Security, WireError,
    bytes::{Malformed, Reader, Writer},
    sasl,
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take, from its first byte to the answer's last one.
const ANSWER: Duration = Duration::from_secs(15);
/// The largest answer, in bytes: a million producers of one partition.
const LARGEST: usize = 64 << 20;
/// The most bytes of a client's name that a broker is told.
const NAME: usize = 200;

/// A request: its number, its name, and the version of it that we speak.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    pub key: i16,
    pub name: &'static str,
    pub version: i16,
    pub flexible: bool,
}

const API_VERSIONS: Api = Api { key: 18, name: "ApiVersions", version: 0, flexible: false };

/// A connection that lets this user in.
pub struct Connection {
    stream: Stream,
    address: String,
    client: String,
    /// The number of the last request.
    correlation: i32,
    /// The lowest and the highest version of each request that the broker knows.
    known: BTreeMap<i16, (i16, i16)>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connects, and shows who this user is where the settings say so. Blocks.
    ///
    /// # Errors
    /// The broker cannot be reached, TLS or it refuses.
    pub fn open(host: &str, port: u16, security: &Security, client: &str) -> Result<Self, WireError> {
        let address = format!("{host}:{port}");
        let unreachable = |reason: String| WireError::Unreachable { address: address.clone(), reason };
        let socket = connect(host, port).map_err(|error| unreachable(error.to_string()))?;
        let stream = match &security.tls {
            None => Stream::Plain(socket),
            Some(tls) => {
                let name =
                    ServerName::try_from(host.to_owned()).map_err(|error| unreachable(error.to_string()))?;
                let session = ClientConnection::new(Arc::clone(tls), name)
                    .map_err(|error| unreachable(error.to_string()))?;
                Stream::Tls(Box::new(StreamOwned::new(session, socket)))
            }
        };
        let client = client.chars().take(NAME / 4).collect();
        let mut connection = Connection { stream, address, client, correlation: 0, known: BTreeMap::new() };
        connection.known = connection.versions()?;
        if let Some(credentials) = &security.sasl {
            sasl::show(&mut connection, credentials)?;
        }
        Ok(connection)
    }

    /// The broker's host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn versions(&mut self) -> Result<BTreeMap<i16, (i16, i16)>, WireError> {
        self.exchange(
            API_VERSIONS,
            |_| {},
            |answer| {
                let _error = answer.i16()?;
                let known = answer.array(|of| Ok((of.i16()?, (of.i16()?, of.i16()?))))?;
                Ok(known.into_iter().collect())
            },
        )
    }

    /// Sends a request, and reads its answer.
    ///
    /// # Errors
    /// The broker does not know it, does not answer in time, or its answer is none.
    pub(super) fn ask<T>(
        &mut self,
        api: Api,
        body: impl FnOnce(&mut Writer),
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, WireError> {
        let knows = self.known.get(&api.key).is_some_and(|(low, high)| (*low..=*high).contains(&api.version));
        if !knows {
            let address = self.address.clone();
            return Err(WireError::Unknown { address, api: api.name, version: api.version });
        }
        self.exchange(api, body, read)
    }

    fn exchange<T>(
        &mut self,
        api: Api,
        body: impl FnOnce(&mut Writer),
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, WireError> {
        self.correlation = self.correlation.wrapping_add(1);
        let request = framed(api, self.correlation, &self.client, body);
        let answer = self.stream.exchange(&request, Instant::now() + ANSWER);
        let answer = answer.map_err(|error| self.failed(api, &error))?;
        let correlation = self.correlation;
        let parse = || {
            let mut reader = Reader::new(&answer, api.flexible);
            if reader.i32()? != correlation {
                return Err(Malformed("it answers another request"));
            }
            reader.end()?;
            read(&mut reader)
        };
        parse().map_err(|malformed| WireError::malformed(&self.address, api.name, malformed))
    }

    fn failed(&self, api: Api, error: &io::Error) -> WireError {
        let address = self.address.clone();
        match error.kind() {
            // A socket's time is over in one of these ways.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                WireError::Silent { address, api: api.name, limit: ANSWER }
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => WireError::Broken {
                address,
                api: api.name,
                reason: "it hung up: does `security.protocol` in [kafka] say what that port speaks?"
                    .to_owned(),
            },
            _ => WireError::Broken { address, api: api.name, reason: error.to_string() },
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "its name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A request with its length and its header.
fn framed(api: Api, correlation: i32, client: &str, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    // The client's name is in the older encoding in every header.
    let mut header = Writer::new(false);
    header.i16(api.key);
    header.i16(api.version);
    header.i32(correlation);
    header.string(client);
    let mut rest = Writer::new(api.flexible);
    rest.end();
    body(&mut rest);
    let (header, rest) = (header.finish(), rest.finish());
    let length = (header.len() + rest.len()) as u32;
    [&length.to_be_bytes()[..], &header, &rest].concat()
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Sends a request; returns the answer without its length. Fails with `WouldBlock` or `TimedOut` at the deadline.
    fn exchange(&mut self, request: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
        self.limit(deadline)?;
        match self {
            Stream::Plain(socket) => socket.write_all(request)?,
            Stream::Tls(stream) => {
                stream.write_all(request)?;
                stream.flush()?;
            }
        }
        let mut length = [0; 4];
        self.fill(&mut length, deadline)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LARGEST {
            let what = format!("its answer has {length} bytes, more than the {LARGEST} that one may have");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        let mut answer = Vec::new();
        while answer.len() < length {
            // Room is made for what comes, not for what was said.
            let (begin, end) = (answer.len(), length.min(answer.len() + (64 << 10)));
            answer.resize(end, 0);
            self.fill(&mut answer[begin..], deadline)?;
        }
        Ok(answer)
    }

    fn fill(&mut self, mut room: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !room.is_empty() {
            // Before each read: who sends a byte now and then does not get more time.
            self.limit(deadline)?;
            let read = match self {
                Stream::Plain(socket) => socket.read(room),
                Stream::Tls(stream) => stream.read(room),
            };
            match read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => room = &mut room[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn limit(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket().set_read_timeout(Some(left))?;
        self.socket().set_write_timeout(Some(left))
    }
}
