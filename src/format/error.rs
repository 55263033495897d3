use thiserror::Error;

/// Why bytes are not what a format says.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
pub enum FormatError {
    /// There are none.
    #[error("the value is empty")]
    Empty,
    /// They are no text.
    #[error("the value is not UTF-8: byte {position} is wrong")]
    NotUtf8 {
        /// Where, from 0.
        position: usize,
    },
    /// They are something else.
    #[error("the value is not a number: {0}")]
    NotANumber(String),
    /// They are a number below zero.
    #[error("the number is negative: {0}")]
    Negative(String),
    /// They are a number that no machine counts to.
    #[error("the number is too large: it has {digits} digits")]
    TooLarge {
        /// How many decimal digits, about.
        digits: usize,
    },
}

impl FormatError {
    /// A short name for headers and metrics.
    pub fn class(&self) -> &'static str {
        match self {
            FormatError::Empty => "empty",
            FormatError::NotUtf8 { .. } => "not-utf8",
            FormatError::NotANumber(_) => "not-a-number",
            FormatError::Negative(_) => "negative",
            FormatError::TooLarge { .. } => "above-max",
        }
    }

    /// That a value is no number, with its beginning.
    pub(super) fn not_a_number(value: &[u8]) -> FormatError {
        FormatError::NotANumber(excerpt(value))
    }

    pub(super) fn negative(value: &[u8]) -> FormatError {
        FormatError::Negative(excerpt(value))
    }
}

/// The beginning of a value, fit to be printed.
fn excerpt(value: &[u8]) -> String {
    const SHOWN: usize = 40;
    let shown = &value[..value.len().min(SHOWN)];
    let more = if value.len() > SHOWN { format!("… ({} bytes)", value.len()) } else { String::new() };
    format!("`{}`{more}", shown.escape_ascii())
}
