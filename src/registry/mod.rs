//! A schema registry that speaks Confluent's REST interface: schemas by id, and subjects.
//!
//! Requests are short and synchronous: each schema is asked for once, and kept.
//!
//! Knows: nothing else here. Must not know: rdkafka, tokio.

mod client;
mod framed;
mod schemas;

pub use client::{Auth, Registry, RegistryError, RegistrySettings, Written};
pub use framed::{frame, unframed};
pub use schemas::Schemas;

/// How a subject is named (`value.subject.name.strategy` of Confluent's clients).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum SubjectStrategy {
    /// By the topic: `orders-value`.
    #[default]
    Topic,
    /// By the record's full name: `shop.Order`.
    Record,
    /// By both: `orders-shop.Order`.
    TopicRecord,
}

/// Where a sink's schema is in the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// How it is named.
    pub strategy: SubjectStrategy,
    /// The topic.
    pub topic: String,
    /// Whether it is for keys.
    pub key: bool,
    /// Whether a schema that is not there is registered.
    pub register: bool,
}

impl Subject {
    /// The subject's name, for a type of that full name.
    pub fn name(&self, record: Option<&str>) -> String {
        match (self.strategy, record) {
            (SubjectStrategy::Record, Some(record)) => record.to_owned(),
            (SubjectStrategy::TopicRecord, Some(record)) => format!("{}-{record}", self.topic),
            // What has no name of its own goes by its topic, as with Confluent's clients.
            _ => format!("{}-{}", self.topic, if self.key { "key" } else { "value" }),
        }
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
