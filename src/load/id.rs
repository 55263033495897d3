use std::fmt::Write as _;

/// One run of the load generator: its requests' ids can be told from those of any other.
///
/// An id is a UUID of version 8 (RFC 9562): the run's own random bits, then the request's number.
///
/// ```
/// use pipeline::load::RunId;
///
/// let run = RunId::new(0x0123_4567_89ab_cdef);
/// assert_eq!(run.id(255), "01234567-89ab-8def-8000-0000000000ff");
/// assert_eq!(run.number(b"01234567-89ab-8def-8000-0000000000ff"), Some(255));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunId(u64);

/// The two bits that say that it is a UUID as the RFC has it.
const VARIANT: u64 = 1 << 63;
const NUMBER: u64 = (1 << 62) - 1;

impl RunId {
    /// A run with these random bits; four of them give way to the version.
    pub fn new(random: u64) -> RunId {
        RunId(random & !0xF000 | 0x8000)
    }

    /// The id of the request of that number.
    pub fn id(self, number: u64) -> String {
        let (run, number) = (self.0, VARIANT | number & NUMBER);
        let mut id = String::with_capacity(36);
        // Writing to memory does not fail.
        let _ = write!(
            id,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            run >> 32,
            run >> 16 & 0xFFFF,
            run & 0xFFFF,
            number >> 48,
            number & 0xFFFF_FFFF_FFFF
        );
        id
    }

    /// The number of the request of that id; `None` where it is not of this run.
    pub fn number(self, id: &[u8]) -> Option<u64> {
        let id = std::str::from_utf8(id).ok()?;
        let (run, number) = id.split_at_checked(18)?;
        let number = hexadecimal(number.strip_prefix('-')?)?;
        (hexadecimal(run)? == self.0).then_some(number & NUMBER)
    }
}

/// Sixteen digits, with hyphens between them.
fn hexadecimal(text: &str) -> Option<u64> {
    let digits = || text.bytes().filter(|byte| *byte != b'-');
    if digits().count() != 16 {
        return None;
    }
    digits().try_fold(0, |value, digit| Some(value << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_its_number_back_to_its_own_run_alone() {
        let run = RunId::new(u64::MAX);
        for number in [0, 1, 255, 1 << 40, NUMBER] {
            let id = run.id(number);
            assert_eq!((id.len(), run.number(id.as_bytes())), (36, Some(number)));
            assert_eq!(RunId::new(1).number(id.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_no_id_is_nobody_s() {
        let run = RunId::new(5);
        for id in
            ["", "5", "x", "00000000-0000-8005-8000-00000000000", "00000000-0000-8005-8000-00000000000g"]
        {
            assert_eq!(run.number(id.as_bytes()), None, "{id}");
        }
        assert_eq!(run.number(&[0xff; 36]), None);
    }
}
