//! TOML to a checked pipeline: lookup, overrides, defaults, lints.
//!
//! Says everything that is wrong at once. Must not run anything or ask a broker; of librdkafka it knows
//! what its properties are called.

mod lints;
mod load;
mod pipeline;
mod properties;
mod read;
mod test_cases;
#[cfg(test)]
mod tests;

pub use load::{LoadError, Override, built_in, load};
pub use pipeline::*;
