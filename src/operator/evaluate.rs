//! What operators with expressions have in common: reading a record as far as it is needed, and what a failure is.

use super::{Cost, OperatorError, Output, error::bad_value, keys};
use crate::{
    expression::{Expression, Failure, Needs, Scope},
    format::{Format, Formats},
    record::{Record, classes},
    value::{Others, Value, Wanted},
};

/// How an operator reads its records.
#[derive(Debug)]
pub(super) struct Input {
    format: Format,
    /// The format of keys, where they have one and are looked into.
    key: Option<Format>,
    others: Others,
    needs: Needs,
}

impl Input {
    /// For these expressions, which look into records that come in with these formats; `others` says what becomes of fields of the
    /// value that none of them names.
    pub(super) fn new<'a>(
        formats: &Formats,
        others: Others,
        expressions: impl IntoIterator<Item = &'a Expression>,
    ) -> Self {
        let mut needs = Needs::default();
        expressions.into_iter().for_each(|expression| needs.extend(expression.needs()));
        let key = formats.keys.input.clone().filter(|_| needs.key != Wanted::Nothing);
        Input { format: formats.input.clone(), key, others, needs }
    }

    /// The field at this path is looked into too.
    pub(super) fn want(&mut self, path: &[&str]) {
        self.needs.value.add(path);
    }

    /// Whether a condition holds for a record: one of the expressions that this was made for. What is JSON is looked into where it stands,
    /// if that tells.
    ///
    /// # Errors
    /// Bad input, where the value is none of its format, or the condition fails.
    pub(super) fn holds(
        &self,
        when: &Expression,
        record: &Record,
        out: &Output,
    ) -> Result<bool, OperatorError> {
        if self.is_plain_json()
            && let Some(holds) = when.holds_in_json(record, out.place())
        {
            return Ok(holds);
        }
        when.holds(&self.scope_of(when, record, out)?).map_err(failed)
    }

    /// What an expression gives for a record, likewise.
    ///
    /// # Errors
    /// Bad input, where the value is none of its format, or the expression fails.
    pub(super) fn evaluate(
        &self,
        expression: &Expression,
        record: &Record,
        out: &Output,
    ) -> Result<Value, OperatorError> {
        if self.is_plain_json()
            && let Some(value) = expression.evaluate_in_json(record, out.place())
        {
            return Ok(value);
        }
        expression.evaluate(&self.scope_of(expression, record, out)?).map_err(failed)
    }

    /// Whether a record's value can be looked into where it stands, and its key is not looked into, or is text.
    fn is_plain_json(&self) -> bool {
        matches!(self.format, Format::Json) && self.key.is_none()
    }

    /// The record for one expression: its value is not read where only others look into it.
    fn scope_of<'a>(
        &'a self,
        expression: &Expression,
        record: &'a Record,
        out: &'a Output,
    ) -> Result<Scope<'a>, OperatorError> {
        match expression.needs().value {
            Wanted::Nothing => self.scope_with(Value::Null, record, out),
            _ => self.scope(record, out),
        }
    }

    /// The record, as far as it is looked into. Neither its value nor its key is read where nothing is.
    ///
    /// # Errors
    /// Bad input, where one of them is none of its format.
    pub(super) fn scope<'a>(
        &'a self,
        record: &'a Record,
        out: &'a Output,
    ) -> Result<Scope<'a>, OperatorError> {
        let value = match (&self.needs.value, &record.value) {
            (Wanted::Nothing, _) | (_, None) => Value::Null,
            (wanted, Some(bytes)) => self.format.read(bytes, wanted, self.others).map_err(bad_value)?,
        };
        self.scope_with(value, record, out)
    }

    fn scope_with<'a>(
        &'a self,
        value: Value,
        record: &'a Record,
        out: &'a Output,
    ) -> Result<Scope<'a>, OperatorError> {
        let scope = Scope::new(record, out.place(), &self.needs, value);
        match &self.key {
            None => Ok(scope),
            Some(format) => Ok(scope.with_key(keys::read(format, record.key.as_ref(), &self.needs.key)?)),
        }
    }
}

/// What an expression cannot do for a record.
pub(super) fn failed(failure: Failure) -> OperatorError {
    OperatorError::BadInput { class: classes::EXPRESSION_FAILED, message: failure.to_string() }
}

/// Reading and evaluating: about a nanosecond a byte, and some calls.
pub(super) fn cost(record: &Record) -> Cost {
    let bytes = record.size() as u64;
    Cost { nanos: 1_000 + bytes, bytes }
}
