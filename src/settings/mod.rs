//! A settings file read key by key, so that everything that is wrong with it is said at once, each with its place.
//!
//! [`Tree`] is the file with its positions, after overrides; [`Reader`] takes values out of one of its tables and
//! knows which keys nobody asked for; [`Diagnostics`] collects and prints. Knows TOML; must not know what any
//! setting means.

mod diagnostics;
mod interpolation;
mod overrides;
mod reader;
mod tree;

pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use interpolation::{Environment, ProcessEnvironment};
pub use reader::{Flat, Reader, closest};
pub use tree::{Entry, Node, Origin, Text, Tree, Value};
