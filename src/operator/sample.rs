//! Passes a part of the records on.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;
use sha2::{Digest, Sha256};

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    evaluate::{Input, cost},
    fields, settings,
};
use crate::{expression::Expression, format::Formats, record::Record, value::Others};

/// Passes on about as many records as `rate` says. Which ones is no chance: it follows from what the expression `by` gives (the
/// record's key and value where there is none), so that a record that is done again is decided the same way, and all records
/// with one key can go or stay together.
#[derive(Debug)]
pub struct Sample {
    /// What a record's number, from 0 to 2^64, must be below.
    below: u128,
    by: Option<Expression>,
    input: Input,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The part that is passed on, from 0 to 1.
    rate: f64,
    /// What is decided by.
    by: Option<String>,
}

impl Sample {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let Settings { rate, by } = settings::read(table)?;
        if !(0.0..=1.0).contains(&rate) {
            return Err(SettingError::new(Some("rate"), format!("{rate} is not between 0 and 1")));
        }
        let by = by.map(|source| settings::expression("by", &source, Expression::new)).transpose()?;
        let input = Input::new(&formats, Others::Dropped, &by);
        Ok(Box::new(Sample { below: (rate * 2_f64.powi(64)) as u128, by, input }))
    }

    fn number(&self, record: &Record, out: &Output) -> Result<u64, OperatorError> {
        let mut hash = Sha256::new();
        match &self.by {
            Some(by) => {
                let by = self.input.evaluate(by, record, out)?;
                hash.update(fields::plain(&by)?.unwrap_or_default());
            }
            None => {
                hash.update((record.key.as_ref().map_or(0, |key| key.len()) as u64).to_le_bytes());
                hash.update(record.key.as_deref().unwrap_or_default());
                hash.update(record.value.as_deref().unwrap_or_default());
            }
        }
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Ok(u64::from_le_bytes(first))
    }
}

impl Operator for Sample {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if u128::from(self.number(&record, out)?) < self.below {
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

    fn kept(toml: &str) -> Vec<String> {
        let operator =
            Sample::build(toml.parse().unwrap(), Formats::default()).map_err(|error| error.to_string());
        let operator = operator.unwrap();
        let mut out = Output::default();
        for n in 0..1_000 {
            let key = format!("{}", n % 100).into();
            operator
                .apply(
                    Record { key: Some(key), value: Some(n.to_string().into()), ..Record::default() },
                    &mut out,
                )
                .unwrap();
        }
        out.drain().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn about_as_many_are_kept_as_it_says_and_always_the_same() {
        let some = kept("rate = 0.3");
        assert!((240..360).contains(&some.len()), "{}", some.len());
        assert_eq!(some, kept("rate = 0.3"));
        assert_eq!((kept("rate = 0.0").len(), kept("rate = 1.0").len()), (0, 1_000));
    }

    #[test]
    fn records_with_one_key_stay_together() {
        let some = kept("rate = 0.3\nby = 'key'");
        assert!(some.len() > 100 && some.len().is_multiple_of(10), "{}", some.len());
        let first: usize = some[0].parse().unwrap();
        assert_eq!(
            some.iter().filter(|value| value.parse::<usize>().unwrap() % 100 == first % 100).count(),
            10
        );
    }

    #[test]
    fn a_rate_beyond_all_is_refused() {
        let error = Sample::build("rate = 2.0".parse().unwrap(), Formats::default()).err().unwrap();
        assert_eq!(error.reason, "2 is not between 0 and 1");
    }
}
