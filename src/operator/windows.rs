//! The time of a partition, and what operators remember until it has passed.
//!
//! Time is that of the records: the latest timestamp of the partition. So whoever computes them again comes to the same windows.

use bytes::Bytes;

use super::{OperatorError, state::State};
use crate::record::classes;

/// The most entries of closed windows that are done with at one record. The next records do the rest.
const CLOSED: usize = 1_000;
/// The most bytes of a key that something is kept for.
const LONGEST_KEY: usize = 32 << 10;

/// Windows that follow one another, in milliseconds.
pub(super) struct Windows {
    pub(super) length: i64,
    /// How long records of a window are waited for after its end.
    pub(super) grace: i64,
}

impl Windows {
    /// The end of the window that this time is in.
    pub(super) fn end(&self, time: i64) -> i64 {
        (time.div_euclid(self.length) + 1).saturating_mul(self.length)
    }

    /// Windows that end there or before are closed, at that time of the partition.
    pub(super) fn closed_before(&self, time: i64) -> i64 {
        let reach = time.saturating_sub(self.grace);
        reach.div_euclid(self.length).saturating_mul(self.length)
    }

    /// Moves the time of the partition on to that of a record. Returns it, and the entries of windows that are closed then, which are
    /// forgotten.
    pub(super) fn move_on(
        &self,
        record: i64,
        scope: u8,
        state: &mut dyn State,
    ) -> Result<(i64, Vec<(Bytes, Bytes)>), OperatorError> {
        let kept = state.get(&time_at(scope))?;
        let time = kept.as_ref().and_then(|kept| kept.first_chunk()).map(|time| i64::from_be_bytes(*time));
        // Whether closed windows are left.
        let was_left = kept.is_some_and(|kept| kept.last() == Some(&1));
        let now = time.map_or(record, |time| time.max(record));
        let before = time.map(|time| self.closed_before(time));
        let (mut is_left, mut closed) = (was_left, Vec::new());
        if was_left || before.is_none_or(|before| before < self.closed_before(now)) {
            let to = place(scope, self.closed_before(now) + 1, &[]);
            closed = state.range(&entry_at(scope, &[]), &to, CLOSED)?;
            is_left = closed.len() == CLOSED;
            closed.iter().for_each(|(place, _)| state.put(place.clone(), None));
        }
        if time != Some(now) || was_left != is_left {
            let mut value = now.to_be_bytes().to_vec();
            value.push(u8::from(is_left));
            state.put(time_at(scope).to_vec().into(), Some(value.into()));
        }
        Ok((now, closed))
    }
}

/// The time of the partition, and whether closed windows are left, of the operator with that scope.
fn time_at(scope: u8) -> [u8; 1] {
    [2 * scope]
}

/// Where what belongs to a key is kept.
pub(super) fn entry_at(scope: u8, key: &[u8]) -> Vec<u8> {
    [&[2 * scope + 1][..], key].concat()
}

/// Where what belongs to a key in a window is kept: in the order of the windows' ends.
pub(super) fn place(scope: u8, end: i64, key: &[u8]) -> Vec<u8> {
    // Times before 1970 come first too.
    let order = (end as u64) ^ (1 << 63);
    [&[2 * scope + 1][..], &order.to_be_bytes(), key].concat()
}

/// The other way.
pub(super) fn window_of(place: &Bytes) -> Option<(i64, Bytes)> {
    let order = u64::from_be_bytes(*place.get(1..)?.first_chunk()?);
    Some(((order ^ (1 << 63)) as i64, place.slice(9..)))
}

/// Refuses a key that is too long to be kept.
pub(super) fn check_key(key: &[u8]) -> Result<(), OperatorError> {
    if key.len() <= LONGEST_KEY {
        return Ok(());
    }
    let message =
        format!("something is kept for a key of {LONGEST_KEY} bytes at most, and this one has {}", key.len());
    Err(OperatorError::BadInput { class: classes::STATE_TOO_LARGE, message })
}
