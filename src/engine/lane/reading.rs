//! What has to be read before a lane's batches are computed: what has come before its start, and which keys wait in retry topics.

use std::sync::Arc;

use super::Lane;
use crate::{
    engine::{
        Past, Topology,
        parked::Parked,
        state::{Changes, LaneState},
    },
    record::{Batch, Offset, Record},
};

impl Lane {
    /// What has to be read before a batch, where it is the first one. Batches are kept until it was.
    pub fn history_before(&mut self, batch: &Batch) -> Option<Past> {
        let past = self.seen.as_mut()?.history_before(batch);
        self.reads_history |= past.is_some();
        past
    }

    /// Whether these are the keys that wait in the partitions of its number.
    pub fn waits_with(&self, parked: &Arc<Parked>) -> bool {
        self.parked.as_ref().is_some_and(|own| Arc::ptr_eq(own, parked))
    }

    /// One more partition has to be read first: of a retry topic, or of the changelog.
    pub fn await_reading(&mut self) {
        self.unread += 1;
    }

    /// One was read.
    pub fn has_read(&mut self, topology: &Topology) {
        self.unread = self.unread.saturating_sub(1);
        self.take_kept(topology);
    }

    /// What operators remember of its records, where they do.
    pub fn state(&self) -> Option<&Arc<LaneState>> {
        self.state.as_ref()
    }

    /// That is acknowledged, up to that offset of the changelog.
    pub fn changed(&mut self, changes: Option<Changes>, to: Offset) {
        self.changes.extend(changes.map(|changes| (changes.number, (changes, to))));
    }

    /// All that is acknowledged is committed too, and can be put into the store: where there is something. A chunk may be acknowledged
    /// before an earlier one, as their results go to several partitions; its changes wait for the earlier ones, which they build on.
    ///
    /// # Errors
    /// What went wrong when something was put there before.
    pub fn commit_state(&mut self) -> Result<Option<Arc<LaneState>>, String> {
        let Some(state) = &self.state else { return Ok(None) };
        state.failure()?;
        let before = self.kept_of;
        while let Some((changes, to)) = self.changes.remove(&(self.kept_of + 1)) {
            self.kept_of += 1;
            state.commit(changes, to);
        }
        Ok((self.kept_of > before).then(|| state.clone()))
    }

    /// The bytes that are held for the keys that wait.
    pub fn parked_bytes(&self) -> u64 {
        self.parked.as_ref().filter(|_| self.retry.is_none()).map_or(0, |parked| parked.holds())
    }

    /// Takes in records that wait in a retry topic, and are computed once they come to its lane.
    pub fn find_parked(&mut self, batch: &Batch) {
        let (Some(parked), Some(place)) = (&self.parked, self.retry) else { return };
        let open = (0..batch.len()).filter(|index| !self.tracker.has_done(batch.offset(*index)));
        open.for_each(|index| parked.find(place, batch, index));
    }

    /// A record was sent to a retry topic.
    pub fn parked_one(&self, record: &Record) {
        if let Some(parked) = &self.parked {
            parked.sent(record);
        }
    }

    /// Takes in records that lie before the lane's start, and are not computed.
    pub fn history(&mut self, batch: &Batch) {
        if let Some(seen) = &mut self.seen {
            for index in 0..batch.len() {
                seen.take(batch, index);
            }
        }
    }

    /// All of those have come.
    pub fn history_read(&mut self, topology: &Topology) {
        self.reads_history = false;
        self.take_kept(topology);
    }

    /// Takes in what was kept, once all is read that has to be.
    pub(super) fn take_kept(&mut self, topology: &Topology) {
        if !self.reads_history && self.unread == 0 {
            std::mem::take(&mut self.kept).into_iter().for_each(|held| self.take_in(held, topology));
        }
    }
}
