//! Schemas that were asked for, by id.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use lru::LruCache;

use super::{Registry, RegistryError, Written};

/// How long it is taken as known that the registry is away: not every thread need wait for it.
const AWAY: Duration = Duration::from_millis(500);
/// The same of an id that the registry does not have: a stranger's bytes must not make us ask again and again.
const UNKNOWN: Duration = Duration::from_secs(60);
/// How many such ids are remembered.
const IDS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// What a format has made of each schema; none is asked for twice.
#[derive(Debug)]
pub struct Schemas<T> {
    registry: Registry,
    known: RwLock<HashMap<u32, Arc<T>>>,
    /// Held while the registry is asked, so that one thread asks for all.
    asking: Mutex<Asking>,
}

#[derive(Debug)]
struct Asking {
    away: Option<(Instant, RegistryError)>,
    unknown: LruCache<u32, (Instant, RegistryError)>,
}

impl<T> Schemas<T> {
    /// Of that registry; none yet.
    pub fn new(registry: Registry) -> Self {
        let asking = Mutex::new(Asking { away: None, unknown: LruCache::new(IDS) });
        Schemas { registry, known: RwLock::default(), asking }
    }

    /// The registry itself, for those who may wait for it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What was made of a schema, if it was asked for already.
    pub fn known(&self, id: u32) -> Option<Arc<T>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Keeps what was made of a schema.
    pub fn keep(&self, id: u32, made: Arc<T>) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, made);
    }

    /// What is made of a schema. Waits for the registry at most some seconds.
    ///
    /// # Errors
    /// The registry is away or refuses; or it has no such schema, or nothing can be made of it.
    pub fn get(
        &self,
        id: u32,
        make: impl FnOnce(&Written) -> Result<T, String>,
    ) -> Result<Arc<T>, RegistryError> {
        if let Some(made) = self.known(id) {
            return Ok(made);
        }
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have asked meanwhile.
        if let Some(made) = self.known(id) {
            return Ok(made);
        }
        if let Some((at, error)) = asking.unknown.get(&id)
            && at.elapsed() < UNKNOWN
        {
            return Err(error.clone());
        }
        let made = asking.ask(|| self.registry.by_id(id)).and_then(|written| {
            make(&written)
                .map_err(|reason| RegistryError::Unknown(format!("the schema {id} cannot be used: {reason}")))
        });
        match made {
            Ok(made) => {
                let made = Arc::new(made);
                self.keep(id, made.clone());
                Ok(made)
            }
            Err(error) => {
                if let RegistryError::Unknown(_) = error {
                    asking.unknown.put(id, (Instant::now(), error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Asks the registry something else, one thread at a time.
    ///
    /// # Errors
    /// What the question gives; or that the registry was away a moment ago.
    pub fn ask<R>(
        &self,
        question: impl FnOnce(&Registry) -> Result<R, RegistryError>,
    ) -> Result<R, RegistryError> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.ask(|| question(&self.registry))
    }
}

impl Asking {
    fn ask<R>(&mut self, question: impl FnOnce() -> Result<R, RegistryError>) -> Result<R, RegistryError> {
        if let Some((at, error)) = &self.away
            && at.elapsed() < AWAY
        {
            return Err(error.clone());
        }
        let answer = question();
        self.away = match &answer {
            Err(error @ RegistryError::Away(_)) => Some((Instant::now(), error.clone())),
            _ => None,
        };
        answer
    }
}
