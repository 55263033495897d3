//! Which offsets may be committed: the low watermark, and what is done above it.

use std::collections::{BTreeSet, VecDeque};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

use crate::{
    plant::{Fault, planted},
    record::{Batch, Offset},
};

/// How far above the low watermark a commit's metadata can remember completed offsets.
///
/// One bit an offset in base64 is 2,731 bytes at most: two thirds of the 4,096 that a broker takes
/// (`offset.metadata.max.bytes`), so that no combination of completed offsets can ever be refused.
pub const WINDOW: i64 = 16_384;

/// How our metadata of this version begins. The offset that the bitmap counts from follows, a colon, and the
/// bitmap in base64.
const BITMAP: &str = "p2:";

/// One partition's records that have been read and are not committed yet, in order.
///
/// A record's sequence number counts the records read since the lane began, so that a record is found in
/// one step although offsets have gaps (compaction, transaction markers).
#[derive(Debug)]
pub struct OffsetTracker {
    offsets: VecDeque<i64>,
    done: VecDeque<bool>,
    /// The sequence number of the front.
    first: u64,
    /// What may be committed where nothing is outstanding.
    next: Offset,
    /// Offsets that an earlier owner has done, from the commit's metadata.
    earlier: BTreeSet<i64>,
}

impl OffsetTracker {
    /// A tracker that begins at `start`; `metadata` is what the last commit carried.
    pub fn new(start: Offset, metadata: &str) -> Self {
        OffsetTracker {
            offsets: VecDeque::new(),
            done: VecDeque::new(),
            first: 0,
            next: start,
            earlier: decode(start, metadata),
        }
    }

    /// Adds a batch's records. Returns the first one's sequence number.
    pub fn extend(&mut self, batch: &Batch) -> u64 {
        let first = self.first + self.offsets.len() as u64;
        for index in 0..batch.len() {
            let offset = batch.offset(index);
            self.offsets.push_back(offset.0);
            self.done.push_back(self.earlier.remove(&offset.0));
            self.next = self.next.max(offset.next());
        }
        // An earlier owner may have done the first ones.
        self.advance();
        first
    }

    /// Whether the record is done, by us or by an earlier owner.
    pub fn is_done(&self, sequence: u64) -> bool {
        let index = (sequence - self.first.min(sequence)) as usize;
        sequence < self.first || self.done.get(index).copied().unwrap_or(false)
    }

    /// Whether the record with that offset is done, read or not.
    pub fn has_done(&self, offset: Offset) -> bool {
        let read = |offset| self.offsets.binary_search(&offset).is_ok_and(|index| self.done[index]);
        offset < self.watermark() || self.earlier.contains(&offset.0) || read(offset.0)
    }

    /// The sequence number of the first record that is not done, where one is read.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Everything before `offset` has been read. (Transaction markers and compacted records are offsets
    /// without a record.)
    pub fn read_to(&mut self, offset: Offset) {
        if offset > self.next {
            self.offsets.push_back(offset.0 - 1);
            self.done.push_back(true);
            self.next = offset;
            self.advance();
        }
    }

    /// Marks records as done: all of their results are acknowledged.
    pub fn complete(&mut self, sequences: impl Iterator<Item = u64>) {
        for sequence in sequences {
            if let Some(done) = sequence.checked_sub(self.first).and_then(|i| self.done.get_mut(i as usize)) {
                *done = true;
            }
        }
        self.advance();
    }

    /// The next offset to be committed: each record before it is done.
    pub fn watermark(&self) -> Offset {
        self.offsets.front().map_or(self.next, |offset| Offset(*offset))
    }

    /// The offset after the last record read.
    pub fn position(&self) -> Offset {
        self.next
    }

