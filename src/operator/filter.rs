//! Drops the records for which a condition does not hold.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    evaluate::{Input, cost},
    number::number,
    settings,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{Record, classes},
    value::Others,
};

/// Hands on, as they came, the records for which every condition holds, and drops the others.
///
/// With `min` or `max` the value must be a number in the source's format; one that is not is bad input, and
/// becomes a dead letter rather than vanishing.
#[cfg_attr(not(internals), doc(hidden))]
#[derive(Debug)]
pub struct Filter {
    settings: Settings,
    format: Format,
    when: Option<(Expression, Input)>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// An expression that must hold.
    when: Option<String>,
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
        if settings.when.is_none()
            && settings.min.is_none()
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
        if (settings.min.is_some() || settings.max.is_some()) && !formats.input.has_numbers() {
            let key = if settings.min.is_some() { "min" } else { "max" };
            let reason =
                format!("values of the format {} are no numbers; say it in `when`", formats.input.name());
            return Err(SettingError::new(Some(key), reason));
        }
        let when = match &settings.when {
            None => None,
            Some(source) => {
                let when = settings::expression("when", source, Expression::condition)?;
                let input = Input::new(&formats, Others::Dropped, [&when]);
                Some((when, input))
            }
        };
        Ok(Box::new(Filter { settings, format: formats.input, when }))
    }

    fn holds(&self, record: &Record, out: &Output) -> Result<bool, OperatorError> {
        let Settings { min, max, key_prefix, header, .. } = &self.settings;
        let begins =
            |prefix: &String| record.key.as_ref().is_some_and(|key| key.starts_with(prefix.as_bytes()));
        let has = |header: &HeaderIs| record.headers.get(&header.name) == Some(header.equals.as_bytes());
        if !key_prefix.as_ref().is_none_or(begins) || !header.as_ref().is_none_or(has) {
            return Ok(false);
        }
        if min.is_some() || max.is_some() {
            let n = number(record, &self.format).map_err(|error| self.say_it_in_when(error))?;
            if !min.is_none_or(|min| n >= min) || !max.is_none_or(|max| n <= max) {
                return Ok(false);
            }
        }
        match &self.when {
            None => Ok(true),
            Some((when, input)) => input.holds(when, record, out),
        }
    }
}

impl Filter {
    /// Whoever writes `min` for objects has a field in mind.
    fn say_it_in_when(&self, error: OperatorError) -> OperatorError {
        match error {
            OperatorError::BadInput { class: classes::NOT_A_NUMBER, message } if self.format.has_fields() => {
                let message =
                    format!("{message}. Another field is compared in `when`, such as `value.amount > 100`");
                OperatorError::BadInput { class: classes::NOT_A_NUMBER, message }
            }
            other => other,
        }
    }
}

impl Operator for Filter {
    fn cost(&self, record: &Record) -> Cost {
        match &self.when {
            None => Cost { nanos: 100, bytes: record.size() as u64 },
            Some(_) => cost(record),
        }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if self.holds(&record, out)? {
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
    fn bounds_on_json_say_what_they_need_and_where_else_a_field_is_compared() {
        let json = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let filter =
            Filter::build("min = 5".parse().unwrap(), json).map_err(|error| error.to_string()).unwrap();
        let message =
            filter.apply(value(r#"{"amount": 7}"#), &mut Output::default()).unwrap_err().to_string();
        let said = r#"the value is not a number: "{\"amount\": 7}"; it has to be a number, or an object with one in the field `n`: {"n": 30}. Another field is compared in `when`, such as `value.amount > 100`"#;
        assert_eq!(message, said);
    }

    #[test]
    fn an_expression_is_a_condition_beside_the_short_ones() {
        let json = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let build = |toml: &str| Filter::build(toml.parse().unwrap(), json.clone());
        let filter = build("when = \"value.amount > 100 || headers.vip == 'yes'\"\nkey_prefix = 'eu-'");
        let filter = filter.map_err(|error| error.to_string()).unwrap();
        let passes = |key: &'static str, value: &'static str| {
            let mut out = Output::default();
            let record = Record { key: Some(key.into()), ..self::value(value) };
            filter
                .apply(record, &mut out)
                .map(|()| out.drain().count() == 1)
                .map_err(|error| error.to_string())
        };
        assert_eq!(passes("eu-1", r#"{"amount": 100.5}"#), Ok(true));
        assert_eq!(passes("us-1", r#"{"amount": 100.5}"#), Ok(false));
        assert_eq!(passes("us-1", "no JSON"), Ok(false), "what another condition drops is not looked into");
        assert_eq!(
            passes("eu-1", r#"{"amount": 1}"#),
            Err("`value.amount > 100 || headers.vip == 'yes'`, column 30: there is no field `vip`".to_owned())
        );
        let error = build("when = 'value.amount + 1 > 5 &&'").err().unwrap();
        assert_eq!(error.key.as_deref(), Some("when"));
        let error = Filter::build(
            "max = 5".parse().unwrap(),
            Formats { input: Format::Bytes, output: Format::Bytes, ..Formats::default() },
        );
        assert_eq!(
            error.err().unwrap().reason,
            "values of the format bytes are no numbers; say it in `when`"
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
