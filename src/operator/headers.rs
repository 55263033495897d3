//! Sets and removes headers.

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    evaluate::{Input, cost, failed},
    fields, settings,
};
use crate::{expression::Expression, format::Formats, record::Record, value::Others};

/// Sets headers to what expressions give, written as a key would be; null sets none. All expressions see the record as it came.
#[derive(Debug)]
pub struct SetHeaders {
    set: Vec<(String, Expression)>,
    remove: Vec<String>,
    input: Input,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Expressions by the header's name.
    set: Option<toml::Table>,
    /// The names of headers that are taken out.
    remove: Option<Vec<String>>,
}

impl SetHeaders {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let Settings { set, remove } = settings::read(table)?;
        if set.is_none() && remove.is_none() {
            return Err(SettingError::new(None, "there are no headers to `set` or `remove`"));
        }
        let mut expressions = Vec::new();
        for (name, value) in set.unwrap_or_default() {
            let key = format!("set.{name}");
            let toml::Value::String(source) = value else {
                let reason = "an expression in quotes is needed; write a name with dots in quotes too";
                return Err(SettingError::new(Some(&key), reason));
            };
            expressions.push((name, settings::expression(&key, &source, Expression::new)?));
        }
        let input =
            Input::new(&formats, Others::Dropped, expressions.iter().map(|(_, expression)| expression));
        Ok(Box::new(SetHeaders { set: expressions, remove: remove.unwrap_or_default(), input }))
    }
}

impl Operator for SetHeaders {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        let scope = self.input.scope(&record, out)?;
        let mut headers = record.headers.clone();
        headers.retain(|header| !self.remove.contains(&header.name));
        for (name, expression) in &self.set {
            if let Some(value) = fields::plain(&expression.evaluate(&scope).map_err(failed)?)? {
                headers.set(name, value);
            }
        }
        out.push(Record { headers, ..record });
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
    use crate::record::Headers;

    fn build(toml: &str) -> Built {
        SetHeaders::build(
            toml.parse().unwrap(),
            Formats { input: Format::Json, output: Format::Json, ..Formats::default() },
        )
    }

    #[test]
    fn headers_are_set_once_and_removed_and_the_others_stay_in_order() {
        let operator = build(
            r#"
                set.tier = "headers.tier == 'gold' ? 'a' : 'b'"
                set."x.city" = "value.city"
                set.none = "null"
                remove = ["old"]
            "#,
        );
        let record = Record {
            value: Some(r#"{"city":"Ulm"}"#.into()),
            headers: [("old", "1"), ("tier", "free"), ("z", "1"), ("tier", "gold"), ("old", "2")]
                .into_iter()
                .collect(),
            ..Record::default()
        };
        let mut out = Output::default();
        operator.map_err(|error| error.to_string()).unwrap().apply(record, &mut out).unwrap();
        let made: Vec<Record> = out.drain().collect();
        let expected: Headers = [("tier", "a"), ("z", "1"), ("x.city", "Ulm")].into_iter().collect();
        assert_eq!(made[0].headers, expected);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert_eq!(build("").err().unwrap().reason, "there are no headers to `set` or `remove`");
        let nested = build("set.x.city = '1'").err().unwrap();
        assert_eq!(nested.key.as_deref(), Some("set.x"));
        assert_eq!(build("set.a = 'foo(1)'").err().unwrap().reason, "there is no function `foo`");
    }
}