    /// Records that are read and not committed, including done ones above the watermark.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether everything that has been read is done.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The commit's metadata: what is done above the watermark. Empty where nothing is.
    pub fn metadata(&self) -> String {
        let above = self.offsets.iter().zip(&self.done).filter(|(_, done)| **done).map(|(offset, _)| *offset);
        encode(self.watermark(), above.chain(self.earlier.iter().copied()))
    }

    fn advance(&mut self) {
        while self.done.front() == Some(&true) {
            self.done.pop_front();
            self.offsets.pop_front();
            self.first += 1;
        }
    }
}

fn encode(watermark: Offset, done: impl Iterator<Item = i64>) -> String {
    let mut bits = Vec::new();
    for distance in done.map(|offset| offset - watermark.0).filter(|d| (0..WINDOW).contains(d)) {
        let byte = distance as usize / 8;
        if byte >= bits.len() {
            bits.resize(byte + 1, 0u8);
        }
        bits[byte] |= 1 << (distance % 8);
    }
    if bits.is_empty() {
        String::new()
    } else {
        format!("{BITMAP}{watermark}:{}", BASE64_STANDARD_NO_PAD.encode(bits))
    }
}

/// The offsets that are done from `start` on. Where records were deleted, `start` is above the committed
/// offset. A `start` below that means that the topic was made again, and metadata in another format is not
/// ours: then nothing is taken as done, and records may be done again.
fn decode(start: Offset, metadata: &str) -> BTreeSet<i64> {
    let parts = metadata.strip_prefix(BITMAP).and_then(|rest| rest.split_once(':'));
    let Some((Ok(base), bits)) = parts.map(|(base, bits)| (base.parse::<i64>(), bits)) else {
        return BTreeSet::new();
    };
    let base = if planted(Fault::OldBitmap) { start.0 } else { base };
    // A longer one is not ours either.
    if base > start.0 || bits.len() > WINDOW as usize / 6 + 4 {
        return BTreeSet::new();
    }
    let bits = BASE64_STANDARD_NO_PAD.decode(bits).unwrap_or_default();
    (0..bits.len() as i64 * 8)
        .filter(|distance| bits[*distance as usize / 8] & (1 << (distance % 8)) != 0)
        .filter_map(|distance| base.checked_add(distance).filter(|offset| *offset >= start.0))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchBuilder, Headers, TopicPartition};

    fn batch(offsets: impl IntoIterator<Item = i64>) -> Batch {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for offset in offsets {
            builder.push(Offset(offset), None, None, None, Headers::default());
        }
        builder.build()
    }

    #[test]
    fn the_watermark_waits_for_the_first_record_that_is_not_done() {
        let mut tracker = OffsetTracker::new(Offset(10), "");
        assert_eq!(tracker.extend(&batch(10..15)), 0);
        tracker.complete([1, 2, 4].into_iter());
        assert_eq!(tracker.watermark(), Offset(10));
        tracker.complete([0].into_iter());
        assert_eq!(tracker.watermark(), Offset(13));
        tracker.complete([3].into_iter());
        assert_eq!(tracker.watermark(), Offset(15));
        assert!(tracker.is_empty());
    }

    #[test]
    fn gaps_in_the_offsets_are_stepped_over() {
        let mut tracker = OffsetTracker::new(Offset(0), "");
        tracker.extend(&batch([5, 9]));
        assert_eq!(tracker.watermark(), Offset(5));
        tracker.complete([0].into_iter());
        assert_eq!(tracker.watermark(), Offset(9));
        tracker.complete([1].into_iter());
        assert_eq!(tracker.watermark(), Offset(10));
        tracker.read_to(Offset(12));
        assert_eq!(tracker.watermark(), Offset(12));
        assert_eq!(tracker.extend(&batch([12])), 3);
        assert_eq!(tracker.watermark(), Offset(12));
    }

    #[test]
    fn the_end_of_a_partition_counts_only_once_what_is_before_it_is_done() {
        let mut tracker = OffsetTracker::new(Offset(0), "");
        tracker.extend(&batch([0]));
        tracker.read_to(Offset(2));
        assert_eq!(tracker.watermark(), Offset(0));
        tracker.complete([0].into_iter());
        assert_eq!(tracker.watermark(), Offset(2));
    }

    #[test]
    fn a_new_owner_does_not_see_what_was_completed_above_the_gap() {
        let mut tracker = OffsetTracker::new(Offset(100), "");
        tracker.extend(&batch(100..110));
        tracker.complete([3, 4, 9].into_iter());
        let (watermark, metadata) = (tracker.watermark(), tracker.metadata());
        assert_eq!(watermark, Offset(100));

        let mut next = OffsetTracker::new(watermark, &metadata);
        let first = next.extend(&batch(100..112));
        let done: Vec<u64> = (first..first + 12).filter(|s| next.is_done(*s)).collect();
        assert_eq!(done, [3, 4, 9]);
        // What has not been read again yet stays in the metadata.
        assert_eq!(OffsetTracker::new(watermark, &metadata).metadata(), metadata);
    }

    #[test]
    fn metadata_of_others_is_ignored() {
        for metadata in ["", "p1:AQ", "2:AA", "p2:AA", "p2:1:AQ", "p2:0:!!", "p2::AQ", "leader epoch 7"] {
            assert!(decode(Offset(0), metadata).is_empty(), "{metadata}");
        }
        assert!(decode(Offset(0), &format!("p2:0:{}", "/".repeat(4_000))).is_empty(), "longer than ours");
    }

    #[test]
    fn a_bitmap_counts_from_the_offset_that_was_committed_and_from_no_other() {
        let metadata = encode(Offset(100), [103].into_iter());
        assert_eq!(decode(Offset(100), &metadata), [103].into());
        // Records before these were deleted, and the partition is read from there on.
        assert_eq!(decode(Offset(103), &metadata), [103].into());
        assert!(decode(Offset(5_000), &metadata).is_empty());
        // The topic was made again.
        assert!(decode(Offset(99), &metadata).is_empty());
    }

    /// What a version before this one has written, at which offset, and what was done behind it: printed by its own program.
    /// What was once written here stays: two versions may be in one group, and either may take over from the other.
    fn written_by_0_1_0() -> [(i64, Vec<i64>, &'static str); 6] {
        [
            (9, vec![], ""),
            (0, vec![1], "p2:0:Ag"),
            (100, vec![103, 104, 109], "p2:100:GAI"),
            (7, (8..17).chain([23]).collect(), "p2:7:/gMB"),
            (5_000_000_000, vec![5_000_000_001, 5_000_000_063], "p2:5000000000:AgAAAAAAAIA"),
            (1_000, (1_002..1_100).collect(), "p2:1000:/P//////////////Dw"),
        ]
    }

    #[test]
    fn metadata_of_earlier_versions_is_read() {
        for (watermark, done, metadata) in written_by_0_1_0() {
            assert_eq!(decode(Offset(watermark), metadata), done.into_iter().collect(), "{metadata}");
        }
    }

    #[test]
    fn earlier_versions_read_what_is_written_now() {
        // The same letters as theirs. Once another form is written, this is what the version before must be able to read.
        for (watermark, done, metadata) in written_by_0_1_0() {
            assert_eq!(encode(Offset(watermark), done.into_iter()), metadata);
        }
    }

    proptest! {
        #[test]
        fn metadata_says_what_is_done_and_always_fits(done in proptest::collection::btree_set(1i64..20_000, 0..400)) {
            let metadata = encode(Offset(1_000), done.iter().map(|d| 1_000 + d));
            prop_assert!(metadata.len() < 3_072, "{} bytes", metadata.len());
            let expected: BTreeSet<i64> = done.into_iter().filter(|d| *d < WINDOW).map(|d| 1_000 + d).collect();
            prop_assert_eq!(decode(Offset(1_000), &metadata), expected);
        }
    }
}
