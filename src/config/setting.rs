//! What is said of a setting, and of a table of them.

/// What holds where a file does not have a setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Otherwise {
    /// The file is refused.
    Refused,
    /// This value, as a file would have it.
    Value(&'static str),
    /// Something else, in words.
    Words(&'static str),
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in its table.
    pub key: &'static str,
    /// What holds without it.
    pub otherwise: Otherwise,
    /// What it means.
    pub meaning: &'static str,
}

pub const fn set(key: &'static str, otherwise: Otherwise, meaning: &'static str) -> Setting {
    Setting { key, otherwise, meaning }
}

/// A table of a pipeline's file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its path, such as `source`: with a key behind it, that of a setting.
    pub path: &'static str,
    /// How the document calls it.
    pub title: &'static str,
    /// What it is about, where that needs words.
    pub about: &'static str,
    /// Its settings; none where any key may be written.
    pub settings: &'static [Setting],
}
