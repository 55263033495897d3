//! What a gateway does with strangers: tokens, TLS, and what is too much or too slow.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use crate::harness::{Gateway, Response, Site, ensure, eventually, factorial, pipeline};

const TOKEN: &str = "open-sesame-0123456789";

#[test]
fn with_a_token_nobody_asks_without_it_and_it_is_printed_nowhere() {
    let site = Site::new("gateway-token").with_topics(2);
    let _worker = site.worker(&[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let token = format!("http.token=\"${{file:{}}}\"", file.path().display());
    let gateway = site.gateway(&[&token]);
    for presented in ["", "\nauthorization: Bearer wrong", "\nauthorization: Basic open-sesame-0123456789"] {
        for head in ["GET /factorial/5", "POST /factorial", "GET /requests/5"] {
            let refused = gateway.begin(&format!("{head}{presented}"), "").response();
            assert_eq!(refused.problem(), (401, "unauthorized".to_owned()), "{head}{presented}");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
        }
    }
    let longer = format!("GET /factorial/5\nauthorization: Bearer {TOKEN}0");
    assert_eq!(gateway.begin(&longer, "").response().status, 401);
    let right = format!("GET /factorial/5\nauthorization: bearer {TOKEN}");
    assert_eq!(gateway.begin(&right, "").response().text(), "120");
    assert_eq!(gateway.get("/").status, 200, "the page itself tells nothing");
    let (_, log) = gateway.terminate();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let site = Site::new("gateway-tls").with_topics(2);
    let _worker = site.worker(&[]);
    let folder = tempfile::tempdir().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let files = [
        format!("http.tls.certificate={}", certificate.display()),
        format!("http.tls.key={}", key.display()),
    ];
    let gateway = site.gateway_unready(&[&files[0], &files[1]]);

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let get = |path: &str| {
        runtime.block_on(async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
            let name = ServerName::try_from("gateway.test").unwrap();
            let mut stream = connector.connect(name, stream).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            Response::of(&bytes)
        })
    };
    eventually(Duration::from_secs(30), || {
        let ready = get("/readyz");
        ensure(ready.status == 200, || ready.text().to_owned())
    });
    assert_eq!(get("/factorial/60").text(), factorial(60));
    assert!(gateway.process.log().contains("at https://"));
    // TLS answers an alert, and no HTTP.
    let mut plain = TcpStream::connect(gateway.address).unwrap();
    plain.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_setting_that_cannot_be_is_said_before_anything_is_served() {
    let (code, _, stderr) = pipeline(
        "127.0.0.1:1",
        &["serve", "gateway.toml"],
        &["http.lisen=127.0.0.1:0".to_owned(), "routes.factorial.max_n=\"many\"".to_owned()],
    );
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("`lisen` is not a setting of `[http]`"), "{stderr}");
    assert!(stderr.contains("did you mean `listen`?"), "{stderr}");
    assert!(stderr.contains("`routes.factorial.max_n` must be an integer"), "{stderr}");
    let (code, _, stderr) = pipeline("127.0.0.1:1", &["serve", "nothing.toml"], &[]);
    assert_eq!((code, stderr.contains("there is no gateway nothing.toml")), (2, true), "{stderr}");
}

/// Sends it, and closes its half if that is wanted; the answer's status, or `None` where there is none.
fn send(gateway: &Gateway, bytes: &[u8], half_close: bool) -> Option<u16> {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The gateway may hang up in the middle.
    let _ = stream.write_all(bytes);
    if half_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it never hung up"),
        _ => {}
    }
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.").and_then(|rest| rest[2..5].parse().ok())
}

#[test]
fn whatever_a_client_sends_limits_hold_and_nothing_breaks_or_leaks() {
    let site = Site::new("gateway-fuzz").with_topics(2);
    let _worker = site.worker(&[]);
    let settings = ["http.client_timeout=\"1 s\"", "http.connections=50", "limits.in_flight=20"];
    let gateway = site.gateway(&settings);
    assert_eq!(gateway.get("/factorial/10").text(), "3628800");
    let files = gateway.process.open_files();

    // What is too much, or too slow, ends by itself.
    let header =
        |bytes: usize| format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(bytes)).into_bytes();
    assert_eq!(send(&gateway, &header(60_000), true), Some(431));
    let headers = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(send(&gateway, headers.as_bytes(), true), Some(431));
    let path = format!("GET /factorial/{} HTTP/1.0\r\n\r\n", "9".repeat(5_000));
    assert_eq!(send(&gateway, path.as_bytes(), false), Some(413));
    let post = |length: usize, body: &str| {
        format!(
            "POST /factorial HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    assert_eq!(send(&gateway, post(100_000, &" ".repeat(100_000)).as_bytes(), false), Some(413));
    let start = Instant::now();
    assert_eq!(send(&gateway, post(100, "[1,").as_bytes(), false), Some(408), "a body that does not come");
    assert_eq!(send(&gateway, b"GET / HTTP/1.1\r\nhost", false), None, "a head that does not come");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(send(&gateway, post(100, "[1,").as_bytes(), true), Some(400), "a body that breaks off");

    // As many connections as may, and then the next caller gets a turn when they are closed for their silence.
    let silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    assert_eq!(gateway.get("/factorial/10").text(), "3628800");
    drop(silent);

    // A caller that does not take the answers is not waited for.
    let mut greedy = TcpStream::connect(gateway.address).unwrap();
    greedy.write_all("GET /factorial/100000 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(40).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let mut answers = Vec::new();
    // Cut off, one way or the other.
    let _ = greedy.read_to_end(&mut answers);
    let heads = String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count();
    assert!((1..40).contains(&heads), "{heads} answers");

    // Noise, from a seed that a failure names.
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let starts: [&[u8]; 8] = [
        b"GET /factorial/",
        b"POST /factorial HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /factorial HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n",
        b"GET /requests/",
        b"GET /factorial/10 HTTP/1.1\r\nhost: x\r\nprefer: wait=",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"",
    ];
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (gateway, mut random) = (&gateway, random.fork());
            scope.spawn(move || {
                for _ in 0..60 {
                    let mut bytes = starts[random.usize(..starts.len())].to_vec();
                    let noise = random.usize(..200);
                    bytes.extend((0..noise).map(|_| match random.u8(..8) {
                        0 => b'\r',
                        1 => b'\n',
                        2 => b'%',
                        3 => random.digit(10) as u8,
                        _ => random.u8(..),
                    }));
                    if random.bool() {
                        bytes.extend_from_slice(b" HTTP/1.0\r\n\r\n");
                    }
                    let status = send(gateway, &bytes, random.u8(..4) > 0);
                    assert!(
                        status.is_none_or(|status| (200..500).contains(&status) || status == 504),
                        "{status:?}, seed {seed}, thread {thread}"
                    );
                }
            });
        }
    });
    assert_eq!(gateway.get("/factorial/11").text(), "39916800", "seed {seed}");
    gateway.process.until_closed(files);
    gateway.until_in_flight(0);
    let (status, log) = gateway.terminate();
    assert!(status.success() && !log.contains("panicked"), "seed {seed}: {log}");
}
