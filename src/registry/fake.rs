//! A registry for tests, which answers what a test wants.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{Auth, Registry, RegistrySettings};

type Answers = Arc<Mutex<HashMap<String, (u16, String)>>>;

/// A registry on a free port, until the test's process ends.
pub struct Fake {
    pub url: String,
    /// The certificate that it is known by, where it has one.
    pub ca: Option<String>,
    answers: Answers,
    /// Each request: its line, its header `authorization` and its body.
    asked: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Fake {
    pub fn start() -> Fake {
        Fake::serve(None)
    }

    pub fn with_tls() -> Fake {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        Fake { ca: Some(cert.pem()), ..Fake::serve(Some(Arc::new(config))) }
    }

    fn serve(tls: Option<Arc<ServerConfig>>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() {
            format!("https://localhost:{port}")
        } else {
            format!("http://127.0.0.1:{port}")
        };
        let fake = Fake { url, ca: None, answers: Answers::default(), asked: Arc::default() };
        let (answers, asked) = (fake.answers.clone(), fake.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // A client that does not trust the certificate goes away.
                let _ = match &tls {
                    None => answer(stream, &answers, &asked),
                    Some(config) => {
                        let connection = ServerConnection::new(config.clone()).unwrap();
                        answer(StreamOwned::new(connection, stream), &answers, &asked)
                    }
                };
            }
        });
        fake
    }

    /// What it answers from now on to a request such as `GET /schemas/ids/1`.
    pub fn answers(&self, request: &str, status: u16, body: impl ToString) {
        self.answers.lock().unwrap().insert(request.to_owned(), (status, body.to_string()));
    }

    /// The requests so far: their lines.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(line, ..)| line.clone()).collect()
    }

    /// The header `authorization` and the body of the last request.
    pub fn last(&self) -> (String, String) {
        let asked = self.asked.lock().unwrap();
        let (_, authorization, body) = asked.last().unwrap();
        (authorization.clone(), body.clone())
    }

    pub fn registry(&self) -> Registry {
        self.registry_for(Auth::None)
    }

    pub fn registry_for(&self, auth: Auth) -> Registry {
        Registry::new(RegistrySettings { url: self.url.clone(), auth, ca: self.ca.clone() }).unwrap()
    }
}

fn answer(
    stream: impl Read + Write,
    answers: &Answers,
    asked: &Mutex<Vec<(String, String, String)>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut authorization, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap()
            }
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                authorization = value.to_owned()
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let nothing = || (404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned());
    let (status, text) = answers.lock().unwrap().get(&line).cloned().unwrap_or_else(nothing);
    asked.lock().unwrap().push((line, authorization, String::from_utf8(body).unwrap()));
    let stream = reader.get_mut();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
