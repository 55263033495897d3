use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use super::{api::Head, *};

const SOON: Duration = Duration::from_secs(10);
const NOT_YET: Duration = Duration::from_millis(200);

/// A broker that reports each request it gets, and answers with the request's correlation id and a `!`.
fn broker() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (report, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, report) = (stream.unwrap(), report.clone());
            thread::spawn(move || {
                while let Some(request) = frame(&mut stream) {
                    let answer = [&[0, 0, 0, 5], &request[4..8], b"!"].concat();
                    report.send(request).unwrap();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, received)
}

fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn request(api: Api, version: i16, correlation: i32, rest: &[u8]) -> Vec<u8> {
    [&(api as i16).to_be_bytes()[..], &version.to_be_bytes(), &correlation.to_be_bytes(), rest].concat()
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Client {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Client(stream)
    }

    fn send(&mut self, request: &[u8]) {
        self.0.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
        self.0.write_all(request).unwrap();
    }

    /// The next answer; `None` if the connection is closed.
    fn answer(&mut self) -> Option<Vec<u8>> {
        frame(&mut self.0)
    }

    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(NOT_YET)).unwrap();
        let error = self.0.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        self.0.set_read_timeout(Some(SOON)).unwrap();
    }
}

fn proxy() -> (Proxy, Receiver<Vec<u8>>) {
    let (address, received) = broker();
    (Proxy::start(TcpListener::bind("127.0.0.1:0").unwrap(), address).unwrap(), received)
}

#[test]
fn what_is_not_disturbed_goes_through_and_comes_back() {
    let (proxy, received) = proxy();
    let mut client = Client::of(&proxy);
    for correlation in 1..=3_u8 {
        let fetch = request(Api::Fetch, 4, correlation.into(), &[b'x'; 100_000]);
        client.send(&fetch);
        assert_eq!(received.recv_timeout(SOON).unwrap(), fetch);
        assert_eq!(client.answer().unwrap(), [0, 0, 0, correlation, b'!']);
    }
    assert_eq!(proxy.hits(), 0);
}

#[test]
fn a_request_that_is_held_reaches_the_broker_when_it_is_let_go_although_its_connection_was_cut() {
    let (proxy, received) = proxy();
    let held = Held::new();
    proxy.hold_next(Api::EndTxn, &held);
    assert!(!held.caught(Duration::ZERO));
    let mut client = Client::of(&proxy);
    client.send(&request(Api::Fetch, 4, 6, b""));
    assert_eq!(client.answer().unwrap(), [0, 0, 0, 6, b'!']);
    received.recv_timeout(SOON).unwrap();
    let first = request(Api::EndTxn, 1, 7, b"first");
    client.send(&first);
    assert!(held.caught(SOON));
    held.cut();
    assert_eq!(client.answer(), None);

    // The client retries, and goes on.
    let mut client = Client::of(&proxy);
    let again = request(Api::EndTxn, 1, 1, b"again");
    client.send(&again);
    assert_eq!(received.recv_timeout(SOON).unwrap(), again);
    assert_eq!(client.answer().unwrap(), [0, 0, 0, 1, b'!']);

    assert!(received.recv_timeout(NOT_YET).is_err());
    held.release();
    assert_eq!(received.recv_timeout(SOON).unwrap(), first);
    assert_eq!(held.answer(SOON).unwrap(), b"!");
    client.hears_nothing();
}

#[test]
fn a_request_that_is_held_is_answered_when_it_is_let_go_where_its_connection_lives() {
    let (proxy, received) = proxy();
    let held = Held::new();
    proxy.hold_next(Api::Produce, &held);
    let mut client = Client::of(&proxy);
    client.send(&request(Api::Produce, 9, 1, b""));
    assert!(held.caught(SOON));
    client.hears_nothing();
    held.release();
    received.recv_timeout(SOON).unwrap();
    assert_eq!(client.answer().unwrap(), [0, 0, 0, 1, b'!']);
    client.send(&request(Api::Produce, 9, 2, b""));
    assert_eq!(client.answer().unwrap(), [0, 0, 0, 2, b'!']);
}

#[test]
fn a_request_whose_client_gave_up_while_it_was_held_reaches_the_broker_too() {
    let (proxy, received) = proxy();
    let held = Held::new();
    proxy.hold_next(Api::EndTxn, &held);
    let mut client = Client::of(&proxy);
    let end = request(Api::EndTxn, 1, 1, b"");
    client.send(&end);
    assert!(held.caught(SOON));
    drop(client);
    assert!(received.recv_timeout(NOT_YET).is_err());
    held.release();
    assert_eq!(received.recv_timeout(SOON).unwrap(), end);
}

#[test]
fn a_cut_before_loses_the_request_and_a_cut_after_its_answer_alone() {
    let (proxy, received) = proxy();
    proxy.disturb(Some(Api::Produce), Effect::CutBefore);
    let mut client = Client::of(&proxy);
    client.send(&request(Api::Produce, 9, 1, b""));
    assert_eq!(client.answer(), None);
    assert!(received.recv_timeout(NOT_YET).is_err());

    proxy.calm();
    proxy.disturb(Some(Api::Produce), Effect::CutAfter);
    let mut client = Client::of(&proxy);
    client.send(&request(Api::Fetch, 4, 1, b""));
    assert_eq!(client.answer().unwrap(), [0, 0, 0, 1, b'!']);
    client.send(&request(Api::Produce, 9, 2, b""));
    assert_eq!(client.answer(), None);
    assert_eq!([received.recv_timeout(SOON).unwrap()[7], received.recv_timeout(SOON).unwrap()[7]], [1, 2]);
    assert_eq!(proxy.hits(), 2);
}

