//! Object stores, for results that are larger than their topic takes: a folder, or a bucket that speaks S3.
//!
//! An object is there as a whole or not at all, and its name is the hash of its bytes. So writing it once more changes nothing,
//! and nobody ever reads a part.
//!
//! Knows: engine, pieces. Must not know: rdkafka, toml.

mod read;
#[cfg(test)]
mod tests;

pub use read::{ObjectError, ObjectReader};

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use object_store::{
    Error, ObjectStore, ObjectStoreExt, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path, prefix::PrefixStore,
};
use tokio::runtime::{Builder, Runtime};

use crate::engine::ObjectSink;

/// Bytes of each part of an object that is sent in several; S3 takes ten thousand, so that an object may have 80 GB.
const PART: usize = 8 << 20;
/// How many of an object's parts are on their way at once.
const AT_ONCE: usize = 4;
/// How long the client itself tries again; whoever asked for it then says that the store is away.
const RETRY: Duration = Duration::from_secs(10);

/// A store that is open. Its clones share the connections.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use pipeline::store::Store;
///
/// let store = Store::open(&format!("file://{}", folder.path().display())).unwrap();
/// let name = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// futures::executor::block_on(store.put(name, "test".into())).unwrap();
/// assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"test");
/// ```
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    url: Arc<str>,
    threads: Arc<Threads>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

/// What the clients run on, from wherever they are asked. It may be dropped on a thread that must not wait.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Store {
    /// Opens `file:///FOLDER`, which is made where it is not there, or `s3://BUCKET/PREFIX`, for which keys, region and endpoint are
    /// in the variables `AWS_…` of the environment, as other tools read them. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// Why it cannot be, as a sentence.
    pub fn open(url: &str) -> Result<Store, String> {
        let failed = |error: &dyn fmt::Display| format!("the store {url} cannot be opened: {error}");
        let objects: Arc<dyn ObjectStore> = match url.split_once("://") {
            Some(("file", folder)) => {
                std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
                let folder = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(&error))?;
                // A manifest that is committed must not outlive its bytes.
                Arc::new(folder.with_fsync(true))
            }
            Some(("s3", place)) => {
                // `reqwest` takes it from here. A second caller, or another part of the program, may have set it.
                let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
                let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
                let retry = RetryConfig { max_retries: 3, retry_timeout: RETRY, ..RetryConfig::default() };
                let bucket = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build();
                Arc::new(PrefixStore::new(bucket.map_err(|error| failed(&error))?, prefix))
            }
            _ => return Err(failed(&"its address begins with neither `file:///` nor `s3://`")),
        };
        let threads = Builder::new_multi_thread().worker_threads(1).thread_name("store").enable_all().build();
        let threads = Arc::new(Threads(Some(threads.map_err(|error| failed(&error))?)));
        Ok(Store { objects, url: url.into(), threads })
    }

    /// Writes an object.
    ///
    /// # Errors
    /// Why it is not there, as a sentence: it is to be tried again.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), String> {
        let (objects, path) = (self.objects.clone(), Path::from(name));
        let written = self.on_threads(async move { write(&*objects, &path, bytes).await });
        written.await.map_err(|error| format!("a result cannot be written to {}: {error}", self.url))
    }

    /// Has it done where the connections are.
    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let Some(runtime) = &self.threads.0 else { return Err(stopped()) };
        runtime.spawn(work).await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// The process is being torn down.
fn stopped() -> Error {
    Error::Generic { store: "store", source: "its threads are gone".into() }
}

async fn write(objects: &dyn ObjectStore, path: &Path, bytes: Bytes) -> Result<(), Error> {
    if bytes.len() <= PART {
        return objects.put(path, bytes.into()).await.map(drop);
    }
    let mut upload = objects.put_multipart(path).await?;
    let parts = (0..bytes.len()).step_by(PART).map(|at| bytes.slice(at..bytes.len().min(at + PART)));
    // The order of the parts is that of the calls.
    let parts: Vec<_> = parts.map(|part| upload.put_part(part.into())).collect();
    let sent = stream::iter(parts).buffered(AT_ONCE).try_collect::<Vec<()>>().await;
    match sent {
        Ok(_) => upload.complete().await.map(drop),
        Err(error) => {
            // Where this fails too, the store's own rule for parts of nothing takes them away.
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

impl ObjectSink for Store {
    fn put(&self, name: &str, bytes: Bytes) -> BoxFuture<'static, Result<(), String>> {
        let (store, name) = (self.clone(), name.to_owned());
        async move { Store::put(&store, &name, bytes).await }.boxed()
    }
}
