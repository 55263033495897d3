//! Reads a field of the value when it is used, and not when it is only asked for.
//!
//! The interpreter takes whatever fails while it looks for a field as that there is none: `has(value.n)` would be false for a
//! number that does not fit, and `value.?n.orValue(0)` would be 0. So a field is found first, and `@read` around it reads it.

use cel::{
    Env, ExecutionError,
    common::{
        ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators},
        types::{CelOptional, DYN_TYPE},
        value::CowVal,
    },
};

use super::{scope, walk};

/// The function's name.
pub const READ: &str = "@read";

/// Makes the function known to the interpreter.
pub fn install(env: &mut Env) {
    let added = env.add_overload(READ, "read", vec![DYN_TYPE.to_owned()], read);
    debug_assert!(added.is_ok(), "the name is taken");
}

fn read<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(argument) = arguments.pop() else { return Err(ExecutionError::missing_argument_or_target()) };
    if let Some(optional) = argument.downcast_ref::<CelOptional>() {
        return match optional.inner().map(scope::read) {
            Some(Some(read)) => Ok(CowVal::owned(CelOptional::of(read?))),
            _ => Ok(argument),
        };
    }
    match scope::read(argument.as_ref()) {
        Some(read) => Ok(CowVal::Owned(read?)),
        None => Ok(argument),
    }
}

/// Puts the reading around each field of the value, and of the key, that is used. The key itself is read already.
pub fn put_in(part: &mut IdedExpr) {
    if let Expr::Select(select) = &mut part.expr
        && select.test
    {
        return put_in(&mut select.operand);
    }
    if let Some(path) = path(part) {
        return if path[0] == "value" || path[0] == "key" && path.len() > 1 {
            wrap(part)
        };
    }
    walk::parts(part).into_iter().for_each(put_in);
    if let Expr::Call(call) = &part.expr
        && matches!(call.func_name.as_str(), operators::OPT_SELECT | operators::OPT_INDEX)
    {
        wrap(part);
    }
}

/// The names that lead from a variable to a part of it: `["value", "order", "id"]` of `value.order.id` and `value["order"].id`.
pub fn path(part: &IdedExpr) -> Option<Vec<&str>> {
    match &part.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) => {
            let mut path = path(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        Expr::Call(call) if call.func_name == READ => path(call.args.first()?),
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] = &call.args[..]
            else {
                return None;
            };
            let mut path = path(of)?;
            path.push(name.inner());
            Some(path)
        }
        _ => None,
    }
}

fn wrap(part: &mut IdedExpr) {
    let inner = std::mem::take(part);
    let (id, func_name) = (inner.id, READ.to_owned());
    *part = IdedExpr { id, expr: Expr::Call(CallExpr { func_name, target: None, args: vec![inner] }) };
}