#[test]
fn a_slow_request_waits_until_its_time_is_over_or_all_is_calm() {
    let (proxy, _received) = proxy();
    proxy.disturb(Some(Api::JoinGroup), Effect::Slow(Duration::from_millis(300)));
    let mut client = Client::of(&proxy);
    let begun = Instant::now();
    client.send(&request(Api::JoinGroup, 5, 1, b""));
    assert!(client.answer().is_some());
    assert!(begun.elapsed() >= Duration::from_millis(300));

    proxy.calm();
    proxy.disturb(None, Effect::Slow(Duration::from_secs(3_600)));
    client.send(&request(Api::Heartbeat, 3, 2, b""));
    client.hears_nothing();
    proxy.calm();
    assert!(client.answer().is_some());
}

#[test]
fn a_half_open_connection_is_silent_until_all_is_calm_and_then_cut() {
    let (proxy, received) = proxy();
    proxy.disturb(Some(Api::Fetch), Effect::HalfOpen);
    let mut client = Client::of(&proxy);
    client.send(&request(Api::Fetch, 4, 1, b""));
    client.send(&request(Api::Metadata, 4, 2, b""));
    client.hears_nothing();
    assert!(received.recv_timeout(NOT_YET).is_err());
    let mut other = Client::of(&proxy);
    other.send(&request(Api::Metadata, 4, 3, b""));
    assert!(other.answer().is_some());
    proxy.calm();
    assert_eq!(client.answer(), None);
}

#[test]
fn all_connections_are_cut_at_once() {
    let (proxy, _received) = proxy();
    let mut clients = [Client::of(&proxy), Client::of(&proxy)];
    for client in &mut clients {
        client.send(&request(Api::Fetch, 4, 1, b""));
        assert!(client.answer().is_some());
    }
    assert_eq!(proxy.cut_all(), 2);
    assert!(clients.iter_mut().all(|client| client.answer().is_none()));
}

#[test]
fn a_size_that_cannot_be_closes_the_connection() {
    let (proxy, received) = proxy();
    for size in [0_u32, 3, u32::MAX] {
        let mut client = Client::of(&proxy);
        client.0.write_all(&size.to_be_bytes()).unwrap();
        assert_eq!(client.answer(), None, "{size}");
    }
    assert!(received.recv_timeout(NOT_YET).is_err());
}

/// A Produce of one record set each to partitions 4 and 5 of the topic `ab`, in the old form and the compact one.
const PRODUCE_7: &[u8] = b"\0\x02me\xff\xff\xff\xff\0\0\x75\x30\0\0\0\x01\0\x02ab\0\0\0\x02\
    \0\0\0\x04\0\0\0\x03xyz\0\0\0\x05\0\0\0\0";
const PRODUCE_10: &[u8] = b"\0\x02me\0\0\xff\xff\0\0\x75\x30\x02\x03ab\x03\
    \0\0\0\x04\x04xyz\0\0\0\0\x05\x01\0\0\0";

#[test]
fn a_produce_request_that_is_refused_is_answered_for_each_of_its_partitions() {
    let (proxy, received) = proxy();
    proxy.disturb(Some(Api::Produce), Effect::Refuse(KAFKA_STORAGE_ERROR));
    let mut client = Client::of(&proxy);
    let unknown = [0xff; 8];

    client.send(&request(Api::Produce, 7, 9, PRODUCE_7));
    let partition = |number: u8| [&[0, 0, 0, number, 0, 56][..], &unknown, &unknown, &unknown].concat();
    let expected = [
        &[0, 0, 0, 9, 0, 0, 0, 1, 0, 2, b'a', b'b', 0, 0, 0, 2][..],
        &partition(4),
        &partition(5),
        &[0, 0, 0, 0],
    ];
    assert_eq!(client.answer().unwrap(), expected.concat());

    client.send(&request(Api::Produce, 10, 10, PRODUCE_10));
    let flexible = |number| [&partition(number)[..], &[1, 0, 0]].concat();
    let expected =
        [&[0, 0, 0, 10, 0, 2, 3, b'a', b'b', 3][..], &flexible(4), &flexible(5), &[0, 0, 0, 0, 0, 0]];
    assert_eq!(client.answer().unwrap(), expected.concat());
    assert!(received.recv_timeout(NOT_YET).is_err());
}

#[test]
fn whatever_is_no_produce_request_is_not_answered_and_nothing_panics() {
    let head = |version| Head { api: Some(Api::Produce), version, correlation: 1 };
    for (version, rest) in [(7, PRODUCE_7), (10, PRODUCE_10)] {
        let whole = request(Api::Produce, version, 1, rest);
        for cut in 0..whole.len() {
            // A few bytes at the end may be missing tags, which nothing depends on.
            let _ = answers::refusal(head(version), &whole[..cut], 56);
        }
        for at in 8..whole.len() {
            let mut broken = whole.clone();
            broken[at] = 0xff;
            let _ = answers::refusal(head(version), &broken, 56);
        }
    }
    assert_eq!(answers::refusal(head(13), &request(Api::Produce, 13, 1, PRODUCE_10), 56), None);
}
