use serde::Deserialize;

use super::{Operator, OperatorError, Output, registry::Built};
use crate::{format::Formats, record::Record};

/// Passes every record on as it came.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Identity {}

impl Identity {
    /// The settings' names; there are none.
    pub const SETTINGS: &[&str] = &[];

    pub(super) fn build(settings: toml::Table, _: Formats) -> Built {
        let identity: Identity = settings.try_into()?;
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
