//! A component, and its instances that run.

use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed};

use bytesize::ByteSize;
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
/// What every component exports.
const APPLY: &str = "apply: func(origin: option<place>, records: list<input>) -> list<answer>";
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
    OutOfMemory {
        /// Bytes.
        wanted: u64,
    },
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
        refuse_what_is_none(&bytes).map_err(|reason| wrong(format!("{} is {reason}", path.display())))?;
        let component = Component::from_binary(&engine, &bytes).map_err(|error| {
            wrong(format!("{} is no WASM component that can be used: {error:#}", path.display()))
        })?;
        let mut imports = Vec::new();
        for (import, _) in component.component_type().imports(&engine) {
            let name = may_import(import, &settings.grant)
                .map_err(|reason| wrong(format!("{} {reason}", path.display())))?;
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
        let first = guests.start()?;
        guests.give_back(first);
        Ok(guests)
    }

    /// The component's file, for messages.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// How much one call may compute.
    pub fn fuel(&self) -> u64 {
        self.fuel
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
    /// Why none can be made.
    pub fn take(&self) -> Result<Guest, SettingError> {
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
    /// Why none can be made.
    pub fn start(&self) -> Result<Guest, SettingError> {
        let mut store = Store::new(self.instances.engine(), Host::new(self.shared.clone()));
        store.limiter(|host| host);
        // What it answers is copied, and may be the same bytes many times.
        store.set_hostcall_fuel(usize::try_from(self.shared.memory).unwrap_or(usize::MAX));
        let name = self.name();
        let started = store.set_fuel(self.fuel).and_then(|()| self.instances.instantiate(&mut store));
        let instance = started.map_err(|error| match failure(&store, &error) {
            Failure::OutOfFuel => {
                SettingError::new(Some("fuel"), format!("{name} needs more than {} to start", self.fuel))
            }
            Failure::OutOfMemory { wanted } => {
                SettingError::new(Some("memory"), format!("{name} needs {} to start", size(wanted)))
            }
            Failure::Trapped(reason) | Failure::Garbage(reason) => {
                SettingError::new(Some("component"), format!("{name} does not start: {reason}"))
            }
        })?;
        let wrong = |reason: String| {
            let reason = format!("{name} has no function `{APPLY}`, as wit/operator.wit has it{reason}");
            SettingError::new(Some("component"), reason)
        };
        let apply = instance.get_func(&mut store, "apply").ok_or_else(|| wrong(String::new()))?;
        let mut guest = Guest { store, apply, used: false };
        // Nothing is nothing to compute, but its types are checked.
        guest.typed().map_err(|error| wrong(format!(": {error:#}")))?;
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
    let trap = error.downcast_ref::<Trap>();
    if let Some(Trap::OutOfFuel) = trap {
        return Failure::OutOfFuel;
    }
    if let Some(wanted) = host.wanted {
        return Failure::OutOfMemory { wanted };
    }
    let reason = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
    let reason = reason.strip_prefix("wasm trap: ").unwrap_or(&reason);
    Failure::Trapped(match (&host.last_words, trap) {
        (Some(words), _) => format!("{reason}; it said: {}", words.trim()),
        (None, Some(Trap::UnreachableCodeReached)) => {
            format!("{reason}, as after a panic, and it said nothing")
        }
        (None, _) => reason.to_owned(),
    })
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// Says what a file is that cannot be a component: it begins with `\0asm`, a version, and a layer that tells it from a core module.
fn refuse_what_is_none(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes {
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => {
            Err("a core module, and no component yet: make one of it with `wasm-tools component new`")
        }
        [0, b'a', b's', b'm', ..] => Ok(()),
        _ => Err("no WASM file"),
    }
}

/// The name of what a component imports, where it may; otherwise what it is, and what to do.
fn may_import<'a>(import: &'a str, granted: &[String]) -> Result<&'a str, String> {
    let Some(name) = import.strip_prefix(PACKAGE) else {
        let why = match import.starts_with("wasi:") {
            true => {
                "a pipeline gives it no WASI: build it for the target wasm32-unknown-unknown, or with WASI stubbed"
            }
            false => "it was built for another world than those of wit/operator.wit",
        };
        return Err(format!("wants `{import}`: {why}"));
    };
    let (name, version) = name.split_once('@').unwrap_or((name, "1"));
    if version.split('.').next() != Some("1") {
        return Err(format!("was built for version {version} of {PACKAGE}…, and this `pipeline` has 1"));
    }
    if GRANTS.contains(&name) && !granted.iter().any(|grant| grant == name) {
        let grant = format!("add `grant = [\"{name}\"]` if it may have it");
        return Err(format!("wants `{import}`, which is not granted: {grant}"));
    }
    Ok(name)
}
