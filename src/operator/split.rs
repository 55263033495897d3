//! Makes many records of one.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output,
    error::bad_value,
    evaluate::{Input, cost},
    fields, settings,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{INDEX, Record, classes},
    value::{Others, Value},
};

/// Makes a record of each element of a list, in order, with the key, headers and timestamp of the record that had it. The
/// header `pipeline.index` counts them, from 0. An empty list makes none.
#[derive(Debug)]
pub struct Split {
    into: Expression,
    input: Input,
    output: Format,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The list.
    into: String,
}

impl Split {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        let into = settings::expression("into", &settings.into, Expression::new)?;
        let input = Input::new(&formats, Others::Dropped, [&into]);
        Ok(Box::new(Split { into, input, output: formats.output }))
    }
}

impl Operator for Split {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let mut list = self.input.evaluate(&self.into, &record, out)?;
        if let Value::Json(text) = &list {
            list = fields::read(text)?;
        }
        let Value::Array(elements) = list else {
            let message = format!("`{}` is {}, and a list is needed", self.into.source(), list.kind());
            return Err(OperatorError::BadInput { class: classes::NOT_A_LIST, message });
        };
        for (index, element) in elements.iter().enumerate() {
            let value = self.output.write(element).map_err(bad_value)?;
            let mut headers = record.headers.clone();
            headers.set(INDEX, index.to_string().into());
            out.push(Record { value: Some(value), headers, ..record.clone() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(into: &str, value: &'static str) -> Result<Vec<Record>, OperatorError> {
        let table = toml::Table::from_iter([("into".to_owned(), into.into())]);
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let operator = Split::build(table, formats).map_err(|error| error.to_string()).unwrap();
        let record = Record {
            key: Some("k".into()),
            value: Some(value.into()),
            headers: [("h", "1")].into_iter().collect(),
            timestamp: Some(7),
            ..Record::default()
        };
        let mut out = Output::default();
        operator.apply(record, &mut out)?;
        Ok(out.drain().collect())
    }

    fn element(index: &'static str, value: &'static str) -> Record {
        Record {
            key: Some("k".into()),
            value: Some(value.into()),
            headers: [("h", "1"), ("pipeline.index", index)].into_iter().collect(),
            timestamp: Some(7),
            ..Record::default()
        }
    }

    #[test]
    fn each_element_is_a_record_with_its_place() {
        let made = split("value.items", r#"{"items": [{"a":1.50}, 2]}"#).unwrap();
        assert_eq!(made, [element("0", r#"{"a":1.50}"#), element("1", "2")]);
        let made =
            split("value.items.map(i, {'id': value.id, 'item': i})", r#"{"id":7,"items":["x"]}"#).unwrap();
        assert_eq!(made, [element("0", r#"{"id":7,"item":"x"}"#)]);
        assert_eq!(split("value.items", r#"{"items": []}"#).unwrap(), []);
    }

    #[test]
    fn what_is_no_list_is_bad_input() {
        let error = split("value.items", r#"{"items": {"a": 1}}"#).unwrap_err();
        assert_eq!(error.to_string(), "`value.items` is an object, and a list is needed");
    }
}
