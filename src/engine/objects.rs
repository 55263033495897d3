//! Puts results into an object store, before the records that say where they are go out.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{calls::unless_cancelled, compute::Compute, outcome::Outcome};
use crate::operator::Cancel;

/// What the engine needs of an object store.
pub trait ObjectSink: Send + Sync {
    /// Writes an object, as a whole or not at all. Writing it once more changes nothing, as its name is the hash of its bytes.
    /// Otherwise a sentence says why it is not there.
    fn put(&self, name: &str, bytes: Bytes) -> BoxFuture<'static, Result<(), String>>;
}

impl Compute {
    /// Writes a chunk's objects. A store that is away is tried again for as long as it takes.
    pub(super) async fn put_objects(&self, outcome: &mut Outcome, cancel: &Cancel, calling: &AtomicUsize) {
        let super::Large::Store(store, _) = &self.large else { return };
        calling.fetch_add(1, Relaxed);
        for (name, bytes) in std::mem::take(&mut outcome.objects) {
            let mut failed = 0;
            let written = async {
                while let Err(message) = store.put(&name, bytes.clone()).await {
                    self.away.say(self.runtime.now(), &message);
                    failed += 1;
                    let pause = self.retries.otherwise.pause(failed, self.runtime.random());
                    self.runtime.sleep(pause).await;
                }
            };
            if unless_cancelled(written, cancel, &*self.runtime).await.is_none() {
                outcome.cancelled = true;
                break;
            }
        }
        calling.fetch_sub(1, Relaxed);
    }
}
