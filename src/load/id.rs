//! The id of a request: its run and its number.

use uuid::Uuid;

/// One run of the load generator, whose request ids differ from those of any other run.
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

/// The bits of a UUID's second half that are not its variant.
const NUMBER: u64 = (1 << 62) - 1;

impl RunId {
    /// A run with these random bits, of which four are replaced by the version.
    pub fn new(random: u64) -> RunId {
        RunId(random & !0xF000 | 0x8000)
    }

    /// The id of the request of that number.
    pub fn id(self, number: u64) -> String {
        let bytes = (u128::from(self.0) << 64 | u128::from(number & NUMBER)).to_be_bytes();
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
    }

    /// The number of the request with that id; `None` where it is not of this run.
    pub fn number(self, id: &[u8]) -> Option<u64> {
        let (run, number) = Uuid::try_parse_ascii(id).ok()?.as_u64_pair();
        (run == self.0).then_some(number & NUMBER)
    }
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
