//! Logs: lines for a person on a terminal, JSON lines elsewhere; and one status line below them.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

static STATUS: OnceLock<ProgressBar> = OnceLock::new();

/// Sets up logging to standard error; once. `RUST_LOG` says what is logged (if not set: `info`, and nothing
/// of librdkafka's own, whose every retry is a line).
pub fn init() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,librdkafka=off,rdkafka=off"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(AboveStatus);
    // A second call changes nothing.
    let _ = if io::stderr().is_terminal() {
        builder.compact().with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}

/// Says something to whoever started the program: plainly on a terminal, else as a log line.
pub fn announce(text: &str) {
    if io::stderr().is_terminal() {
        // Standard error may be closed; then nobody wants to know.
        // In one piece: the status line is drawn again after each.
        let _ = AboveStatus.write_all(format!("{text}\n").as_bytes());
    } else {
        tracing::info!("{text}");
    }
}

/// The status line below the log; `None` where there is no terminal.
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

/// Writes to standard error without tearing the status line.
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
