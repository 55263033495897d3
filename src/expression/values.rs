//! What an expression gives, as a value that a format can write.

use cel::{
    Context, ExecutionError, Value as Evaluated,
    common::{
        ast::{EntryExpr, Expr, IdedExpr, operators},
        types::{
            CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelOptional,
            CelString, CelTimestamp, CelUInt,
        },
        value::Val,
    },
};

use super::{Scope, bounds, needs_bool, reading};
use crate::value::{Fields, Value};

/// Evaluates; a map or list that is written in the expression is made field by field, so that the order is kept.
pub fn build(part: &IdedExpr, scope: &Scope<'_>, context: &Context<'_, '_>) -> Result<Value, ExecutionError> {
    if let Some(["value", path @ ..]) = reading::path(part).as_deref()
        && !matches!(&part.expr, Expr::Select(select) if select.test)
        && let Some(found) = scope.at(path)
    {
        return Ok(found.clone());
    }
    match &part.expr {
        Expr::Map(map) => {
            let mut fields = Fields::default();
            for entry in &map.entries {
                let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                let name = match values(Evaluated::resolve_val(&entry.key, context)?.as_ref())? {
                    Value::String(name) => name,
                    other => {
                        let message =
                            format!("a field's name must be a string, and this is {}", other.kind());
                        return Err(ExecutionError::function_error("@name", message));
                    }
                };
                if fields.get(&name).is_some() {
                    return Err(ExecutionError::function_error(
                        "@name",
                        format!("there are two fields `{name}`"),
                    ));
                }
                if entry.optional {
                    let found = Evaluated::resolve_val(&entry.value, context)?;
                    if found.downcast_ref::<CelOptional>().is_some_and(|found| found.inner().is_none()) {
                        continue;
                    }
                    fields.push(name, values(found.as_ref())?);
                } else {
                    fields.push(name, build(&entry.value, scope, context)?);
                }
            }
            Ok(Value::Map(fields))
        }
        Expr::List(list) if list.optional_indices.is_empty() => {
            let elements: Result<Vec<Value>, _> =
                list.elements.iter().map(|element| build(element, scope, context)).collect();
            Ok(Value::Array(elements?))
        }
        Expr::Call(call) if call.func_name == operators::CONDITIONAL && call.args.len() == 3 => {
            let condition = Evaluated::resolve_val(&call.args[0], context)?;
            let Some(yes) = condition.downcast_ref::<CelBool>() else { return Err(needs_bool(&condition)) };
            build(&call.args[if *yes.inner() { 1 } else { 2 }], scope, context)
        }
        _ => values(Evaluated::resolve_val(part, context)?.as_ref()),
    }
}

/// The interpreter's value as ours. A map's fields are sorted by name, as the interpreter keeps no order.
fn values(found: &dyn Val) -> Result<Value, ExecutionError> {
    if let Some(value) = found.downcast_ref::<CelString>() {
        bounds::spend_on_text(value.inner().len())?;
        return Ok(Value::String(value.inner().into()));
    }
    if let Some(value) = found.downcast_ref::<CelInt>() {
        return Ok(Value::Int(*value.inner()));
    }
    if let Some(value) = found.downcast_ref::<CelDouble>() {
        return Ok(Value::Float(*value.inner()));
    }
    if let Some(value) = found.downcast_ref::<CelBool>() {
        return Ok(Value::Bool(*value.inner()));
    }
    if found.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(value) = found.downcast_ref::<CelUInt>() {
        return Ok(Value::UInt(*value.inner()));
    }
    if let Some(value) = found.downcast_ref::<CelBytes>() {
        bounds::spend_on_text(value.inner().len())?;
        return Ok(Value::Bytes(value.inner().to_vec().into()));
    }
    if let Some(list) = found.downcast_ref::<CelList>() {
        let elements: Result<Vec<Value>, _> =
            list.inner().iter().map(|element| values(element.as_ref())).collect();
        return Ok(Value::Array(elements?));
    }
    if let Some(map) = found.downcast_ref::<CelMap>() {
        return fields(map);
    }
    if let Some(time) = found.downcast_ref::<CelTimestamp>() {
        return Ok(Value::Timestamp(time.inner().to_utc()));
    }
    if let Some(duration) = found.downcast_ref::<CelDuration>() {
        // As Protobuf's JSON writes one.
        let seconds = duration.inner().as_seconds_f64();
        return Ok(Value::String(format!("{seconds}s").into()));
    }
    if let Some(optional) = found.downcast_ref::<CelOptional>() {
        return optional.inner().map_or(Ok(Value::Null), values);
    }
    let message = format!("{} cannot be written into a record", found.get_type().name());
    Err(ExecutionError::function_error("@write", message))
}

fn fields(map: &CelMap<'_>) -> Result<Value, ExecutionError> {
    let mut fields: Vec<(String, Value)> = Vec::with_capacity(map.inner().len());
    for (key, value) in map.inner() {
        let name = match values(key.inner())? {
            Value::String(name) => name.to_string(),
            Value::Int(n) => n.to_string(),
            Value::UInt(n) => n.to_string(),
            Value::Bool(yes) => yes.to_string(),
            other => {
                let message = format!("a field's name must be a string, and this is {}", other.kind());
                return Err(ExecutionError::function_error("@name", message));
            }
        };
        fields.push((name, values(value.as_ref())?));
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Value::Map(fields.into_iter().collect()))
}
