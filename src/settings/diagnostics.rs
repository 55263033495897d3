//! Collects what is wrong with a file, and prints it with the lines concerned.

use std::{fmt, ops::Range};

use ariadne::{Config, IndexType, Label, Report, ReportKind, Source};

use super::Origin;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; its author would want to know.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence that names the thing.
    pub sentence: String,
    /// Where; `None` where no place can be named.
    pub origin: Option<Origin>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Everything that is wrong with one file. Its `Display` is without colours.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics {
    file: String,
    text: String,
    list: Vec<Diagnostic>,
    /// Those that say that something is missing, by its path.
    missing: Vec<(String, Diagnostic)>,
}

impl Diagnostics {
    /// Nothing wrong yet with the file of that name and text.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Diagnostics { file: file.into(), text: text.into(), ..Diagnostics::default() }
    }

    /// The file's name, as it is printed.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A part of the file's text.
    pub(super) fn text(&self, span: Range<usize>) -> Option<&str> {
        self.text.get(span)
    }

    /// Adds one. Said twice is said once.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Adds one that says that the setting of that path is missing.
    pub(super) fn push_missing(&mut self, path: String, diagnostic: Diagnostic) {
        self.missing.push((path, diagnostic.clone()));
        self.push(diagnostic);
    }

    /// Takes back that this setting, or one in it, is missing in the table at `origin`: another key there was probably
    /// meant to be it, and it is enough to say so.
    pub(super) fn was_misspelt(&mut self, path: &str, origin: &Origin) {
        for (missing, diagnostic) in &self.missing {
            let inside =
                missing.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if inside && diagnostic.origin.as_ref() == Some(origin) {
                self.list.retain(|said| said != diagnostic);
            }
        }
    }

    /// All of them, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there is neither an error nor a warning.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }

    /// The line of a byte of the text, from 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// One sentence that sums up, then each with the line it is about, in the order of the file.
    pub fn render(&self, colour: bool) -> String {
        let mut rendered = self.summary();
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|diagnostic| match &diagnostic.origin {
            Some(Origin::File(span)) => span.start,
            _ => usize::MAX,
        });
        for diagnostic in sorted {
            rendered.push('\n');
            rendered.push_str(&self.render_one(diagnostic, colour));
        }
        rendered
    }

    fn summary(&self) -> String {
        let plural = |count: usize, what: &str| match count {
            0 => String::new(),
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        let errors = plural(self.count(Severity::Error), "error");
        let warnings = plural(self.count(Severity::Warning), "warning");
        let and = if errors.is_empty() || warnings.is_empty() { "" } else { " and " };
        format!("{}: {errors}{and}{warnings}\n", self.file)
    }

    fn render_one(&self, diagnostic: &Diagnostic, colour: bool) -> String {
        let span = match &diagnostic.origin {
            Some(Origin::File(span)) => self.visible(span.clone()),
            elsewhere => return without_source(diagnostic, elsewhere.as_ref()),
        };
        let kind = match diagnostic.severity {
            Severity::Error => ReportKind::Error,
            Severity::Warning => ReportKind::Warning,
        };
        let id = self.file.as_str();
        let mut report = Report::build(kind, (id, span.clone()))
            .with_config(Config::default().with_color(colour).with_index_type(IndexType::Byte))
            .with_message(&diagnostic.sentence)
            // Without a message, nothing would be underlined.
            .with_label(Label::new((id, span)).with_message("here"));
        if let Some(help) = &diagnostic.help {
            report = report.with_help(help);
        }
        let mut bytes = Vec::new();
        // Writing into memory cannot fail, and the one source is at hand.
        let _ = report.finish().write((id, Source::from(&self.text)), &mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// What is underlined: within the text, never empty, whole characters, and never more than one line, because a
    /// table's span may cover the whole of it.
    fn visible(&self, span: Range<usize>) -> Range<usize> {
        let boundary = |at: &usize| self.text.is_char_boundary(*at);
        let start = (0..=span.start.min(self.text.len())).rev().find(boundary).unwrap_or(0);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let end = span.end.clamp(start, line_end).max(start + 1);
        start..(end..self.text.len()).find(boundary).unwrap_or(self.text.len())
    }
}

fn without_source(diagnostic: &Diagnostic, origin: Option<&Origin>) -> String {
    let mut text = match diagnostic.severity {
        Severity::Error => format!("Error: {}\n", diagnostic.sentence),
        Severity::Warning => format!("Warning: {}\n", diagnostic.sentence),
    };
    if let Some(Origin::Override(name)) = origin {
        text.push_str(&format!("   in {name}\n"));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("   Help: {help}\n"));
    }
    text
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(span: Range<usize>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            sentence: "`b` is wrong".into(),
            origin: Some(Origin::File(span)),
            help: Some("try `c`".into()),
        }
    }

    #[test]
    fn a_diagnostic_shows_file_line_column_the_underlined_text_and_help() {
        let mut diagnostics = Diagnostics::new("x.toml", "a = 1\n  b = 2\n");
        diagnostics.push(at(8..9));
        let text = diagnostics.render(false);
        assert!(text.starts_with("x.toml: 1 error\n\nError: `b` is wrong\n"), "{text}");
        assert!(text.contains("x.toml:2:3"), "{text}");
        assert!(text.contains(" 2 │   b = 2\n   │   ┬"), "{text}");
        assert!(text.contains("Help: try `c`"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn colours_are_there_when_asked_for() {
        let mut diagnostics = Diagnostics::new("x.toml", "a = 1\n");
        diagnostics.push(at(0..1));
        assert!(diagnostics.render(true).contains('\u{1b}'));
    }

    #[test]
    fn a_place_at_the_end_of_the_text_or_in_an_empty_text_is_printed_too() {
        for (text, span) in [("a = 1\n", 6..6), ("a = 1", 5..5), ("", 0..0), ("a = 'ü", 4..9)] {
            let mut diagnostics = Diagnostics::new("x.toml", text);
            diagnostics.push(at(span));
            assert!(diagnostics.to_string().contains("`b` is wrong"));
        }
    }

    #[test]
    fn an_override_is_named_instead_of_a_position() {
        let mut diagnostics = Diagnostics::new("x.toml", "");
        diagnostics.push(Diagnostic { origin: Some(Origin::Override("--set b=2".into())), ..at(0..0) });
        assert_eq!(
            diagnostics.to_string(),
            "x.toml: 1 error\n\nError: `b` is wrong\n   in --set b=2\n   Help: try `c`"
        );
    }
}
