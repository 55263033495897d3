//! Makes another value of each record's.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_aux::serde_introspection::serde_introspect;

use super::{
    Built, Cost, Operator, OperatorError, Output, SettingError,
    error::bad_value,
    evaluate::{Input, cost, failed},
    fields, settings,
};
use crate::{
    expression::Expression,
    format::{Format, Formats},
    record::Record,
    value::{Others, Value},
};

/// Replaces the value by what an expression gives, or sets and removes fields of it. All expressions see the record as it
/// came. Fields that are not touched stay as they were written. A tombstone has no fields, and goes on as it came.
#[derive(Debug)]
pub struct Map {
    change: Change,
    input: Input,
    output: Format,
}

#[derive(Debug)]
enum Change {
    Whole(Expression),
    Fields { set: Vec<(Vec<String>, Expression)>, remove: Vec<Vec<String>> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The new value.
    value: Option<String>,
    /// The fields that are set: expressions by name, in tables for objects in objects.
    set: Option<toml::Table>,
    /// The fields that are taken out, with dots for those in objects.
    remove: Option<Vec<String>>,
}

impl Map {
    pub(super) fn settings() -> &'static [&'static str] {
        serde_introspect::<Settings>()
    }

    pub(super) fn build(table: toml::Table, formats: Formats) -> Built {
        let settings: Settings = settings::read(table)?;
        let (change, input) = match (settings.value, settings.set, settings.remove) {
            (Some(source), None, None) => {
                let expression = settings::expression("value", &source, Expression::new)?;
                let input = Input::new(&formats, Others::Dropped, [&expression]);
                (Change::Whole(expression), input)
            }
            (None, None, None) => {
                let reason = "a map needs `value`, or fields to `set` or `remove`";
                return Err(SettingError::new(None, reason));
            }
            (Some(_), ..) => {
                let reason = "a new value leaves no fields to `set` or `remove`; do that in a second map";
                return Err(SettingError::new(Some("value"), reason));
            }
            (None, set, remove) => fields_of(set.unwrap_or_default(), remove.unwrap_or_default(), &formats)?,
        };
        Ok(Box::new(Map { change, input, output: formats.output }))
    }
}

