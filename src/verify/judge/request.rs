//! What must come of each request: once, and right.

use super::{AnomalyKind, Expected, Judging, at};
use crate::verify::history::{Asked, Found, Letter};

/// The class of a dead letter whose result does not fit its topic.
const TOO_LARGE: &str = "result-too-large";

impl Judging<'_> {
    pub(super) fn request(
        &mut self,
        number: u32,
        asked: &Asked,
        expected: &Expected,
        found: &[&Found],
        dead: &[&Letter],
    ) {
        let (before, known) = (self.verdict.broken.len(), asked.place.is_some());
        let deleted = self.history.deleted.iter().any(|deleted| deleted.has(asked));
        // A result that was too large while the limit was low is a dead letter; this holds for all of a
        // request's results or none.
        let fits = |size: u64| self.history.smallest_limit.is_none_or(|limit| size <= limit);
        let (refused, dead): (Vec<&Letter>, Vec<&Letter>) =
            match expected.results.iter().all(|(_, size)| fits(*size)) {
                true => (Vec::new(), dead.to_vec()),
                false => dead.iter().copied().partition(|letter| letter.class == TOO_LARGE),
            };
        if let (Some(letter), Some(result)) = (refused.first(), found.first()) {
            let text = format!("a result at {} and a dead letter at {}", at(result.place), at(letter.place));
            self.repeated(AnomalyKind::Duplicate, number, result.at.max(letter.at), text);
        }
        let too_large = found.is_empty() && !refused.is_empty();
        let dead = if too_large { refused } else { dead };
        let (results, class) = match too_large {
            true => (&[][..], Some(TOO_LARGE)),
            false => (expected.results.as_slice(), expected.class),
        };
        for result in
            found.iter().filter(|result| !results.iter().any(|(digest, _)| *digest == result.digest))
        {
            let what = if results.is_empty() {
                "a result, and there must be none,"
            } else {
                "a result that is not right"
            };
            self.broken(
                AnomalyKind::Wrong,
                Some(number),
                result.at,
                format!("{what} at {}", at(result.place)),
            );
        }
        let mut missing = 0;
        for (index, (digest, _)) in results.iter().enumerate() {
            // The same result may be expected twice.
            if results[..index].iter().any(|(earlier, _)| earlier == digest) {
                continue;
            }
            let wanted = results.iter().filter(|(other, _)| other == digest).count() * asked.times();
            let there: Vec<&&Found> = found.iter().filter(|result| result.digest == *digest).collect();
            missing += wanted.saturating_sub(there.len());
            for again in there.iter().skip(wanted) {
                let places: Vec<String> = there.iter().map(|result| at(result.place)).collect();
                self.repeated(
                    AnomalyKind::Duplicate,
                    number,
                    again.at,
                    format!("results at {}", places.join(" and ")),
                );
            }
        }
        missing += self.letters(number, asked, expected.request, class, &dead);
        if missing > 0 && known && !deleted {
            let what = if class.is_some() { "no dead letter" } else { "no result" };
            let when = asked.acknowledged.unwrap_or(asked.at);
            let place = asked.place.map(at).unwrap_or_default();
            self.broken(AnomalyKind::Lost, Some(number), when, format!("asked at {place}: {what}"));
        }
        self.verdict.requests += u64::from(known);
        self.verdict.refused += u64::from(!known);
        self.verdict.excused += u64::from(known && missing > 0 && deleted);
        self.verdict.answered += u64::from(known && missing == 0 && self.verdict.broken.len() == before);
    }

    /// Judges a request's dead letters. Returns how many are missing.
    fn letters(
        &mut self,
        number: u32,
        asked: &Asked,
        request: u64,
        class: Option<&'static str>,
        dead: &[&Letter],
    ) -> usize {
        let Some(class) = class else {
            for letter in dead {
                let text = format!(
                    "a dead letter ({}) at {} of a request that is good",
                    letter.class,
                    at(letter.place)
                );
                self.broken(AnomalyKind::LetterWrong, Some(number), letter.at, text);
            }
            return 0;
        };
        for letter in dead {
            let what = if letter.class != class {
                format!("has class {} and not {class}", letter.class)
            } else if letter.digest != request {
                "is not the request as it came".to_owned()
            } else if asked.place.is_some() && !letter.says.is_some_and(|place| asked.is_at(place)) {
                let says = letter.says.map_or_else(|| "nowhere".to_owned(), at);
                format!("says that the request was at {says}")
            } else {
                continue;
            };
            let text = format!("the dead letter at {} {what}", at(letter.place));
            self.broken(AnomalyKind::LetterWrong, Some(number), letter.at, text);
        }
        for again in dead.iter().skip(asked.times()) {
            let places: Vec<String> = dead.iter().map(|letter| at(letter.place)).collect();
            self.repeated(
                AnomalyKind::LetterDuplicate,
                number,
                again.at,
                format!("dead letters at {}", places.join(" and ")),
            );
        }
        asked.times().saturating_sub(dead.len())
    }
}
