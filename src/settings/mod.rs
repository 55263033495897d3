//! A settings file read key by key, so that everything that is wrong with it is reported at once, each with its place.
//!
//! [`Tree`] is the file with its positions, after overrides; [`Reader`] takes values out of one of its tables and
//! knows which keys nobody asked for; [`Diagnostics`] collects and prints. What a setting means is others' business.
//!
//! Knows: nothing else here. Must not know: rdkafka, tokio, clap.

mod diagnostics;
mod interpolation;
mod overrides;
mod parse;
mod reader;
mod tree;

pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use interpolation::{Environment, ProcessEnvironment};
pub use reader::{Flat, Reader, closest};
pub use tree::{Entry, Node, Origin, Text, Tree, Value};
