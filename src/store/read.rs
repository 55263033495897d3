//! Reads an object range by range.

use std::{
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use object_store::{Error, ObjectStoreExt, path::Path};
use thiserror::Error;

use super::{Store, stopped};
use crate::pieces::Manifest;

/// How long the store may be away before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Why an object cannot be read.
#[derive(Error, Debug)]
pub enum ObjectError {
    /// It is not there.
    #[error("the result is not in {store} any more: {object}")]
    Gone {
        /// The store's address.
        store: String,
        /// The object's name.
        object: String,
    },
    /// The store does not answer.
    #[error("{store} has not answered for {} s while a result was read: {reason}", PATIENCE.as_secs())]
    Away {
        /// The store's address.
        store: String,
        /// What was wrong last.
        reason: String,
    },
}

/// Ranges of an object, in order. Next blocks; after an error there is nothing more.
pub struct ObjectReader {
    store: Store,
    path: Path,
    manifest: Manifest,
    /// Those that are not read yet.
    left: Range<usize>,
}

impl Store {
    /// Reads these of the ranges that [`Manifest::size_of`] tells of.
    pub fn read(&self, object: &str, manifest: Manifest, ranges: Range<usize>) -> ObjectReader {
        ObjectReader { store: self.clone(), path: Path::from(object), manifest, left: ranges }
    }
}

impl ObjectReader {
    fn read(&self, place: usize) -> Result<Bytes, ObjectError> {
        let start = place as u64 * self.manifest.piece_bytes();
        let range = start..start + self.manifest.size_of(place);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(range.clone()) {
                Ok(bytes) => return Ok(bytes),
                Err(Error::NotFound { .. }) => {
                    let (store, object) = (self.store.url.to_string(), self.path.to_string());
                    return Err(ObjectError::Gone { store, object });
                }
                Err(error) if Instant::now() >= deadline => {
                    let (store, reason) = (self.store.url.to_string(), error.to_string());
                    return Err(ObjectError::Away { store, reason });
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn ask(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let (objects, path) = (self.store.objects.clone(), self.path.clone());
        let Some(runtime) = &self.store.threads.0 else { return Err(stopped()) };
        runtime.block_on(async move { objects.get_range(&path, range).await })
    }
}

impl Iterator for ObjectReader {
    type Item = Result<Bytes, ObjectError>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.left.next()?;
        let read = self.read(place);
        if read.is_err() {
            self.left = 0..0;
        }
        Some(read)
    }
}
