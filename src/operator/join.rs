//! Adds to each record what another topic says of it.

use bytes::Bytes;
use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    error::bad_value,
    evaluate::{Input, cost},
    fields, settings,
    table::{TableKind, TableOf},
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::{Record, classes},
    value::{Others, Value},
};

/// Sets a field to the newest value that a compacted topic has under a key, which an expression gives.
#[derive(Debug)]
pub struct Join {
    topic: String,
    table: TableOf,
    rows: Rows,
    by: Option<Expression>,
    into: Vec<String>,
    missing: Missing,
    /// How the record is read for `by`.
    of_key: Input,
    /// How it is read to set the field.
    whole: Input,
    output: Format,
}

/// How the values of the table are written.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Rows {
    Json,
    String,
}

/// What becomes of a record whose key the table does not have.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Missing {
    /// The field is `null`.
    Null,
    /// It is dropped.
    Drop,
    /// It is a dead letter.
    DeadLetter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The table's topic.
    topic: String,
    /// How its values are written.
    format: Option<Rows>,
    /// What is looked up; the record's key where nothing is said.
    by: Option<String>,
    /// The field that is set, with dots for one in an object.
    into: String,
    missing: Option<Missing>,
    /// Whether each key is in the same partition of both topics.
    #[serde(default)]
    copartitioned: bool,
}

impl Join {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        for (format, side) in [(&formats.input, "source"), (&formats.output, "sink")] {
            if !format.has_fields() {
                let name = format.name();
                let reason = format!(
                    "values of the format {name} have no fields; say `format = \"json\"` in `[{side}]`"
                );
                return Err(SettingError::new(None, reason));
            }
        }
        if settings.into.split('.').any(str::is_empty) {
            return Err(SettingError::new(Some("into"), "the name of a field is needed"));
        }
        if settings.copartitioned && settings.by.is_some() {
            let reason = "with `copartitioned` the record's own key is looked up, as another one may be in another partition";
            return Err(SettingError::new(Some("by"), reason));
        }
        let by =
            settings.by.map(|source| settings::expression("by", &source, Expression::new)).transpose()?;
        let of_key = Input::new(&formats, Others::Dropped, &by);
        let into: Vec<String> = settings.into.split('.').map(str::to_owned).collect();
        let mut whole = Input::new(&formats, Others::Kept, []);
        whole.want(&into.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(Box::new(Join {
            table: TableOf::new(match settings.copartitioned {
                true => TableKind::Own(settings.topic.clone()),
                false => TableKind::Newest(settings.topic.clone()),
            }),
            topic: settings.topic,
            rows: settings.format.unwrap_or(Rows::Json),
            by,
            into,
            missing: settings.missing.unwrap_or(Missing::Null),
            of_key,
            whole,
            output: formats.output,
        }))
    }

    /// What is looked up; `None` where the record has no key, or the expression gives `null`.
    fn key(&self, record: &Record, out: &Output) -> Result<Option<Bytes>, OperatorError> {
        match &self.by {
            None => Ok(record.key.clone()),
            Some(by) => fields::plain(&self.of_key.evaluate(by, record, out)?),
        }
    }

    fn row(&self, key: &Bytes, row: Bytes) -> Result<Value, OperatorError> {
        let read = match self.rows {
            Rows::Json => fields::read(&row).map(|_| Value::Json(row)),
            Rows::String => {
                String::from_utf8(row.to_vec()).map(|text| Value::String(text.into())).map_err(|error| {
                    OperatorError::BadInput { class: classes::NOT_UTF8, message: error.to_string() }
                })
            }
        };
        read.map_err(|error| match error {
            OperatorError::BadInput { class, message } => OperatorError::BadInput {
                class,
                message: format!(
                    "what `{}` has under the key {:?} cannot be read: {message}",
                    self.topic,
                    String::from_utf8_lossy(key)
                ),
            },
            other => other,
        })
    }
}

