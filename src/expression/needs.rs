//! Which parts of a record an expression looks into.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::{reading::path, scope::Needs};
use crate::value::Wanted;

/// What is needed to evaluate the expression.
pub fn of(root: &mut IdedExpr) -> Needs {
    let mut needs = Needs::default();
    walk(root, &mut needs);
    needs
}

/// The [path](path) to a part, where a field on the way may be asked for with `?`: `value.?order.id`.
fn wanted_path(part: &IdedExpr) -> Option<Vec<&str>> {
    let (of, name) = match &part.expr {
        Expr::Select(select) => (&*select.operand, select.field.as_str()),
        Expr::Call(call)
            if matches!(
                call.func_name.as_str(),
                operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT
            ) =>
        {
            let [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] = &call.args[..]
            else {
                return None;
            };
            (of, name.inner())
        }
        _ => return path(part),
    };
    let mut path = wanted_path(of)?;
    path.push(name);
    Some(path)
}

fn walk(part: &mut IdedExpr, needs: &mut Needs) {
    if let Some(path) = wanted_path(part) {
        let wanted: Option<&mut Wanted> = match path[0] {
            "value" => Some(&mut needs.value),
            "key" => Some(&mut needs.key),
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
