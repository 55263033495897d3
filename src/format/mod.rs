//! Formats: bytes to values and back, for requests (`n`) and for results (`n` and its digits).
//!
//! One file a format. Knows nothing of records, operators or Kafka. Values that no operator looks into go
//! through as bytes, whatever the format.

/// How values are written in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Decimal ASCII: `30`, and `30;265252859812191058636308480000000`.
    #[default]
    Text,
    /// `30`, and `{"n":30,"result":"265252859812191058636308480000000"}`.
    Json,
    /// A length-prefixed binary integer, and `n` followed by one: about 0.42 of the text's size.
    Bincode,
}

/// The formats on both sides of an operator.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Formats {
    /// How the values that come in are written.
    pub input: Format,
    /// How the values that go out are to be written.
    pub output: Format,
}
