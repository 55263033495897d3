use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// Names a request of this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Asked(pub usize);

/// What has become of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Which request.
    pub asked: Asked,
    /// What it asked for.
    pub n: u64,
    /// From the produce to its acknowledgement; `None` where the answer was there first.
    pub acknowledged: Option<Duration>,
    /// From the produce to the answer.
    pub total: Duration,
    /// The digits, or why there are none.
    pub result: Result<String, String>,
}

struct Pending {
    n: u64,
    produced: Instant,
    acknowledged: Option<Duration>,
    /// Where the broker has put it.
    place: Option<(i32, i64)>,
}

/// Pairs results with who asked. A request is known by its number, which is registered before it is
/// produced, so that no result can slip by; the first result for a number answers all who wait for it.
///
/// ```
/// use std::time::Instant;
/// use pipeline::gateway::Waiter;
///
/// let mut waiter = Waiter::default();
/// let asked = waiter.wait_for(5, Instant::now());
/// let answers = waiter.result(5, "120", Instant::now());
/// assert_eq!(answers[0].asked, asked);
/// assert_eq!(answers[0].result, Ok("120".to_owned()));
/// assert!(waiter.is_empty());
/// ```
#[derive(Default)]
pub struct Waiter {
    pending: BTreeMap<Asked, Pending>,
    by_number: HashMap<u64, Vec<Asked>>,
    by_place: HashMap<(i32, i64), Asked>,
    next: usize,
}

impl Waiter {
    /// Registers a request for `n`; to be called right before it is produced.
    pub fn wait_for(&mut self, n: u64, now: Instant) -> Asked {
        let asked = Asked(self.next);
        self.next += 1;
        self.pending.insert(asked, Pending { n, produced: now, acknowledged: None, place: None });
        self.by_number.entry(n).or_default().push(asked);
        asked
    }

    /// The broker has the request, at that partition and offset.
    pub fn acknowledged(&mut self, asked: Asked, partition: i32, offset: i64, now: Instant) {
        if let Some(pending) = self.pending.get_mut(&asked) {
            pending.acknowledged = Some(now - pending.produced);
            pending.place = Some((partition, offset));
            self.by_place.insert((partition, offset), asked);
        }
    }

    /// A result has come: answers all who wait for it, whoever it was computed for.
    pub fn result(&mut self, n: u64, digits: &str, now: Instant) -> Vec<Answer> {
        let waiting = self.by_number.remove(&n).unwrap_or_default();
        waiting.into_iter().filter_map(|asked| self.answer(asked, Ok(digits.to_owned()), now)).collect()
    }

    /// The request at that partition and offset cannot be computed.
    pub fn dead_letter(&mut self, partition: i32, offset: i64, reason: &str, now: Instant) -> Option<Answer> {
        let asked = *self.by_place.get(&(partition, offset))?;
        self.fail(asked, reason, now)
    }

    /// The request will have no result.
    pub fn fail(&mut self, asked: Asked, reason: &str, now: Instant) -> Option<Answer> {
        let answer = self.answer(asked, Err(reason.to_owned()), now)?;
        if let Some(waiting) = self.by_number.get_mut(&answer.n) {
            waiting.retain(|other| *other != asked);
            if waiting.is_empty() {
                self.by_number.remove(&answer.n);
            }
        }
        Some(answer)
    }

    /// Ends what has waited for longer than `limit`, the oldest first.
    pub fn expire(&mut self, limit: Duration, reason: &str, now: Instant) -> Vec<Answer> {
        let mut late = Vec::new();
        while let Some((asked, pending)) = self.pending.first_key_value()
            && now - pending.produced >= limit
        {
            late.extend(self.fail(*asked, reason, now));
        }
        late
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn answer(&mut self, asked: Asked, result: Result<String, String>, now: Instant) -> Option<Answer> {
        let Pending { n, produced, acknowledged, place } = self.pending.remove(&asked)?;
        if let Some(place) = place {
            self.by_place.remove(&place);
        }
        Some(Answer { asked, n, acknowledged, total: now - produced, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_result_answers_all_who_wait_for_it_and_nobody_else() {
        let (mut waiter, start) = (Waiter::default(), Instant::now());
        let [one, other, two] = [5, 6, 5].map(|n| waiter.wait_for(n, start));
        let answers = waiter.result(5, "120", start + SECOND);
        assert_eq!(answers.iter().map(|answer| answer.asked).collect::<Vec<_>>(), [one, two]);
        assert!(answers.iter().all(|answer| answer.total == SECOND));
        assert!(waiter.result(5, "120", start).is_empty(), "a late result answers nobody");
        assert_eq!(waiter.result(6, "720", start)[0].asked, other);
        assert!(waiter.is_empty() && waiter.by_number.is_empty());
    }

    #[test]
    fn the_acknowledgement_is_timed_apart() {
        let (mut waiter, start) = (Waiter::default(), Instant::now());
        let asked = waiter.wait_for(5, start);
        waiter.acknowledged(asked, 0, 20, start + SECOND);
        let answers = waiter.result(5, "120", start + 3 * SECOND);
        assert_eq!((answers[0].acknowledged, answers[0].total), (Some(SECOND), 3 * SECOND));
    }

    #[test]
    fn a_dead_letter_answers_its_own_request_alone() {
        let (mut waiter, start) = (Waiter::default(), Instant::now());
        let [one, two] = [5, 5].map(|n| waiter.wait_for(n, start));
        waiter.acknowledged(one, 0, 7, start);
        waiter.acknowledged(two, 0, 8, start);
        assert_eq!(waiter.dead_letter(1, 7, "above max_n", start), None);
        let answer = waiter.dead_letter(0, 7, "above max_n", start).unwrap();
        assert_eq!((answer.asked, answer.result), (one, Err("above max_n".to_owned())));
        assert_eq!(waiter.result(5, "120", start)[0].asked, two);
        assert!(waiter.by_place.is_empty(), "nothing is kept of what is answered");
    }

    #[test]
    fn a_request_that_was_not_produced_waits_no_longer() {
        let (mut waiter, start) = (Waiter::default(), Instant::now());
        let asked = waiter.wait_for(5, start);
        let answer = waiter.fail(asked, "the broker is gone", start + SECOND).unwrap();
        assert_eq!((answer.n, answer.result), (5, Err("the broker is gone".to_owned())));
        assert!(waiter.is_empty() && waiter.by_number.is_empty());
        assert_eq!(waiter.fail(asked, "again", start), None);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (mut waiter, start) = (Waiter::default(), Instant::now());
        let early = waiter.wait_for(5, start);
        waiter.wait_for(5, start + SECOND);
        let late = waiter.expire(2 * SECOND, "no answer", start + 2 * SECOND);
        assert_eq!(late.iter().map(|answer| answer.asked).collect::<Vec<_>>(), [early]);
        assert_eq!(waiter.result(5, "120", start + 2 * SECOND).len(), 1);
    }
}
