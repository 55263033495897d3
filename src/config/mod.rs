//! TOML to a checked pipeline: where it is found, what it says, and whether that can work.
//!
//! Reports everything that is wrong at once. Runs nothing and opens no client: of librdkafka it asks only which properties
//! there are.
//!
//! Knows: engine, format, librdkafka, operator, record, registry, settings. Must not know: rdkafka, clap, tokio.

mod cases;
mod control;
mod document;
mod duplicates;
mod formats;
mod gateway;
mod gateway_state;
mod kafka;
mod lints;
mod load;
mod location;
mod meanings;
mod operator_meanings;
mod operators;
mod other_meanings;
mod pipeline;
mod read;
mod retries;
mod routes;
mod setting;
mod state;
mod tables;
#[cfg(test)]
mod tests;

pub use control::ControlSettings;
pub use document::settings_document;
pub(crate) use formats::NUMBER_FORMATS;
pub use gateway::{Correlation, Gateway, HttpSettings, Route, RouteLetters, Secret, Tls, Values};
pub use gateway_state::{GatewayState, StateTable};
use kafka::is_secret;
pub(crate) use kafka::shared as kafka_properties;
pub use load::{BOOTSTRAP_SERVERS, LoadError, Override, load, load_gateway, parse, parse_gateway};
pub(crate) use load::{load_script, loads, tree};
pub use location::built_in;
pub(crate) use location::{EXAMPLE_SCHEMAS, EXAMPLES};
pub use pipeline::*;
pub(crate) use read::metrics;
pub(crate) use tables::{positive, store, topic_name};
