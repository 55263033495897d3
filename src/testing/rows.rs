//! What a case says of the topics that operators look into.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    config::{Pipeline, TestCase},
    operator::{OperatorError, Table},
};

/// The values of one topic, by their keys.
struct Rows(BTreeMap<Bytes, Bytes>);

impl Table for Rows {
    fn get(&self, key: &[u8], _: Option<i32>) -> Result<Option<Bytes>, OperatorError> {
        Ok(self.0.get(key).cloned())
    }
}

/// Each operator that looks into a topic finds there what the case has of it from now on, and nothing of the case before.
pub fn give(pipeline: &Pipeline, case: &TestCase) {
    for table in pipeline.tables() {
        let Some(topic) = table.newest() else { continue };
        let rows = case.tables.get(topic).into_iter().flatten();
        let rows = rows.map(|(key, value)| (key.clone().into(), value.clone().into())).collect();
        table.give(Arc::new(Rows(rows)));
    }
}
