//! Goes through the parts of an expression.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Calls `change` with each part, the inner ones first.
pub fn each(part: &mut IdedExpr, change: &mut impl FnMut(&mut IdedExpr)) {
    parts(part).into_iter().for_each(|inner| each(inner, change));
    change(part);
}

/// The parts that a part is made of, in the order in which they are written.
pub fn parts(part: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut part.expr {
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Comprehension(comprehension) => vec![
            &mut comprehension.iter_range,
            &mut comprehension.accu_init,
            &mut comprehension.loop_cond,
            &mut comprehension.loop_step,
            &mut comprehension.result,
        ],
        Expr::Select(select) => vec![&mut select.operand],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => {
            let entries = map.entries.iter_mut().filter_map(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => Some([&mut entry.key, &mut entry.value]),
                EntryExpr::StructField(_) => None,
            });
            entries.flatten().collect()
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => Vec::new(),
    }
}
