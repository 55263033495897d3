//! A component, and its instances that run.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed};

use wasmtime::{
    Config, Engine, Store, Trap,
    component::{Component, ComponentType, Func, InstancePre, Lift, Linker, Lower},
};

use super::super::SettingError;
use super::{
    GRANTS, Settings,
    host::{Host, Shared},
};

/// What a component imports may begin with.
const PACKAGE: &str = "pipeline:operator/";
/// What every component imports: the types of records.
const RECORDS: &str = "records";

/// A component that is compiled, and its instances that have nothing to do.
pub struct Guests {
    instances: InstancePre<Host>,
    shared: Arc<Shared>,
    /// What it imports, for people.
    imports: String,
    fuel: u64,
    idle: Mutex<Vec<Guest>>,
}

/// One instance: it computes one call at a time.
pub struct Guest {
    store: Store<Host>,
    apply: Func,
    /// Whether it has computed anything: then what goes wrong may be of before.
    used: bool,
}

/// Where records were read.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
}

/// A header; of records that are given.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct Header<'a> {
    pub name: &'a str,
    pub value: Option<&'a [u8]>,
}

/// A record that is given.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct Input<'a> {
    pub offset: i64,
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: &'a [u8],
    pub headers: Option<&'a [Header<'a>]>,
}

/// A header; of records that were made.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct HeaderMade {
    pub name: String,
    pub value: Option<Vec<u8>>,
}

/// A record that was made.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct Output {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Option<Vec<HeaderMade>>,
}

/// What becomes of one record.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub enum Answer {
    #[component(name = "value")]
    Value(Vec<u8>),
    #[component(name = "records")]
    Records(Vec<Output>),
    #[component(name = "refused")]
    Refused(String),
}

/// Why a call has no answers.
pub enum Failure {
    OutOfFuel,
    OutOfMemory,
    /// Anything else that breaks it off, in a few words.
    Trapped(String),
    /// What it answered is no answer: what it did.
    Garbage(String),
}

impl Guests {
    /// Reads and compiles a component, and makes an instance, so that what is wrong shows.
    pub fn load(settings: Settings) -> Result<Self, SettingError> {
        let path = &settings.component;
        let wrong = |reason: String| SettingError::new(Some("component"), reason);
        let bytes = std::fs::read(path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)
            .map_err(|error| wrong(format!("WASM cannot run on this machine: {error:#}")))?;
        let component = Component::from_binary(&engine, &bytes).map_err(|error| {
            wrong(format!("{} is no WASM component that can be used: {error:#}", path.display()))
        })?;
        let mut imports = Vec::new();
        for (import, _) in component.component_type().imports(&engine) {
            let name = may_import(import, &settings.grant)
                .map_err(|reason| wrong(format!("{} wants {reason}", path.display())))?;
            imports.extend((name != RECORDS).then(|| format!("`{name}`")));
        }
        let mut linker = Linker::new(&engine);
        let instances = Host::link(&mut linker).and_then(|()| linker.instantiate_pre(&component));
        let instances = instances
            .map_err(|error| wrong(format!("{} does not fit wit/operator.wit: {error:#}", path.display())))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let shared = Shared { name, config: settings.config, memory: settings.memory, held: 0.into() };
        let guests = Guests {
            instances,
            shared: Arc::new(shared),
            imports: if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") },
            fuel: settings.fuel,
            idle: Mutex::default(),
        };
        let first = guests.start().map_err(wrong)?;
        guests.give_back(first);
        Ok(guests)
    }

    /// The component's file, for messages.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What it is and what it asks for, in a few words.
    pub fn about(&self) -> String {
        let held = self.held() >> 10;
        format!("{} imports {}, and an instance begins with {held} KiB", self.name(), self.imports)
    }

    /// The memory that all instances use, in bytes.
    pub fn held(&self) -> u64 {
        self.shared.held.load(Relaxed)
    }

