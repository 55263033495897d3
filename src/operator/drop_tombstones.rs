//! Drops records without a value.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{Built, Operator, OperatorError, Output, settings};
use crate::{format::Formats, record::Record};

/// Drops tombstones, and passes all other records on as they came.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct DropTombstones {}

impl DropTombstones {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<DropTombstones>()
    }

    pub(super) fn build(table: toml::Table, _: Formats) -> Built {
        let operator: DropTombstones = settings::read(table)?;
        Ok(Box::new(operator))
    }
}

impl Operator for DropTombstones {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if record.value.is_some() {
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

    #[test]
    fn only_what_has_no_value_is_dropped() {
        let empty = Record { value: Some("".into()), ..Record::default() };
        let mut out = Output::default();
        for record in [empty.clone(), Record::default()] {
            DropTombstones {}.apply(record, &mut out).unwrap();
        }
        assert_eq!(out.drain().collect::<Vec<_>>(), [empty], "an empty value is one");
    }
}
