//! Which dead letters are meant: what all actions of `pipeline dead-letters` are asked for.

use sha2::{Digest, Sha256};

use super::{OperatorError, Output, SettingError, evaluate::Input, settings};
use crate::{
    expression::Expression,
    format::{Format, Formats, Keys},
    record::{Offset, Record, TopicPartition, error},
    value::Others,
};

/// What a dead letter must be. All of it must hold; what is not said holds for each.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Default, Debug)]
pub struct LetterFilter {
    /// Its class.
    pub class: Option<String>,
    /// Its record is of this time or later, in milliseconds since 1970 UTC.
    pub since: Option<i64>,
    /// Its record is of an earlier time.
    pub until: Option<i64>,
    /// Its record's key.
    pub key: Option<String>,
    /// Headers that it has, with their values; of several with one name, the last counts.
    pub headers: Vec<(String, String)>,
    /// What must hold for its record.
    pub when: Option<LetterCondition>,
}

impl LetterFilter {
    /// Whether a dead letter is meant.
    ///
    /// # Errors
    /// It cannot be told now, as what has to be asked for a schema does not answer. A record that is none of its format is not
    /// meant, and neither is one for which the expression has no result.
    pub fn takes(&self, letter: &Record) -> Result<bool, OperatorError> {
        let is = |name: &str, wanted: &str| letter.headers.get(name) == Some(wanted.as_bytes());
        let takes = self.class.as_ref().is_none_or(|class| is(error::CLASS, class))
            && self.since.is_none_or(|since| letter.timestamp.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| letter.timestamp.is_some_and(|time| time < until))
            && self.key.as_ref().is_none_or(|key| letter.key.as_deref() == Some(key.as_bytes()))
            && self.headers.iter().all(|(name, value)| is(name, value));
        match &self.when {
            Some(when) if takes => when.holds(letter),
            _ => Ok(takes),
        }
    }

    /// A name that another filter does not have, and the same filter always has: the class where nothing else is said, otherwise with
    /// a hash of all.
    pub fn name(&self) -> String {
        let LetterFilter { class, since, until, key, headers, when } = self;
        let mut parts: Vec<(String, String)> = Vec::new();
        let mut part = |name: &str, value: Option<String>| {
            parts.extend(value.map(|value| (name.to_owned(), value)));
        };
        part("since", since.map(|time| time.to_string()));
        part("until", until.map(|time| time.to_string()));
        part("key", key.clone());
        part("when", when.as_ref().map(|when| when.expression.source().to_owned()));
        // Read in another format, other records match.
        part("formats", when.as_ref().map(LetterCondition::formats));
        parts.extend(headers.iter().map(|(name, value)| (format!("header {name}"), value.clone())));
        let class = class.clone().unwrap_or_default();
        if parts.is_empty() {
            return class;
        }
        parts.push(("class".to_owned(), class.clone()));
        // The order in which headers were given says nothing.
        parts.sort();
        parts.dedup();
        let mut hash = Sha256::new();
        for text in parts.iter().flat_map(|(name, value)| [name, value]) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let hash: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        if class.is_empty() { hash } else { format!("{class}-{hash}") }
    }
}

/// What must hold for a dead letter's record, as it was in its source topic.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct LetterCondition {
    expression: Expression,
    /// How the records of some topics are read, and those of all others.
    topics: Vec<(String, Format, Input)>,
    others: (Format, Input),
}

impl LetterCondition {
    /// An expression, over records whose values and keys have these formats.
    ///
    /// # Errors
    /// What is wrong with the expression, and where.
    pub fn new(
        source: &str,
        topics: &[(String, Format)],
        others: &Format,
        keys: Option<&Format>,
    ) -> Result<Self, SettingError> {
        let expression = settings::expression("when", source, Expression::condition)?;
        let input = |format: &Format| {
            let keys = Keys { input: keys.cloned(), output: None };
            let formats = Formats { input: format.clone(), output: Format::Bytes, keys };
            Input::new(&formats, Others::Dropped, [&expression])
        };
        let topics =
            topics.iter().map(|(topic, format)| (topic.clone(), format.clone(), input(format))).collect();
        let others = (others.clone(), input(others));
        Ok(LetterCondition { expression, topics, others })
    }

    fn holds(&self, letter: &Record) -> Result<bool, OperatorError> {
        let mut record = letter.clone();
        record.headers.retain(|header| !header.name.starts_with(error::PREFIX));
        let topic = letter.headers.text(error::TOPIC).unwrap_or_default();
        let own = self.topics.iter().find(|(name, ..)| name == topic);
        let input = own.map_or(&self.others.1, |(_, _, input)| input);
        // Where the record was, not its letter.
        let partition = letter.headers.number(error::PARTITION).unwrap_or_default();
        let offset = letter.headers.number(error::OFFSET).unwrap_or_default();
        let mut out = Output::default();
        out.set_place(&TopicPartition::new(topic, partition), Offset(offset));
        match input.holds(&self.expression, &record, &out) {
            Err(OperatorError::BadInput { .. }) => Ok(false),
            told => told,
        }
    }

