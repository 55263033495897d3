//! Functions whose result, or whose time, can be the product of what goes in: they count it before they begin.
//!
//! CEL's own `replace` makes a terabyte of two megabytes that a stranger sent, where each letter is replaced by all of them.

use cel::{
    Env, ExecutionError,
    common::{
        ast::{Expr, IdedExpr},
        types::{CelInt, CelList, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE},
        value::{CowVal, Val},
    },
};

use super::{bounds, regexes, walk};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// So many bytes that are made count as one step.
const BYTES_A_STEP: u64 = 256;
/// So many comparisons do.
const COMPARISONS_A_STEP: u64 = 64;

/// CEL's function, and the one that replaces it.
const REPLACED: &[(&str, &str)] = &[
    ("distinct", "@distinct"),
    ("join", "@join"),
    ("matches", regexes::MATCHES),
    // Of `lists`.
    ("range", "@range"),
    ("replace", "@replace"),
];

/// Makes the functions known to the interpreter.
pub fn install(env: &mut Env) {
    let (text, int, list) = (|| STRING_TYPE.to_owned(), || INT_TYPE.to_owned(), || LIST_TYPE.to_owned());
    let added = [
        env.add_member_overload("@replace", "replace", text(), vec![text(), text()], replace),
        env.add_member_overload("@replace", "replace_some", text(), vec![text(), text(), int()], replace),
        env.add_member_overload("@join", "join", list(), vec![], join),
        env.add_member_overload("@join", "join_with", list(), vec![text()], join),
        env.add_overload("lists.@range", "range", vec![int()], range),
        env.add_member_overload("@distinct", "distinct", list(), vec![], distinct),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "a name is taken");
}

/// Puts these functions in the place of CEL's.
pub fn put_in(root: &mut IdedExpr) {
    walk::each(root, &mut |part| {
        if let Expr::Call(call) = &mut part.expr
            && let Some((_, ours)) = REPLACED.iter().find(|(theirs, _)| *theirs == call.func_name)
        {
            call.func_name = (*ours).to_owned();
        }
    });
}

fn text<'a>(arguments: &'a Arguments<'_, '_>, place: usize) -> Option<&'a str> {
    arguments.get(place)?.downcast_ref::<CelString>().map(|text| text.inner())
}

fn replace<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let [Some(whole), Some(from), Some(to)] = [0, 1, 2].map(|place| text(&arguments, place)) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let times = match arguments.get(3).and_then(|times| times.downcast_ref::<CelInt>()) {
        // As in CEL: a negative number stands for all.
        Some(times) => usize::try_from(*times.inner()).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let found = whole.matches(from).take(times).count() as u64;
    bounds::spend((whole.len() as u64 + found.saturating_mul(to.len() as u64)) / BYTES_A_STEP)?;
    Ok(CowVal::owned(CelString::from(whole.replacen(from, to, times))))
}

fn join<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let Some(list) = arguments.first().and_then(|list| list.downcast_ref::<CelList>()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let between = text(&arguments, 1).unwrap_or_default();
    let mut parts: Vec<&str> = Vec::with_capacity(list.inner().len());
    for part in list.inner() {
        let Some(part) = part.downcast_ref::<CelString>() else {
            let got = part.get_type().name().to_owned();
            return Err(ExecutionError::UnexpectedType { got, want: "string".to_owned() });
        };
        parts.push(part.inner());
    }
    let bytes: u64 = parts.iter().map(|part| (part.len() + between.len()) as u64).sum();
    bounds::spend(bytes / BYTES_A_STEP)?;
    Ok(CowVal::owned(CelString::from(parts.join(between))))
}

/// The numbers from 0 to below the argument.
fn range<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let Some(end) = arguments.first().and_then(|end| end.downcast_ref::<CelInt>()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let end = (*end.inner()).max(0);
    bounds::spend(end.unsigned_abs())?;
    let numbers: Vec<Box<dyn Val + 'v>> =
        (0..end).map(|n| Box::new(CelInt::from(n)) as Box<dyn Val>).collect();
    Ok(CowVal::owned(CelList::from(numbers)))
}

/// The first of each set of elements that are equal.
fn distinct<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    let Some(list) = arguments.first().and_then(|list| list.downcast_ref::<CelList>()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let mut kept = Vec::new();
    for element in list.inner() {
        bounds::spend(kept.len() as u64 / COMPARISONS_A_STEP)?;
        if !kept.contains(element) {
            kept.push(element.clone());
        }
    }
    Ok(CowVal::owned(CelList::from(kept)))
}
