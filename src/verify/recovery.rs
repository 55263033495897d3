//! When results flowed again after a fault.

use std::collections::BTreeMap;

use super::history::{Asked, Deleted};

/// How long after a fault a partition's first request may come, in milliseconds; a partition whose first one
/// is later does not count.
const SOON: i64 = 3_000;

/// When results flowed again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// In milliseconds since 1970 UTC.
    pub at: i64,
    /// The partition that recovered last.
    pub partition: i32,
}

/// When results flowed again after `end`: when each partition had answered the first request produced after
/// it. `None` if one has not, or if there was no request. Requests without an expected result do not count,
/// nor do deleted ones.
pub fn recovered(asked: &[Asked], deleted: &[Deleted], end: i64) -> Option<Recovery> {
    let from = asked.partition_point(|asked| asked.at < end);
    let mut partitions: BTreeMap<i32, Option<i64>> = BTreeMap::new();
    for asked in asked[from..].iter().take_while(|asked| asked.at < end + SOON) {
        let counts =
            !asked.silent && (asked.answered.is_some() || !deleted.iter().any(|some| some.has(asked)));
        if let Some(place) = asked.place.filter(|_| counts) {
            partitions.entry(place.partition).or_insert(asked.answered);
        }
    }
    let answered = partitions.into_iter().map(|(partition, at)| Some(Recovery { at: at?, partition }));
    answered.collect::<Option<Vec<Recovery>>>()?.into_iter().max_by_key(|recovery| recovery.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::history::Place;

    fn asked(at: i64, partition: i32, answered: Option<i64>) -> Asked {
        Asked { at, place: Some(Place { partition, offset: at }), answered, ..Asked::default() }
    }

    #[test]
    fn the_slowest_partition_s_first_request_after_the_fault_counts() {
        let mut all = vec![
            asked(10, 0, Some(90)),
            asked(20, 0, Some(25)),
            asked(21, 1, Some(40)),
            asked(22, 1, None),
            Asked { silent: true, ..asked(23, 2, None) },
        ];
        assert_eq!(recovered(&all, &[], 20), Some(Recovery { at: 40, partition: 1 }));
        assert_eq!(recovered(&all, &[], 22), None);
        assert_eq!(recovered(&all, &[], 24), None);
        all[3].answered = Some(30);
        assert_eq!(recovered(&all, &[], 22), Some(Recovery { at: 30, partition: 1 }));
    }

    #[test]
    fn what_was_deleted_and_partitions_that_came_later_do_not_count() {
        let all = [asked(10, 0, None), asked(11, 0, Some(20)), asked(4_000, 1, Some(9_000))];
        let deleted = Deleted { generation: 0, partition: 0, from: 0, before: 11 };
        assert_eq!(recovered(&all, &[], 10), None);
        assert_eq!(recovered(&all, &[deleted], 10), Some(Recovery { at: 20, partition: 0 }));
    }
}
