//! Sends dead letters to the topics that their records came from: the operator of `pipeline dead-letters replay`.

use super::{Cost, LetterFilter, Operator, OperatorError, Output, evaluate::cost};
use crate::record::{REPLAYS, Record, ResultTopic, error};

/// Makes the record again that a dead letter was, for the result topic of the same place as its topic has here. Letters that
/// are not meant are passed over, and so are those that cannot be replayed: see [`Replay::of`].
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Replay {
    /// Which letters are meant.
    pub filter: LetterFilter,
    /// The topics that records came from.
    pub topics: Vec<String>,
    /// How often a record is replayed at most.
    pub most: u32,
}

/// What becomes of a dead letter.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// It is sent to its topic.
    Sent(Record),
    /// Its topic is none of those.
    Elsewhere,
    /// It was cut to fit the dead-letter topic.
    Cut,
    /// It was replayed too often.
    TooOften,
}

impl Replay {
    /// What becomes of a dead letter that is meant.
    pub fn of(&self, letter: &Record) -> Replayed {
        let mut headers = letter.headers.clone();
        let topic = headers.text(error::TOPIC);
        let Some(place) = self.topics.iter().position(|own| Some(own.as_str()) == topic) else {
            return Replayed::Elsewhere;
        };
        if headers.get(error::CUT).is_some() {
            return Replayed::Cut;
        }
        let before: u32 = headers.number(REPLAYS).unwrap_or_default();
        if before >= self.most {
            return Replayed::TooOften;
        }
        headers.retain(|header| !header.name.starts_with(error::PREFIX) && header.name != REPLAYS);
        headers.push(REPLAYS, Some((before + 1).to_string().into()));
        let to = ResultTopic(u16::try_from(place).unwrap_or(u16::MAX));
        Replayed::Sent(Record { headers, to, ..letter.clone() })
    }
}

impl Operator for Replay {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if self.filter.takes(&record)?
            && let Replayed::Sent(record) = self.of(&record)
        {
            out.push(record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(headers: &[(&str, &'static str)]) -> Record {
        Record {
            key: Some("k".into()),
            value: Some("v".into()),
            headers: headers.iter().copied().collect(),
            timestamp: Some(7),
            ..Record::default()
        }
    }

    fn replay() -> Replay {
        let filter = LetterFilter { class: Some("bad".to_owned()), ..LetterFilter::default() };
        Replay { filter, topics: vec!["a".to_owned(), "b".to_owned()], most: 2 }
    }

    #[test]
    fn a_letter_is_the_record_again_and_says_how_often_it_was_replayed() {
        let of = [("own", "h"), ("pipeline.error.class", "bad"), ("pipeline.error.topic", "b"), ("own", "i")];
        let expected = letter(&[("own", "h"), ("own", "i"), ("pipeline.replays", "1")]);
        let expected = Replayed::Sent(Record { to: ResultTopic(1), ..expected });
        assert_eq!(replay().of(&letter(&of)), expected);
        // It failed again: its headers are there twice, and the last ones count.
        let again = [
            ("pipeline.error.class", "other"),
            ("pipeline.error.topic", "a"),
            ("pipeline.replays", "1"),
            ("pipeline.error.class", "bad"),
            ("pipeline.error.topic", "a"),
        ];
        assert_eq!(replay().of(&letter(&again)), Replayed::Sent(letter(&[("pipeline.replays", "2")])));
    }

    #[test]
    fn other_letters_stay_where_they_are() {
        let (class, topic) = (("pipeline.error.class", "bad"), ("pipeline.error.topic", "a"));
        let of = |headers: &[(&str, &'static str)]| replay().of(&letter(headers));
        let sent = |headers: &[(&str, &'static str)]| {
            let mut out = Output::default();
            replay().apply(letter(headers), &mut out).unwrap();
            out.drain().count()
        };
        assert_eq!(sent(&[("pipeline.error.class", "good"), topic]), 0);
        assert_eq!((sent(&[]), sent(&[class, topic])), (0, 1));
        assert_eq!(of(&[class, ("pipeline.error.topic", "c")]), Replayed::Elsewhere);
        assert_eq!(of(&[class]), Replayed::Elsewhere);
        assert_eq!(of(&[class, topic, ("pipeline.error.cut", "it was cut")]), Replayed::Cut);
        assert_eq!(of(&[class, topic, ("pipeline.replays", "2")]), Replayed::TooOften);
    }
}
