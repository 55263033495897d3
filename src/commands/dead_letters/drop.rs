//! `pipeline dead-letters drop`: takes out of the topic what nobody wants any more.
//!
//! Kafka takes records out from a partition's beginning on, and nowhere else.

use std::collections::BTreeMap;

use super::{Failure, Letters, none, stdout};
use crate::{
    commands::{confirmed, dead_letters::Filters, topics::table},
    operator::LetterFilter,
};

/// Which dead letters, and whether somebody has to say yes.
pub struct Unwanted {
    pub filter: LetterFilter,
    pub dry_run: bool,
    pub yes: bool,
}

/// What of a partition matches.
#[derive(Default)]
struct Found {
    /// How many do from its beginning on, with no other between them.
    first: u64,
    /// The offset behind the last of these.
    before: i64,
    /// Whether another one has come.
    is_over: bool,
    /// How many come behind that.
    behind: u64,
}

impl Found {
    fn add(&mut self, offset: i64, matches: bool) {
        self.is_over |= !matches;
        match (matches, self.is_over) {
            (true, false) => (self.first, self.before) = (self.first + 1, offset + 1),
            (true, true) => self.behind += 1,
            (false, _) => {}
        }
    }
}

/// What decides which are dropped.
///
/// # Errors
/// Nothing says which.
pub fn filter(filters: &Filters, letters: &Letters<'_>) -> Result<LetterFilter, Failure> {
    if filters.is_empty() {
        let reason =
            "say which dead letters are to be dropped, such as --until 7days; --when true means all of them";
        return Err(Failure::Usage(reason.to_owned()));
    }
    filters.of(letters.pipeline)
}

impl Unwanted {
    /// Drops, or says what would be.
    ///
    /// # Errors
    /// No broker answers, or it refuses.
    pub fn drop(self, filters: &Filters, letters: &Letters<'_>) -> Result<(), Failure> {
        let topic = &letters.pipeline.dead_letters;
        let mut found: BTreeMap<i32, Found> = BTreeMap::new();
        letters.look(&self.filter, |letter, matches| {
            found.entry(letter.partition).or_default().add(letter.offset, matches);
        })?;
        let (first, behind) =
            found.values().fold((0, 0), |(first, behind), of| (first + of.first, behind + of.behind));
        if first + behind == 0 {
            return stdout(&none(filters, letters.pipeline));
        }
        let rows = found.iter().map(|(partition, of)| {
            [format!("{topic}[{partition}]"), of.first.to_string(), of.behind.to_string()]
        });
        stdout(&table(["partition", "to be dropped", "behind others"], rows))?;
        if behind > 0 {
            stdout(
                "\nKafka takes records out from a partition's beginning on: those behind others stay, until these are gone too\n",
            )?;
        }
        if self.dry_run || first == 0 {
            return Ok(());
        }
        let question = format!("drop {first} dead letters of {topic}, which nothing brings back?");
        if !self.yes && !confirmed(&question)? {
            return Err(Failure::Failed("nothing was dropped".to_owned()));
        }
        let before: Vec<(i32, i64)> = found
            .iter()
            .filter(|(_, of)| of.first > 0)
            .map(|(partition, of)| (*partition, of.before))
            .collect();
        letters.admin.delete_records(topic, &before).map_err(Failure::failed)?;
        stdout(&format!("\ndropped {first} dead letters\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_another_one_stays() {
        let mut found = Found::default();
        for (offset, matches) in [(4, true), (7, true), (8, false), (9, true), (11, false), (12, true)] {
            found.add(offset, matches);
        }
        assert_eq!((found.first, found.before, found.behind), (2, 8, 2));
        let mut none = Found::default();
        none.add(4, false);
        assert_eq!((none.first, none.before, none.behind), (0, 0, 0));
    }
}
