//! Which parts of a record an expression looks into.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::scope::Needs;
use crate::value::Wanted;

/// What is needed to evaluate the expression.
pub fn of(root: &mut IdedExpr) -> Needs {
    let mut needs = Needs::default();
    walk(root, &mut needs);
    needs
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

fn walk(part: &mut IdedExpr, needs: &mut Needs) {
    if let Some(path) = path(part) {
        let wanted: Option<&mut Wanted> = match path[0] {
            "value" => Some(&mut needs.value),
            "headers" => Some(&mut needs.headers),
            _ => None,
        };
        if let Some(wanted) = wanted {
            wanted.add(&path[1..]);
        }
        return;
    }
    super::walk::parts(part).into_iter().for_each(|inner| walk(inner, needs));
}
