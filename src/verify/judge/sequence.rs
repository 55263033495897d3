//! What must never go back: the results of a partition or a key, and committed offsets.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::{AnomalyKind, Judging, NO_KEY, at};
use crate::{
    config::Order,
    record::ResultTopic,
    verify::history::{Found, Place},
};

/// How long commits for a deleted topic may still come, in milliseconds.
const STRAY: i64 = 60_000;

impl Judging<'_> {
    /// With an order, a result never precedes one whose request was earlier in the same partition (and has
    /// the same key). Of repeats only the one written first counts, in whichever partition: at-least-once
    /// repeats in order, from an earlier offset, and a record without a key may then go to another partition.
    /// A dead letter counts as a result.
    pub(super) fn order(&mut self, keys: &[u64]) {
        if self.promise.order == Order::None {
            return;
        }
        let history = self.history;
        let mut results: Vec<&Found> = history.results.iter().collect();
        results.sort_unstable_by_key(|found| (found.topic, found.place));
        let mut first: HashMap<_, (i64, ResultTopic, Place)> = HashMap::new();
        for found in &results {
            let written = (found.at, found.topic, found.place);
            let first = first.entry((found.number, found.digest)).or_insert(written);
            *first = written.min(*first);
        }
        let mut letters: HashMap<u32, i64> = HashMap::new();
        for letter in &history.letters {
            let Some(number) = letter.number else { continue };
            let first = letters.entry(number).or_insert(letter.at);
            *first = letter.at.min(*first);
        }
        let mut latest: HashMap<_, (i64, Place)> = HashMap::new();
        for found in results {
            let Some(number) = found.number else { continue };
            let Some((asked, key)) = history.asked.get(number as usize).zip(keys.get(number as usize)) else {
                continue;
            };
            let Some(place) = asked.place else { continue };
            let (_, topic, first) = first[&(found.number, found.digest)];
            let is_repeat = (topic, first) != (found.topic, found.place);
            if is_repeat || letters.get(&number).is_some_and(|letter| *letter < found.at) {
                continue;
            }
            let key = match self.promise.order {
                // Records without a key have no order.
                Order::Key if *key == NO_KEY => continue,
                Order::Key => *key,
                Order::Partition | Order::None => 0,
            };
            let group = (asked.generation, place.partition, found.topic, found.place.partition, key);
            let last = latest.entry(group).or_insert((place.offset, found.place));
            if place.offset < last.0 {
                let text = format!(
                    "the result at {} is of the request at {}, and the one at {} before it is of a later one, at offset {}",
                    at(found.place),
                    at(place),
                    at(last.1),
                    last.0
                );
                self.broken(AnomalyKind::OutOfOrder, Some(number), found.at, text);
            } else {
                *last = (place.offset, found.place);
            }
        }
    }

    /// A committed offset never goes back, unless the broker expired it.
    pub(super) fn offsets(&mut self) {
        let history = self.history;
        let mut latest: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
        for commit in &history.commits {
            let entry = latest.entry((&commit.topic, commit.partition));
            match (commit.offset, entry) {
                (Some(offset), Entry::Vacant(entry)) => {
                    entry.insert((offset, commit.at));
                }
                (Some(offset), Entry::Occupied(mut entry)) => {
                    let (before, when) = *entry.get();
                    if offset < before && !self.made_again_before(commit.at) {
                        let text = format!(
                            "{}[{}]: {offset} was committed {} ms after {before}",
                            commit.topic,
                            commit.partition,
                            commit.at - when
                        );
                        self.broken(AnomalyKind::OffsetWentBack, None, commit.at, text);
                    }
                    entry.insert((offset, commit.at));
                }
                (None, Entry::Occupied(entry)) => {
                    entry.remove();
                }
                (None, Entry::Vacant(_)) => {}
            }
        }
    }

    /// Whether the request topic was recreated shortly before: then its offsets begin at 0 again, and commits
    /// in flight still arrive.
    fn made_again_before(&self, at: i64) -> bool {
        self.history.made_again.iter().any(|made| (0..STRAY).contains(&(at - made)))
    }
}
