use std::{fmt, ops::Range};

use ariadne::{CharSet, Color, Config, IndexType, Label, Report, ReportKind, Source};

/// Where a setting comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Bytes of the file.
    File(Range<usize>),
    /// `--set path=value`, as it was given; or the environment variable that stands for one.
    Override(String),
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// It cannot be run.
    Error,
    /// It can be run, and will probably disappoint.
    Warning,
}

#[derive(Clone, Debug)]
struct Diagnostic {
    severity: Severity,
    place: Place,
    message: String,
    help: Option<String>,
}

/// All that is wrong with one file.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: String,
    source: String,
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing is wrong yet with that file.
    pub fn new(file: impl Into<String>, source: impl Into<String>) -> Self {
        Diagnostics { file: file.into(), source: source.into(), found: Vec::new() }
    }

    /// Adds an error: one sentence, and what to do about it where that is known.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.push(Severity::Error, place, message.into(), help.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.push(Severity::Warning, place, message.into(), help.into());
    }

    /// Whether it cannot be run.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The line of a place in the file, from 1; 0 for what does not come from the file.
    pub fn line(&self, place: &Place) -> usize {
        match place {
            Place::File(span) => self.source[..span.start.min(self.source.len())].matches('\n').count() + 1,
            Place::Override(_) => 0,
        }
    }

    /// The whole text for a person: each with file, line, column and the text underlined.
    pub fn render(&self, colours: bool) -> String {
        let mut found: Vec<&Diagnostic> = self.found.iter().collect();
        found.sort_by_key(|diagnostic| match &diagnostic.place {
            Place::File(span) => span.start,
            Place::Override(_) => usize::MAX,
        });
        found.iter().map(|diagnostic| self.render_one(diagnostic, colours)).collect()
    }

    fn push(&mut self, severity: Severity, place: &Place, message: String, help: Option<String>) {
        self.found.push(Diagnostic { severity, place: place.clone(), message, help });
    }

    fn render_one(&self, diagnostic: &Diagnostic, colours: bool) -> String {
        let (kind, name, colour) = match diagnostic.severity {
            Severity::Error => (ReportKind::Error, "Error", Color::Red),
            Severity::Warning => (ReportKind::Warning, "Warning", Color::Yellow),
        };
        let span = match &diagnostic.place {
            Place::File(span) => span.clone(),
            Place::Override(setting) => {
                let help =
                    diagnostic.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
                return format!("{name}: {setting}: {}{help}\n", diagnostic.message);
            }
        };
        let file = self.file.as_str();
        let config = Config::default()
            .with_color(colours)
            .with_index_type(IndexType::Byte)
            .with_char_set(if colours { CharSet::Unicode } else { CharSet::Ascii });
        let mut report = Report::build(kind, (file, span.clone()))
            .with_config(config)
            .with_message(&diagnostic.message)
            .with_label(Label::new((file, span)).with_message("here").with_color(colour));
        if let Some(help) = &diagnostic.help {
            report = report.with_help(help);
        }
        let mut text = Vec::new();
        // Writing to memory does not fail; and a diagnostic that could not be drawn is still told.
        if report.finish().write((file, Source::from(&self.source)), &mut text).is_err() {
            return format!("{name}: {file}: {}\n", diagnostic.message);
        }
        String::from_utf8_lossy(&text).lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}
