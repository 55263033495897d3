//! Serving HTTP with limits: what every port of this program has in common.
//!
//! Must not know what is answered, nor which file says the limits.

mod newcomers;
mod serve;

pub use serve::{Limits, serve};
