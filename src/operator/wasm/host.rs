//! What a component may call, and how much it may use.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use wasmtime::{
    ResourceLimiter, Result,
    component::{HasSelf, Linker},
};

use super::super::outside::{LONGEST_LINE, Lines};

wasmtime::component::bindgen!({
    path: "wit",
    world: "operator-with-clock",
    // Only the imports are taken from here: `guest.rs` reads and writes records without copies.
    imports: { default: trappable },
});
use self::pipeline::operator::{clock, config, log};

/// The most entries of a table of functions, in all of a component's tables.
const TABLES: usize = 1 << 20;

/// What all instances of an operator share.
pub struct Shared {
    /// The component's file, for messages.
    pub name: String,
    pub config: BTreeMap<String, String>,
    /// The most memory that one instance may use, in bytes.
    pub memory: u64,
    /// The memory that all instances use, in bytes.
    pub held: AtomicU64,
}

/// One instance's side of the host.
pub struct Host {
    shared: Arc<Shared>,
    /// The memory that it uses, in bytes.
    held: u64,
    entries: usize,
    /// How much memory it wanted since [`Host::begin`], in bytes, where it may not have that much.
    pub wanted: Option<u64>,
    /// What it last had for the log since [`Host::begin`].
    pub last_words: Option<String>,
    lines: Lines,
}

impl Host {
    pub fn new(shared: Arc<Shared>) -> Self {
        Host { shared, held: 0, entries: 0, wanted: None, last_words: None, lines: Lines::default() }
    }

    /// A call begins.
    pub fn begin(&mut self) {
        (self.wanted, self.last_words) = (None, None);
    }

    /// Gives a component what it may import.
    pub fn link(linker: &mut Linker<Host>) -> Result<()> {
        config::add_to_linker::<_, HasSelf<_>>(linker, |host| host)?;
        log::add_to_linker::<_, HasSelf<_>>(linker, |host| host)?;
        clock::add_to_linker::<_, HasSelf<_>>(linker, |host| host)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.held, Relaxed);
    }
}

impl config::Host for Host {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.shared.config.get(&name).cloned())
    }
}

impl log::Host for Host {
    fn write(&mut self, line: String) -> Result<()> {
        let line: String = line.chars().take(LONGEST_LINE as usize).collect();
        let name = &self.shared.name;
        self.lines.line(
            || tracing::info!(component = name, "{}", line.trim_end()),
            |lines| tracing::warn!(component = name, lines, "the component said more"),
        );
        self.last_words = Some(line);
        Ok(())
    }
}

impl clock::Host for Host {
    fn now(&mut self) -> Result<u64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        if self.held + more > self.shared.memory {
            self.wanted = Some(self.held + more);
            return Ok(false);
        }
        self.held += more;
        self.shared.held.fetch_add(more, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = self.entries + more <= TABLES;
        self.entries += if fits { more } else { 0 };
        Ok(fits)
    }
}
