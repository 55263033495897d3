//! Gives each record another key.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output,
    evaluate::{Input, cost},
    fields, settings,
};
use crate::{expression::Expression, format::Formats, record::Record, value::Others};

/// Sets the key to what an expression gives: text and bytes as they are, anything else as JSON, and no key for null. Results go
/// to the partition of their new key.
#[derive(Debug)]
pub struct SetKey {
    to: Expression,
    input: Input,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The new key.
    to: String,
}

impl SetKey {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        let to = settings::expression("to", &settings.to, Expression::new)?;
        let input = Input::new(formats.input, Others::Dropped, [&to]);
        Ok(Box::new(SetKey { to, input }))
    }
}

impl Operator for SetKey {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let key = self.input.evaluate(&self.to, &record, out)?;
        let key = fields::plain(&key)?;
        out.push(Record { key, ..record });
        Ok(())
    }

    fn keeps_value(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    fn key(to: &str, value: &'static str) -> Option<String> {
        let table = toml::Table::from_iter([("to".to_owned(), to.into())]);
        let formats = Formats { input: Format::Json, output: Format::Json };
        let operator = SetKey::build(table, formats).map_err(|error| error.to_string()).unwrap();
        let mut out = Output::default();
        let record = Record { key: Some("k".into()), value: Some(value.into()), ..Record::default() };
        operator.apply(record, &mut out).unwrap();
        let [made] = &out.drain().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(made.value.as_deref(), Some(value.as_bytes()), "the value stays as it came");
        made.key.as_deref().map(|key| String::from_utf8(key.to_vec()).unwrap())
    }

    #[test]
    fn a_key_is_text_as_it_is_and_anything_else_as_json() {
        assert_eq!(key("value.id", r#"{"id": "a\n"}"#).as_deref(), Some("a\n"));
        assert_eq!(key("value.id", r#"{"id": 7}"#).as_deref(), Some("7"));
        assert_eq!(key("value.id", r#"{"id": null}"#), None);
        assert_eq!(key("key + '-' + value.id", r#"{"id": "7"}"#).as_deref(), Some("k-7"));
        assert_eq!(key("{'b': 1, 'a': value.id}", r#"{"id": "7"}"#).as_deref(), Some(r#"{"b":1,"a":"7"}"#));
    }
}
