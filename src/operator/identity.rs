//! Passes every record on as it came.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{Built, Operator, OperatorError, Output, settings};
use crate::{format::Formats, record::Record};

/// Passes every record on as it came.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(internals), doc(hidden))]
pub struct Identity {}

impl Identity {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Identity>()
    }

    pub(super) fn build(table: toml::Table, _: Formats) -> Built {
        let identity: Identity = settings::read(table)?;
        Ok(Box::new(identity))
    }
}

impl Operator for Identity {
    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        out.push(record);
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }
}