impl Operator for Join {
    fn cost(&self, record: &Record) -> Cost {
        let Cost { nanos, bytes } = cost(record);
        // What is added is about as large as what it is added to.
        Cost { nanos: nanos + 2_000, bytes: 2 * bytes }
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if record.value.is_none() {
            out.push(record);
            return Ok(());
        }
        let key = self.key(&record, out)?;
        let found = match &key {
            Some(key) => self.table.get(key, out)?.map(|row| self.row(key, row)).transpose()?,
            None => None,
        };
        let row = match (found, self.missing) {
            (Some(row), _) => row,
            (None, Missing::Null) => Value::Null,
            (None, Missing::Drop) => return Ok(()),
            (None, Missing::DeadLetter) => {
                let key = key.map_or("null".to_owned(), |key| format!("{:?}", String::from_utf8_lossy(&key)));
                return Err(OperatorError::BadInput {
                    class: classes::NOT_IN_TABLE,
                    message: format!("`{}` has nothing under the key {key}", self.topic),
                });
            }
        };
        let mut value = self.whole.scope(&record, out)?.into_value();
        fields::set(&mut value, &self.into, row)?;
        let value = self.output.write(&value).map_err(bad_value)?;
        out.push(Record { value: Some(value), ..record });
        Ok(())
    }

    fn table(&self) -> Option<&TableOf> {
        Some(&self.table)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::operator::Table;

    /// Customers.
    struct Known;

    impl Table for Known {
        fn get(&self, key: &[u8], _: Option<i32>) -> Result<Option<Bytes>, OperatorError> {
            match key {
                b"c1" => Ok(Some(r#"{"name": "Ada"}"#.into())),
                b"7" => Ok(Some("\"seven\"".into())),
                b"bad" => Ok(Some("{".into())),
                b"away" => Err(OperatorError::Away { message: "it is not read yet".to_owned() }),
                _ => Ok(None),
            }
        }
    }

    fn join(toml: &str) -> Box<dyn Operator> {
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let join = Join::build(toml.parse().unwrap(), formats).map_err(|error| error.to_string()).unwrap();
        join.table().unwrap().give(Arc::new(Known));
        join
    }

    fn joined(toml: &str, key: &'static str, value: &'static str) -> Result<Vec<String>, OperatorError> {
        let mut out = Output::default();
        let record = Record { key: Some(key.into()), value: Some(value.into()), ..Record::default() };
        join(toml).apply(record, &mut out)?;
        let text = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        Ok(out.drain().map(text).collect())
    }

    #[test]
    fn a_field_gets_what_the_table_has_under_the_key() {
        let by_key = "topic = 'customers'\ninto = 'customer'";
        assert_eq!(joined(by_key, "c1", r#"{"a": 1}"#).unwrap(), [r#"{"a":1,"customer":{"name": "Ada"}}"#]);
        assert_eq!(joined(by_key, "c2", r#"{"a":1}"#).unwrap(), [r#"{"a":1,"customer":null}"#]);
        let by = "topic = 'customers'\nby = 'value.who'\ninto = 'deep.name'\nmissing = 'drop'";
        assert_eq!(joined(by, "", r#"{"who":7}"#).unwrap(), [r#"{"who":7,"deep":{"name":"seven"}}"#]);
        assert!(joined(by, "", r#"{"who":"nobody"}"#).unwrap().is_empty());
        assert!(joined(by, "", r#"{"who":null}"#).unwrap().is_empty());
        let string = "topic = 'customers'\nformat = 'string'\ninto = 'customer'";
        assert_eq!(joined(string, "7", "{}").unwrap(), [r#"{"customer":"\"seven\""}"#]);
    }

    #[test]
    fn what_is_not_there_can_be_a_dead_letter_and_what_cannot_be_read_is_one() {
        let needed = "topic = 'customers'\ninto = 'customer'\nmissing = 'dead-letter'";
        let error = joined(needed, "c2", "{}").unwrap_err();
        assert_eq!(error.to_string(), "`customers` has nothing under the key \"c2\"");
        let error = joined(needed, "bad", "{}").unwrap_err().to_string();
        assert!(error.starts_with("what `customers` has under the key \"bad\" cannot be read: "), "{error}");
        assert!(matches!(joined(needed, "away", "{}"), Err(OperatorError::Away { .. })), "it is tried again");
    }

    #[test]
    fn values_without_fields_are_refused() {
        let error =
            Join::build("topic = 'a'\ninto = 'b'".parse().unwrap(), Formats::default()).err().unwrap();
        assert!(error.reason.contains("say `format = \"json\"` in `[source]`"), "{}", error.reason);
        let formats = Formats { input: Format::Json, output: Format::Json, ..Formats::default() };
        let error = Join::build("topic = 'a'\ninto = 'b.'".parse().unwrap(), formats).err().unwrap();
        assert_eq!(error.key.as_deref(), Some("into"));
    }
}
