//! A server that speaks S3, and checks signatures.

use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Site, free_port};

const BUCKET: &str = "results";
const KEY: &str = "a-key";
const SECRET: &str = "a-secret";

/// The server, with its files in a temporary folder; it does not answer until it is started.
pub struct S3 {
    folder: TempDir,
    port: u16,
    running: Option<Runtime>,
}

impl S3 {
    pub fn new() -> S3 {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(BUCKET)).unwrap();
        S3 { folder, port: free_port(), running: None }
    }

    /// A site whose workers and commands find it.
    pub fn known_to(&self, site: Site) -> Site {
        site.env("AWS_ENDPOINT", &format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    }

    /// The store's address.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/factorials")
    }

    pub fn start(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(self.folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build().into_shared();
        let runtime = Runtime::new().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
                tokio::spawn(connection);
            }
        });
        self.running = Some(runtime);
    }

    /// It is away, with all connections.
    pub fn stop(&mut self) {
        self.running.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }

    /// The objects that it has, as files.
    pub fn objects(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join(BUCKET).join("factorials");
        let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
        files.map(|file| file.unwrap().path()).collect()
    }
}
