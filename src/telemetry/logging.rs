//! Logs: readable lines on a terminal, otherwise JSON lines; and one status line below them.

use std::{
    collections::HashMap,
    hash::Hash,
    io::{self, IsTerminal, Write},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::{Event, Level, Metadata, callsite::Identifier};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, LevelFilter, Targets},
    fmt::MakeWriter,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use super::spans::{Spans, TARGET};

static STATUS: OnceLock<ProgressBar> = OnceLock::new();

/// Sets up logging to standard error; only the first call has an effect. `RUST_LOG` selects what is logged
/// (default: `info`, without librdkafka's own lines, of which there is one for each retry). Lines that repeat
/// are limited: ten in ten seconds from one place, then a count. Spans go to a collector if
/// `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
pub fn init() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,librdkafka=off,rdkafka=off,lsm_tree=warn"))
        .and(Repeated::default());
    let (spans, trouble) = match Spans::new() {
        Ok(spans) => (spans, None),
        Err(error) => (None, Some(error)),
    };
    let spans = spans.map(|spans| spans.with_filter(Targets::new().with_target(TARGET, Level::DEBUG)));
    let lines = tracing_subscriber::fmt::layer().with_writer(AboveStatus);
    let registry = tracing_subscriber::registry().with(spans);
    // A second call changes nothing.
    let _ = if io::stderr().is_terminal() {
        registry.with(lines.compact().with_target(false).with_filter(filter)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init()
    };
    if let Some(error) = trouble {
        tracing::error!(%error, "spans are not sent: the OTEL_EXPORTER_OTLP_* variables are invalid");
    }
}

/// How many lines one place in the program may log in this time; the rest are counted.
const REPEATS: (u32, Duration) = (10, Duration::from_secs(10));

/// Leaves out lines that the same place in the program repeats.
#[derive(Default)]
struct Repeated(Mutex<Limiter<Identifier>>);

impl<S> Filter<S> for Repeated {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// Without it the other filter's hint would be lost, and each line of the `log` crate would be examined:
    /// rdkafka has one for each delivery.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // An announcement is made once, by one place.
        if metadata.target() == module_path!() {
            return true;
        }
        let mut limiter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (admitted, left_out) = limiter.admit(metadata.callsite(), Instant::now());
        drop(limiter);
        if left_out > 0 {
            let place =
                format!("{}:{}", metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            announce(&format!("{left_out} more lines like the next one were left out ({place})"));
        }
        admitted
    }
}

/// How many lines each place has logged lately.
struct Limiter<K>(HashMap<K, Lately>);

struct Lately {
    since: Instant,
    said: u32,
    left_out: u32,
}

impl<K> Default for Limiter<K> {
    fn default() -> Self {
        Limiter(HashMap::new())
    }
}

impl<K: Eq + Hash> Limiter<K> {
    /// Whether one more line may be logged, and how many were left out since the last one.
    fn admit(&mut self, key: K, now: Instant) -> (bool, u32) {
        let lately = self.0.entry(key).or_insert(Lately { since: now, said: 0, left_out: 0 });
        let mut left_out = 0;
        if now - lately.since >= REPEATS.1 {
            left_out = lately.left_out;
            *lately = Lately { since: now, said: 0, left_out: 0 };
        }
        let admitted = lately.said < REPEATS.0;
        if admitted {
            lately.said += 1;
        } else {
            lately.left_out += 1;
        }
        (admitted, left_out)
    }
}

/// Prints a message for the user: plainly on a terminal, otherwise as a log line.
pub fn announce(text: &str) {
    if io::stderr().is_terminal() {
        announce_plainly(text);
    } else {
        tracing::info!("{text}");
    }
}

/// Prints a plain line, above the status line if there is one.
pub fn announce_plainly(text: &str) {
    // Standard error may be closed; then nobody reads it.
    // In one write: the status line is redrawn after each.
    let _ = AboveStatus.write_all(format!("{text}\n").as_bytes());
}

/// The status line below the log; `None` without a terminal.
pub fn status_line() -> Option<&'static ProgressBar> {
    if !io::stderr().is_terminal() {
        return None;
    }
    Some(STATUS.get_or_init(|| {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }))
}

/// Writes to standard error without garbling the status line.
#[derive(Clone, Copy)]
struct AboveStatus;

impl Write for AboveStatus {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match STATUS.get() {
            Some(status) if !status.is_finished() => status.suspend(|| io::stderr().write(bytes)),
            _ => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveStatus {
    type Writer = AboveStatus;

    fn make_writer(&'a self) -> AboveStatus {
        AboveStatus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_level_is_not_even_looked_at() {
        let filter = EnvFilter::new("info").and(Repeated::default());
        let hint = Filter::<tracing_subscriber::Registry>::max_level_hint(&filter);
        assert_eq!(hint, Some(LevelFilter::INFO));
    }

    #[test]
    fn what_repeats_is_left_out_and_counted_and_others_are_heard() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let said = (0..25).filter(|_| limiter.admit("a", start).0).count();
        assert_eq!(said, 10);
        assert_eq!(limiter.admit("b", start), (true, 0));
        assert_eq!(limiter.admit("a", start + REPEATS.1), (true, 15));
        assert_eq!(limiter.admit("a", start + REPEATS.1), (true, 0));
    }
}
