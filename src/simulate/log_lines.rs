//! Captures what an engine logs, for the reader of a history.

use std::{
    cell::RefCell,
    fmt::{self, Write},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs a closure while keeping the engines' log lines for [`take`].
pub fn keeping<T>(run: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(Keep, run)
}

/// Takes what was logged in this thread since the last call.
pub fn take(mut of: impl FnMut(String)) {
    LINES.take().into_iter().for_each(&mut of);
}

struct Keep;

impl Subscriber for Keep {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(format!("says: {}{}", line.message, line.fields)));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "pipeline" => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
