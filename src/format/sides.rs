//! What comes in and what goes out.

use super::Format;

/// The formats on both sides of an operator.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Formats {
    /// How the values that come in are written.
    pub input: Format,
    /// How the values that go out are to be written.
    pub output: Format,
    /// The same of the keys.
    pub keys: Keys,
}

/// The formats of the keys, where they have one: otherwise a key is text, or bytes that are none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Keys {
    /// How the keys that come in are written.
    pub input: Option<Format>,
    /// How the keys that go out are to be written; where that is not said, they go on as they came.
    pub output: Option<Format>,
}

impl Keys {
    /// Whether keys have to be written anew.
    pub fn differ(&self) -> bool {
        self.output.is_some() && self.input != self.output
    }
}