    fn formats(&self) -> String {
        let topics = self.topics.iter().map(|(topic, format, _)| format!("{topic}={} ", format.name()));
        topics.chain([self.others.0.name().to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(value: &'static str) -> Record {
        let headers = [
            ("tier", "free"),
            ("tier", "gold"),
            (error::CLASS, "bad"),
            (error::TOPIC, "orders"),
            (error::PARTITION, "3"),
            (error::OFFSET, "70"),
        ];
        Record {
            key: Some("eu-1".into()),
            value: Some(value.into()),
            headers: headers.into_iter().collect(),
            timestamp: Some(1_000),
            ..Record::default()
        }
    }

    fn when(source: &str) -> LetterFilter {
        let topics = [("texts".to_owned(), Format::String)];
        let when = LetterCondition::new(source, &topics, &Format::Json, None).unwrap();
        LetterFilter { when: Some(when), ..LetterFilter::default() }
    }

    fn headers(headers: &[(&str, &str)]) -> LetterFilter {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LetterFilter { headers, ..LetterFilter::default() }
    }

    #[test]
    fn all_that_is_said_must_hold() {
        let takes = |filter: LetterFilter| filter.takes(&letter("1")).unwrap();
        let of = LetterFilter::default;
        assert!(takes(of()));
        for (class, expected) in [("bad", true), ("ba", false)] {
            assert_eq!(takes(LetterFilter { class: Some(class.to_owned()), ..of() }), expected);
        }
        for (key, expected) in [("eu-1", true), ("eu", false)] {
            assert_eq!(takes(LetterFilter { key: Some(key.to_owned()), ..of() }), expected);
        }
        let during = |since, until| takes(LetterFilter { since, until, ..of() });
        assert!(during(Some(1_000), Some(1_001)) && during(Some(1_000), None) && during(None, Some(1_001)));
        assert!(!during(Some(1_001), None) && !during(None, Some(1_000)), "the end is no part of it");
        assert!(takes(headers(&[("tier", "gold")])), "the last one counts");
        assert!(!takes(headers(&[("tier", "free")])));
        assert!(takes(headers(&[("tier", "gold"), (error::TOPIC, "orders")])));
        assert!(!takes(headers(&[("tier", "gold"), (error::TOPIC, "bills")])));
        let both = |key: &str| LetterFilter { key: Some(key.to_owned()), ..headers(&[("tier", "gold")]) };
        assert!(takes(both("eu-1")) && !takes(both("eu-2")));
        let timeless = Record { timestamp: None, ..letter("1") };
        assert_eq!(LetterFilter { since: Some(0), ..of() }.takes(&timeless), Ok(false));
    }

    #[test]
    fn an_expression_sees_the_record_as_it_was_in_its_topic() {
        let takes = |source: &str, letter: &Record| when(source).takes(letter).unwrap();
        assert!(takes("value.amount > 100", &letter(r#"{"amount": 101}"#)));
        assert!(!takes("value.amount > 100", &letter(r#"{"amount": 100}"#)));
        assert!(takes("topic == 'orders' && partition == 3 && offset == 70", &letter("{}")));
        assert!(takes("size(headers) == 1 && headers.tier == 'gold'", &letter("{}")), "its own headers");
        assert!(takes("key.startsWith('eu-')", &letter("no JSON")), "the value is not looked into");
        let mut text = letter("no JSON");
        text.headers.push(error::TOPIC, Some("texts".into()));
        assert!(takes("value == 'no JSON'", &text), "this topic has another format");
    }

    #[test]
    fn a_record_of_which_an_expression_says_nothing_does_not_match() {
        for source in ["value.amount > 100", "!(value.amount > 100)"] {
            for value in ["no JSON", r#"{"other": 1}"#, r#"{"amount": "many"}"#] {
                assert_eq!(when(source).takes(&letter(value)), Ok(false), "{source}: {value}");
            }
        }
        let tombstone = Record { value: None, ..letter("") };
        assert_eq!(when("value.amount > 100").takes(&tombstone), Ok(false));
        assert_eq!(when("value == null").takes(&tombstone), Ok(true));
        let error = LetterCondition::new("value.amount >", &[], &Format::Json, None).err().unwrap();
        assert_eq!(error.key.as_deref(), Some("when"));
    }

    #[test]
    fn a_filter_s_name_is_its_own_and_stays() {
        let class = |class: &str| LetterFilter { class: Some(class.to_owned()), ..LetterFilter::default() };
        let key = |key: &str| LetterFilter { key: Some(key.to_owned()), ..class("bad") };
        // Groups of these names have positions.
        assert_eq!(class("bad").name(), "bad");
        assert_eq!(key("a").name(), "bad-9ef33085c975");
        let text = LetterCondition::new("value == 1", &[], &Format::String, None).unwrap();
        let filters = [
            class("bad"),
            key("a"),
            key("b"),
            LetterFilter { since: Some(1), ..class("bad") },
            LetterFilter { until: Some(1), ..class("bad") },
            LetterFilter { since: Some(1), ..LetterFilter::default() },
            headers(&[("a", "b")]),
            headers(&[("a", "b"), ("a", "c")]),
            headers(&[("key", "a")]),
            LetterFilter { class: None, ..key("a") },
            when("value == 1"),
            when("value == 2"),
            LetterFilter { when: Some(text), ..LetterFilter::default() },
        ];
        let names: std::collections::BTreeSet<String> = filters.iter().map(LetterFilter::name).collect();
        assert_eq!(names.len(), filters.len(), "{names:?}");
        let swapped = headers(&[("a", "c"), ("a", "b"), ("a", "b")]);
        assert_eq!(swapped.name(), headers(&[("a", "b"), ("a", "c")]).name());
    }
}
