//! How long it took until results flowed again.

use std::collections::BTreeMap;

use super::history::Asked;

/// When results flowed again after `end`: each partition has answered the first request that was asked after it. `None`
/// where one has not, or nothing was asked. Requests that nothing comes of do not count.
pub fn recovered(asked: &[Asked], end: i64) -> Option<i64> {
    let from = asked.partition_point(|asked| asked.at < end);
    let mut partitions: BTreeMap<i32, Option<i64>> = BTreeMap::new();
    for asked in asked[from..].iter().filter(|asked| !asked.silent) {
        if let Some(place) = asked.place {
            partitions.entry(place.partition).or_insert(asked.answered);
        }
    }
    let answered: Option<Vec<i64>> = partitions.into_values().collect();
    answered?.into_iter().max()
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
        assert_eq!(recovered(&all, 20), Some(40));
        assert_eq!(recovered(&all, 22), None);
        assert_eq!(recovered(&all, 24), None);
        all[3].answered = Some(30);
        assert_eq!(recovered(&all, 22), Some(30));
    }
}
