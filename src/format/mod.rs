//! Formats: bytes to values and back, for requests (`n`) and for results (`n` and its digits).
//!
//! One file a format. Knows nothing of records, operators or Kafka. Values that no operator looks into go
//! through as bytes, whatever the format.

mod bincode;
mod error;
mod json;
mod text;

pub use error::FormatError;

use ::bytes::Bytes;
use num_bigint::BigUint;

/// How values are written in a topic.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Decimal ASCII: `30`, and `30;265252859812191058636308480000000`.
    #[default]
    Text,
    /// `30` or `{"n":30}`, and `{"n":30,"result":"265252859812191058636308480000000"}`.
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

/// A result's number, in the form that its format is written from without a detour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Number {
    /// Decimal digits.
    Decimal(String),
    /// A binary integer.
    Binary(BigUint),
}

impl Format {
    /// The number that a request asks for.
    ///
    /// ```
    /// use pipeline::format::Format;
    /// assert_eq!(Format::Text.decode_request(b"30"), Ok(30));
    /// assert_eq!(Format::Text.decode_request(b"thirty").unwrap_err().class(), "not-a-number");
    /// ```
    ///
    /// # Errors
    /// What is wrong with the bytes; found without reading more of them than is needed to know.
    pub fn decode_request(self, value: &[u8]) -> Result<u64, FormatError> {
        if value.is_empty() {
            return Err(FormatError::Empty);
        }
        match self {
            Format::Text => text::decode_request(value),
            Format::Json => json::decode_request(value),
            Format::Bincode => bincode::decode_request(value),
        }
    }

    /// A request for `n`.
    pub fn encode_request(self, n: u64) -> Bytes {
        match self {
            Format::Text | Format::Json => n.to_string().into(),
            Format::Bincode => bincode::encode_request(n),
        }
    }

    /// Whether results are written from binary integers rather than from digits.
    pub fn is_binary(self) -> bool {
        self == Format::Bincode
    }

    /// `n` and its result.
    pub fn encode_result(self, n: u64, result: &Number) -> Bytes {
        match (self, result) {
            (Format::Text, Number::Decimal(digits)) => text::encode_result(n, digits),
            (Format::Json, Number::Decimal(digits)) => json::encode_result(n, digits),
            (Format::Bincode, Number::Binary(number)) => bincode::encode_result(n, number),
            (Format::Text | Format::Json, Number::Binary(number)) => {
                self.encode_result(n, &Number::Decimal(number.to_str_radix(10)))
            }
            (Format::Bincode, Number::Decimal(digits)) => {
                let number = BigUint::parse_bytes(digits.as_bytes(), 10).unwrap_or_default();
                bincode::encode_result(n, &number)
            }
        }
    }

    /// `n` and the digits of its result.
    ///
    /// # Errors
    /// Where it is no result in this format.
    pub fn decode_result(self, value: &[u8]) -> Result<(u64, String), FormatError> {
        match self {
            Format::Text => text::decode_result(value),
            Format::Json => json::decode_result(value),
            Format::Bincode => bincode::decode_result(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Format; 3] = [Format::Text, Format::Json, Format::Bincode];

    #[test]
    fn what_is_written_is_read_back() {
        let number = BigUint::from(10u32).pow(300) + 7u32;
        for format in ALL {
            for n in [0, 9, 255, 256, 200_000, u64::MAX] {
                assert_eq!(format.decode_request(&format.encode_request(n)), Ok(n), "{format:?}");
            }
            let digits = number.to_str_radix(10);
            for result in [Number::Binary(number.clone()), Number::Decimal(digits.clone())] {
                let value = format.encode_result(30, &result);
                assert_eq!(format.decode_result(&value), Ok((30, digits.clone())), "{format:?}");
            }
        }
    }

    #[test]
    fn results_look_as_they_are_documented() {
        let result = Number::Decimal("265252859812191058636308480000000".to_owned());
        assert_eq!(Format::Text.encode_result(30, &result), "30;265252859812191058636308480000000");
        assert_eq!(
            Format::Json.encode_result(30, &result),
            r#"{"n":30,"result":"265252859812191058636308480000000"}"#
        );
        let binary = Format::Bincode.encode_result(30, &result);
        assert_eq!(&binary[..2], [30, 14], "n, and how many bytes follow");
        assert_eq!(binary.len(), 16);
    }

    #[test]
    fn what_is_wrong_with_a_request_has_a_class() {
        let class = |format: Format, value: &[u8]| format.decode_request(value).unwrap_err().class();
        for format in ALL {
            assert_eq!(class(format, b""), "empty");
        }
        for (value, expected) in [
            (&b"thirty"[..], "not-a-number"),
            (b"30 ", "not-a-number"),
            (b"+30", "not-a-number"),
            (b"3.0", "not-a-number"),
            (b"-", "not-a-number"),
            ("٣".as_bytes(), "not-a-number"),
            (b"-30", "negative"),
            (b"99999999999999999999", "above-max"),
            (b"\xff\xfe", "not-utf8"),
        ] {
            assert_eq!(class(Format::Text, value), expected, "{}", String::from_utf8_lossy(value));
        }
        for (value, expected) in [
            (&b"{}"[..], "not-a-number"),
            (b"\"30\"", "not-a-number"),
            (b"30.5", "not-a-number"),
            (b"-30", "negative"),
            (b"{\"n\":-1}", "negative"),
            (b"1e30", "not-a-number"),
            (b"\"\xff\"", "not-utf8"),
        ] {
            assert_eq!(class(Format::Json, value), expected, "{}", String::from_utf8_lossy(value));
        }
        for (value, expected) in
            [(&[5, 1][..], "not-a-number"), (&[1, 1, 1], "not-a-number"), (&[9; 10], "above-max")]
        {
            assert_eq!(class(Format::Bincode, value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_request_may_have_leading_zeros() {
        assert_eq!(Format::Text.decode_request(b"007"), Ok(7));
        assert_eq!(Format::Text.decode_request(b"00000000000000000000000000"), Ok(0));
    }

    #[test]
    fn ten_megabytes_of_anything_are_refused_in_a_short_sentence() {
        for filler in [b'9', b'x', 0xff, b'[', b'{', b' '] {
            for format in ALL {
                let value = vec![filler; 10_000_000];
                let error = format.decode_request(&value).unwrap_err();
                assert!(error.to_string().len() < 250, "{error}");
            }
        }
    }
}
