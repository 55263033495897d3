//! Drops the records for which a condition does not hold.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{Built, Operator, OperatorError, Output, SettingError, number::number, settings};
use crate::{
    format::{Format, Formats},
    record::Record,
};

/// Hands on, as they came, the records for which every condition holds, and drops the others.
///
/// With `min` or `max` the value must be a number in the source's format; one that is not is bad input, and
/// becomes a dead letter rather than vanishing.
#[derive(Debug)]
pub struct Filter {
    settings: Settings,
    input: Format,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The smallest number that is handed on.
    min: Option<u64>,
    /// The largest.
    max: Option<u64>,
    /// What the key must begin with.
    key_prefix: Option<String>,
    /// The header that a record must have.
    header: Option<HeaderIs>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct HeaderIs {
    name: String,
    equals: String,
}

impl Filter {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        if settings.min.is_none()
            && settings.max.is_none()
            && settings.key_prefix.is_none()
            && settings.header.is_none()
        {
            return Err(SettingError::new(None, "a filter without a condition drops nothing"));
        }
        if settings.min.zip(settings.max).is_some_and(|(min, max)| min > max) {
            let reason = "`min` is above `max`, so that everything would be dropped";
            return Err(SettingError::new(Some("min"), reason));
        }
        Ok(Box::new(Filter { settings, input: formats.input }))
    }

    fn holds(&self, record: &Record) -> Result<bool, OperatorError> {
        let Settings { min, max, key_prefix, header } = &self.settings;
        let begins =
            |prefix: &String| record.key.as_ref().is_some_and(|key| key.starts_with(prefix.as_bytes()));
        let has = |header: &HeaderIs| record.headers.get(&header.name) == Some(header.equals.as_bytes());
        if !key_prefix.as_ref().is_none_or(begins) || !header.as_ref().is_none_or(has) {
            return Ok(false);
        }
        if min.is_none() && max.is_none() {
            return Ok(true);
        }
        let n = number(record, self.input)?;
        Ok(min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max))
    }
}

impl Operator for Filter {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if self.holds(&record)? {
            out.push(record);
        }
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(toml: &str) -> Built {
        Filter::build(toml.parse().unwrap(), Formats::default())
    }

    fn passed(toml: &str, record: &Record) -> bool {
        let mut out = Output::default();
        let filter = filter(toml).map_err(|error| error.to_string()).unwrap();
        filter.apply(record.clone(), &mut out).unwrap();
        let passed: Vec<Record> = out.drain().collect();
        assert!(passed.is_empty() || passed == [record.clone()], "changed: {passed:?}");
        !passed.is_empty()
    }

    fn value(value: &'static str) -> Record {
        Record { value: Some(value.into()), ..Record::default() }
    }

    #[test]
    fn both_bounds_are_inclusive() {
        let between = |n| passed("min = 5\nmax = 10", &value(n));
        assert_eq!(["4", "5", "10", "11"].map(between), [false, true, true, false]);
    }

    #[test]
    fn a_key_and_a_header_are_compared_as_bytes() {
        let record = Record {
            key: Some("user-7".into()),
            headers: [("tier", "free"), ("tier", "gold")].into_iter().collect(),
            ..Record::default()
        };
        assert!(passed("key_prefix = 'user-'", &record));
        assert!(!passed("key_prefix = 'admin-'", &record));
        assert!(!passed("key_prefix = 'user-'", &Record::default()), "no key has no prefix");
        assert!(passed("header = { name = 'tier', equals = 'gold' }", &record), "the last header counts");
        assert!(!passed("header = { name = 'tier', equals = 'free' }", &record));
        assert!(
            !passed("key_prefix = 'user-'\nheader = { name = 'tier', equals = 'free' }", &record),
            "all must hold"
        );
    }

    #[test]
    fn a_value_that_is_no_number_is_bad_input_if_a_bound_has_to_be_compared() {
        let bounded = filter("max = 5").map_err(|error| error.to_string()).unwrap();
        for (record, class) in [(value("five"), "not-a-number"), (Record::default(), "tombstone")] {
            match bounded.apply(record, &mut Output::default()) {
                Err(OperatorError::BadInput { class: found, .. }) => assert_eq!(found, class),
                other => panic!("{other:?}"),
            }
        }
        assert!(
            !passed("key_prefix = 'a'\nmax = 5", &value("five")),
            "what another condition drops is not looked into"
        );
    }

    #[test]
    fn conditions_that_make_no_sense_are_refused() {
        let refused = |toml| filter(toml).err().map(|error| error.reason);
        assert_eq!(refused("").as_deref(), Some("a filter without a condition drops nothing"));
        assert_eq!(
            refused("min = 5\nmax = 4").as_deref(),
            Some("`min` is above `max`, so that everything would be dropped")
        );
    }
}
