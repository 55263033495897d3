//! Kinds of values, as far as they are known before there is a record.

/// What is known of a value before there is a record. What comes from a record can be anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Any,
    Null,
    Bool,
    Int,
    UInt,
    Double,
    String,
    Bytes,
    List,
    Map,
    Timestamp,
    Duration,
    OfType,
}

impl Kind {
    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::UInt | Kind::Double)
    }

    /// With its article, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Kind::Any => "anything",
            Kind::Null => "null",
            Kind::Bool => "a bool",
            Kind::Int => "an int",
            Kind::UInt => "a uint",
            Kind::Double => "a double",
            Kind::String => "a string",
            Kind::Bytes => "bytes",
            Kind::List => "a list",
            Kind::Map => "a map",
            Kind::Timestamp => "a timestamp",
            Kind::Duration => "a duration",
            Kind::OfType => "a type",
        }
    }
}
