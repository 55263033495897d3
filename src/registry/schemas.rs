//! Schemas that were asked for, by id.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::{Duration, Instant},
};

use lru::LruCache;

use super::{Registry, RegistryError, Written};

/// How long it is taken as known that the registry is away: not every thread need wait for it.
const AWAY: Duration = Duration::from_millis(500);
/// The same of an id that the registry does not have: a stranger's bytes must not make us ask again and again.
const UNKNOWN: Duration = Duration::from_secs(60);
/// How many such ids are remembered. The compiler sees that it is not zero.
const IDS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// What a format has made of each schema; none is asked for twice.
#[derive(Debug)]
pub struct Schemas<T> {
    registry: Registry,
    known: RwLock<HashMap<u32, Arc<T>>>,
    /// What a sink writes with, once it is known.
    written: OnceLock<(u32, Arc<T>)>,
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
        Schemas { registry, known: RwLock::default(), written: OnceLock::new(), asking }
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

    /// The id and the schema that a sink writes with: its own, of that text, where it has one, else the newest of the subject. Waits
    /// for the registry at most some seconds.
    ///
    /// # Errors
    /// The registry is away or refuses.
    pub fn written(
        &self,
        subject: impl FnOnce() -> String,
        kind: &str,
        text: Option<&str>,
        register: bool,
        own: impl FnOnce() -> Option<T>,
        make: impl FnOnce(&Written) -> Result<T, String>,
    ) -> Result<(u32, Arc<T>), RegistryError> {
        if let Some(written) = self.written.get() {
            return Ok(written.clone());
        }
        let subject = subject();
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, made) = match (text, own()) {
            (Some(text), Some(own)) => {
                (asking.ask(|| self.registry.id_or_new(&subject, kind, text, register))?, own)
            }
            _ => {
                let (id, written) = asking.ask(|| self.registry.latest(&subject))?;
                let unusable = |reason| {
                    RegistryError::Refused(format!(
                        "the schema {id}, the newest of the subject {subject}, cannot be used: {reason}"
                    ))
                };
                (id, make(&written).map_err(unusable)?)
            }
        };
        let made = Arc::new(made);
        // A later operator reads what an earlier one has written.
        self.keep(id, made.clone());
        Ok(self.written.get_or_init(|| (id, made)).clone())
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