    /// An instance that has nothing to do, otherwise a new one.
    ///
    /// # Errors
    /// A sentence, where none can be made.
    pub fn take(&self) -> Result<Guest, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.start(), Ok)
    }

    /// An instance that can go on. One that has failed is dropped instead: nothing is known of its memory.
    pub fn give_back(&self, guest: Guest) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(guest);
    }

    /// A new instance.
    ///
    /// # Errors
    /// A sentence, where none can be made.
    pub fn start(&self) -> Result<Guest, String> {
        let mut store = Store::new(self.instances.engine(), Host::new(self.shared.clone()));
        store.limiter(|host| host);
        let started = store
            .set_fuel(self.fuel)
            .and_then(|()| self.instances.instantiate(&mut store))
            .map_err(|error| match failure(&store, &error) {
                Failure::OutOfFuel => "it takes more than its `fuel` to start".to_owned(),
                Failure::OutOfMemory => "it takes more than its `memory` to start".to_owned(),
                Failure::Trapped(reason) | Failure::Garbage(reason) => format!("it does not start: {reason}"),
            });
        let instance = started.map_err(|reason| format!("{}: {reason}", self.name()))?;
        let Some(apply) = instance.get_func(&mut store, "apply") else {
            return Err(format!("{} has no function `apply`, as wit/operator.wit has it", self.name()));
        };
        let mut guest = Guest { store, apply, used: false };
        // Nothing is nothing to compute, but its types are checked.
        guest.typed().map_err(|error| {
            format!("{}: its function `apply` is not that of wit/operator.wit: {error:#}", self.name())
        })?;
        Ok(guest)
    }

    /// Computes some records: an answer for each.
    ///
    /// # Errors
    /// Why there are none; the instance is of no more use then.
    pub fn apply(
        &self,
        guest: &mut Guest,
        origin: Option<Place<'_>>,
        records: &[Input<'_>],
    ) -> Result<Vec<Answer>, Failure> {
        guest.used = true;
        guest.store.data_mut().begin();
        let called = guest.store.set_fuel(self.fuel).and_then(|()| {
            let apply = guest.typed()?;
            apply.call(&mut guest.store, (origin, records))
        });
        called.map(|(answers,)| answers).map_err(|error| failure(&guest.store, &error))
    }
}

type Apply<'a> = wasmtime::component::TypedFunc<(Option<Place<'a>>, &'a [Input<'a>]), (Vec<Answer>,)>;

impl Guest {
    fn typed<'a>(&mut self) -> wasmtime::Result<Apply<'a>> {
        self.apply.typed(&self.store)
    }

    /// Whether it has computed anything.
    pub fn is_used(&self) -> bool {
        self.used
    }
}

/// Why a call has failed.
fn failure(store: &Store<Host>, error: &wasmtime::Error) -> Failure {
    let host = store.data();
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Failure::OutOfFuel,
        _ if host.greedy => Failure::OutOfMemory,
        trap => {
            let reason = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
            let reason = reason.strip_prefix("wasm trap: ").unwrap_or(&reason);
            Failure::Trapped(match &host.last_words {
                Some(words) => format!("{reason}; it said: {}", words.trim()),
                None => reason.to_owned(),
            })
        }
    }
}

/// The name of what a component imports, where it may; otherwise what it is, and what to do.
fn may_import<'a>(import: &'a str, granted: &[String]) -> Result<&'a str, String> {
    let Some(name) = import.strip_prefix(PACKAGE) else {
        return Err(format!(
            "`{import}`, and a pipeline gives it nothing but `{PACKAGE}…`: build it without WASI, for the target \
             wasm32-unknown-unknown or with WASI stubbed"
        ));
    };
    let name = name.split('@').next().unwrap_or(name);
    if GRANTS.contains(&name) && !granted.iter().any(|grant| grant == name) {
        return Err(format!(
            "`{import}`, which is not granted: add `grant = [\"{name}\"]` if it may have it"
        ));
    }
    Ok(name)
}