fn fields_of(
    set: toml::Table,
    remove: Vec<String>,
    formats: &Formats,
) -> Result<(Change, Input), SettingError> {
    let Formats { input: format, output, .. } = formats;
    if !format.has_fields() {
        let reason = format!(
            "values of the format {} have no fields; say `format = \"json\"` in `[source]`, or make a new `value`",
            format.name()
        );
        return Err(SettingError::new(None, reason));
    }
    if !output.has_fields() {
        let reason = format!(
            "an object cannot be written in the format {}; say `format = \"json\"` in `[sink]`",
            output.name()
        );
        return Err(SettingError::new(None, reason));
    }
    let mut expressions = Vec::new();
    flatten(&mut Vec::new(), set, &mut expressions)?;
    let remove: Vec<Vec<String>> =
        remove.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
    let both: BTreeSet<&Vec<String>> = expressions.iter().map(|(path, _)| path).collect();
    if let Some(path) = remove.iter().find(|path| both.contains(path)) {
        let reason = format!("`{}` is set as well", path.join("."));
        return Err(SettingError::new(Some("remove"), reason));
    }
    let mut input = Input::new(formats, Others::Kept, expressions.iter().map(|(_, expression)| expression));
    for path in expressions.iter().map(|(path, _)| path).chain(&remove) {
        input.want(&path.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok((Change::Fields { set: expressions, remove }, input))
}

/// Expressions by the path to their field.
fn flatten(
    path: &mut Vec<String>,
    table: toml::Table,
    expressions: &mut Vec<(Vec<String>, Expression)>,
) -> Result<(), SettingError> {
    for (name, value) in table {
        path.push(name);
        let key = || format!("set.{}", path.join("."));
        match value {
            toml::Value::String(source) => {
                let expression = settings::expression(&key(), &source, Expression::new)?;
                expressions.push((path.clone(), expression));
            }
            toml::Value::Table(inner) => flatten(path, inner, expressions)?,
            other => {
                let reason = format!("an expression in quotes is needed, such as \"{other}\"");
                return Err(SettingError::new(Some(&key()), reason));
            }
        }
        path.pop();
    }
    Ok(())
}

impl Operator for Map {
    fn cost(&self, record: &Record) -> Cost {
        cost(record)
    }

    fn apply(&self, record: Record, out: &mut Output) -> Result<(), OperatorError> {
        if record.value.is_none() && matches!(self.change, Change::Fields { .. }) {
            out.push(record);
            return Ok(());
        }
        let value = match &self.change {
            Change::Whole(expression) => self.input.evaluate(expression, &record, out)?,
            Change::Fields { set, remove } => {
                let scope = self.input.scope(&record, out)?;
                let values: Vec<Value> = set
                    .iter()
                    .map(|(_, expression)| expression.evaluate(&scope).map_err(failed))
                    .collect::<Result<_, _>>()?;
                let mut value = scope.into_value();
                for ((path, _), new) in set.iter().zip(values) {
                    fields::set(&mut value, path, new)?;
                }
                remove.iter().try_for_each(|path| fields::remove(&mut value, path))?;
                value
            }
        };
        let value = self.output.write(&value).map_err(bad_value)?;
        out.push(Record { value: Some(value), ..record });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(toml: &str) -> Built {
        Map::build(
            toml.parse().unwrap(),
            Formats { input: Format::Json, output: Format::Json, ..Formats::default() },
        )
    }

    /// What becomes of a value; or the class and the sentence.
    fn mapped(toml: &str, value: &'static str) -> String {
        let map = map(toml).map_err(|error| error.to_string()).unwrap();
        let mut out = Output::default();
        let record = Record { key: Some("k".into()), value: Some(value.into()), ..Record::default() };
        match map.apply(record, &mut out) {
            Ok(()) => {
                let [made] = &out.drain().collect::<Vec<_>>()[..] else { panic!() };
                assert_eq!(made.key.as_deref(), Some(&b"k"[..]));
                String::from_utf8(made.value.clone().unwrap().to_vec()).unwrap()
            }
            Err(OperatorError::BadInput { class, message }) => format!("{class}: {message}"),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn refused(toml: &str) -> (Option<String>, Option<usize>, String) {
        let error = map(toml).err().unwrap();
        (error.key, error.at, error.reason)
    }

    #[test]
    fn fields_are_set_and_removed_and_all_others_stay_as_they_were_written() {
        let toml = r#"
            set.total = "value.price * value.count"
            set.to.country = "'DE'"
            set.by = "key"
            remove = ["card", "to.zip", "no.such"]
        "#;
        assert_eq!(
            mapped(
                toml,
                r#"{"id":12345678901234567890, "price":2.50, "count":2, "card":"4", "to":{"zip":"1","city":"Ulm"}}"#
            ),
            r#"{"id":12345678901234567890,"price":2.50,"count":2,"to":{"city":"Ulm","country":"DE"},"total":5.0,"by":"k"}"#
        );
        assert_eq!(mapped("set.a.b.c = '1'", "{}"), r#"{"a":{"b":{"c":1}}}"#, "objects on the way are made");
        assert_eq!(
            mapped("set.a = 'value.b'\nset.b = 'value.a'", r#"{"a":1,"b":2.0}"#),
            r#"{"a":2.0,"b":1}"#
        );
        assert_eq!(
            mapped("set.n = 'size(value)'", r#"{"a":1,"b":{"c":1.50}}"#),
            r#"{"a":1,"b":{"c":1.50},"n":2}"#
        );
    }

    #[test]
    fn a_value_is_replaced() {
        assert_eq!(
            mapped("value = \"{'id': value.id, 'n': 1}\"", r#"{"x":1,"id":7.0}"#),
            r#"{"id":7.0,"n":1}"#
        );
        assert_eq!(mapped("value = 'value.a'", r#"{"a":{"b":[1.50]}}"#), r#"{"b":[1.50]}"#);
        assert_eq!(mapped("value = 'key'", "not read"), r#""k""#);
    }

    #[test]
    fn what_cannot_be_done_for_a_record_is_bad_input() {
        assert_eq!(
            mapped("set.t = 'value.a + 1'", "{}"),
            "expression-failed: `value.a + 1`, column 6: there is no field `a`"
        );
        assert_eq!(
            mapped("set.t = '1'", "[1]"),
            "not-an-object: there is no object with a field `t`: this is an array"
        );
        assert_eq!(
            mapped("set.a.b = '1'", r#"{"a":"x"}"#),
            "not-an-object: there is no object with a field `b`: this is a string"
        );
        assert!(mapped("set.t = '1'", "{").starts_with("not-json: the value is not JSON: \"{\""));
    }

    #[test]
    fn a_tombstone_stays_one_where_fields_are_set() {
        let mut out = Output::default();
        map("set.a = '1'")
            .map_err(|error| error.to_string())
            .unwrap()
            .apply(Record::default(), &mut out)
            .unwrap();
        assert_eq!(out.drain().collect::<Vec<_>>(), [Record::default()]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_with_their_place() {
        assert_eq!(refused("").2, "a map needs `value`, or fields to `set` or `remove`");
        assert_eq!(refused("value = '1'\nremove = ['a']").0.as_deref(), Some("value"));
        assert_eq!(
            refused("set.to.city = 'value.x +'").0.as_deref(),
            Some("set.to.city"),
            "the path of the expression"
        );
        assert_eq!(refused("set.a = 'valeu'").1, Some(0));
        assert_eq!(refused("set.a = 5").2, "an expression in quotes is needed, such as \"5\"");
        assert_eq!(refused("set.a = '1'\nremove = ['a']").2, "`a` is set as well");
        let text = Map::build("set.a = '1'".parse().unwrap(), Formats::default()).err().unwrap();
        assert!(text.reason.starts_with("values of the format text have no fields"), "{}", text.reason);
        let formats = Formats { input: Format::Json, output: Format::Text, ..Formats::default() };
        let text = Map::build("set.a = '1'".parse().unwrap(), formats).err().unwrap();
        assert_eq!(
            text.reason,
            "an object cannot be written in the format text; say `format = \"json\"` in `[sink]`"
        );
    }
}
