//! A dead-letter topic, and what its letters say.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use super::Failure;
use crate::{
    config::Pipeline,
    kafka::{
        Admin, settings,
        verify::{Begin, Bounds, Isolation, Looked, Seen, read_part, read_to_end},
    },
    operator::LetterFilter,
    record::{Mark, Record, error},
};

/// How long reading the topic may take.
pub const TO_THE_END: Duration = Duration::from_secs(600);

/// Up to where the letters of each partition are done.
pub type Position = BTreeMap<i32, i64>;

/// A pipeline's dead-letter topic.
pub struct Letters<'a> {
    pub pipeline: &'a Pipeline,
    pub admin: Admin,
    /// Whether there is such a topic. It is not asked for where there is none: that might create it.
    pub is_there: bool,
}

impl<'a> Letters<'a> {
    /// Asks the broker whether the topic is there.
    ///
    /// # Errors
    /// No broker answers.
    pub fn of(pipeline: &'a Pipeline) -> Result<Self, Failure> {
        let admin = Admin::new(&settings::common(pipeline)).map_err(Failure::failed)?;
        let is_there = admin.find(&pipeline.dead_letters).map_err(Failure::failed)?.is_some();
        Ok(Letters { pipeline, admin, is_there })
    }

    /// Reads those that are meant.
    ///
    /// # Errors
    /// No broker answers, or a schema registry does not.
    pub fn read(&self, filter: &LetterFilter, mut each: impl FnMut(Seen)) -> Result<(), Failure> {
        self.look(filter, |letter, matches| {
            if matches {
                each(letter);
            }
        })
    }

    /// Reads all, and says of each whether it is meant.
    ///
    /// # Errors
    /// As for [`read`](Letters::read).
    pub fn look(&self, filter: &LetterFilter, mut each: impl FnMut(Seen, bool)) -> Result<(), Failure> {
        if !self.is_there {
            return Ok(());
        }
        let (config, topic) = (settings::common(self.pipeline), &self.pipeline.dead_letters);
        let mut failed = None;
        let read = read_to_end(&config, topic, None, Isolation::Committed, TO_THE_END, |letter| {
            if failed.is_some() || Mark::is_one(&letter.record) {
                return;
            }
            match filter.takes(&letter.record) {
                Ok(matches) => each(letter, matches),
                Err(error) => failed = Some(error),
            }
        });
        read.map_err(Failure::failed)?;
        failed.map_or(Ok(()), |error| Err(Failure::failed(error)))
    }

    /// Reads those that are meant from there on, until a bound is met or `each` breaks off.
    ///
    /// # Errors
    /// As for [`read`](Letters::read).
    pub fn part(
        &self,
        filter: &LetterFilter,
        begin: &Begin,
        bounds: Bounds,
        mut each: impl FnMut(Seen) -> ControlFlow<()>,
    ) -> Result<Looked, Failure> {
        if !self.is_there {
            return Ok(Looked::default());
        }
        let (config, topic) = (settings::common(self.pipeline), &self.pipeline.dead_letters);
        let mut failed = None;
        let takes = |letter: &Record| if Mark::is_one(letter) { Ok(false) } else { filter.takes(letter) };
        let looked = read_part(&config, topic, begin, bounds, |letter| match takes(&letter.record) {
            Ok(true) => each(letter),
            Ok(false) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        let looked = looked.map_err(Failure::failed)?;
        failed.map_or(Ok(looked), |error| Err(Failure::failed(error)))
    }

    /// How far replays of a group have come, as their marks say it, by partition; of those alone that are not `known`.
    ///
    /// # Errors
    /// No broker answers, or a bound is met before the ends.
    pub fn marks(
        &self,
        group: &str,
        known: &Position,
        bounds: Bounds,
    ) -> Result<BTreeMap<i32, Mark>, Failure> {
        let mut marks = BTreeMap::new();
        if !self.is_there {
            return Ok(marks);
        }
        let (config, topic) = (settings::common(self.pipeline), &self.pipeline.dead_letters);
        // Nothing is read of the known ones.
        let begin = Begin::At(known.keys().map(|partition| (*partition, i64::MAX)).collect());
        let looked = read_part(&config, topic, &begin, bounds, |seen| {
            if let Some(mark) = Mark::of(&seen.record).filter(|mark| mark.group == group) {
                // A transaction that was sent later is further.
                marks.insert(seen.partition, mark);
            }
            ControlFlow::Continue(())
        });
        let looked = looked.map_err(Failure::failed)?;
        if looked.behind > 0 {
            return Err(Failure::Failed(format!(
                "the broker knows no offsets of the group {group}, and {topic} is too large to look for what it has replayed before in {:?}: \
                 let `pipeline dead-letters replay` of the same class do it once, without --limit, which looks at all",
                bounds.time
            )));
        }
        Ok(marks)
    }
}

/// A dead letter's class.
pub fn class(letter: &Record) -> String {
    let class = text(letter, error::CLASS);
    if class.is_empty() { "(no class)".to_owned() } else { class }
}

/// A header's text; empty where there is none.
pub fn text(record: &Record, name: &str) -> String {
    record.headers.get(name).map_or_else(String::new, |value| String::from_utf8_lossy(value).into_owned())
}

/// The beginning of a text, on one line; nothing in it moves a terminal's cursor.
pub fn short(text: &str, shown: usize) -> String {
    let mut beginning: String = text
        .chars()
        .take(shown)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(shown).is_some() {
        beginning.push('…');
    }
    beginning
}
