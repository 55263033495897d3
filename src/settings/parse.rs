//! A file's text, and what is laid over it, to a tree.

use toml::de::DeTable;

use super::{
    Diagnostic, Diagnostics, Environment, Node, Origin, Severity, Tree, interpolation::interpolate,
    overrides, tree::table_of,
};

impl Tree {
    /// Parses a file, lays the overrides over it and fills in `${…}`. An override is a path, a value and the
    /// name it goes by in messages; later ones win.
    ///
    /// # Errors
    /// Everything that is wrong with the syntax, an override's path, or a `${…}`.
    pub fn parse(
        file: &str,
        text: &str,
        overrides: &[(String, String, String)],
        environment: &dyn Environment,
    ) -> Result<(Tree, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new(file, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                sentence: format!("this is not TOML: {}", error.message()),
                origin: error.span().map(Origin::File),
                help: None,
            });
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let span = table.span();
        let mut root = Node {
            value: table_of(table.into_inner(), &Origin::File),
            origin: Origin::File(span.start..span.start),
        };
        for (path, value, name) in overrides {
            overrides::lay(&mut root, path, value, name, &mut diagnostics);
        }
        interpolate(&mut root, environment, &mut diagnostics);
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok((Tree { root }, diagnostics)) }
    }
}
