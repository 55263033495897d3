//! Arithmetic with numbers of different kinds.
//!
//! CEL refuses `1 + 1.5`. But JSON does not tell a price of 10 from one of 10.0, so that `value.price * value.count` would hold
//! for some records and fail for others. So here an integer that meets a double becomes one. Everything else is CEL's own, and
//! what works there gives the same here.

use cel::{
    Env, ExecutionError,
    common::{
        ast::{Expr, IdedExpr, operators},
        types::{CelDouble, CelInt, CelUInt, DYN_TYPE},
        value::{CowVal, Val},
    },
};

use super::{bounds, walk};

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// CEL's operator, and the function that replaces it.
const REPLACED: &[(&str, &str)] = &[
    (operators::ADD, "@add"),
    (operators::SUBSTRACT, "@subtract"),
    (operators::MULTIPLY, "@multiply"),
    (operators::DIVIDE, "@divide"),
    (operators::MODULO, "@modulo"),
];

/// Makes the functions known to the interpreter.
pub fn install(env: &mut Env) {
    let both = || vec![DYN_TYPE.to_owned(), DYN_TYPE.to_owned()];
    let added = [
        env.add_overload("@add", "add", both(), add),
        env.add_overload("@subtract", "subtract", both(), subtract),
        env.add_overload("@multiply", "multiply", both(), multiply),
        env.add_overload("@divide", "divide", both(), divide),
        env.add_overload("@modulo", "modulo", both(), modulo),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "a name is taken");
}

macro_rules! arithmetic {
    ($name:ident, $accessor:ident, $method:ident, $word:literal) => {
        fn $name<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
            let [left, right] = both(arguments)?;
            let Some(operand) = left.$accessor() else { return Err(refused($word, &left, &right)) };
            Ok(CowVal::Owned(operand.$method(right.as_ref())?.into_owned()))
        }
    };
}

/// The interpreter would append a map's names to a list, in an order that is another one each time: CEL has no such addition.
fn add<'b, 'v>(arguments: Arguments<'b, 'v>) -> Answer<'b, 'v> {
    if let [left, right] = &arguments[..]
        && left.get_type().name() == "list"
        && right.get_type().name() == "map"
    {
        return Err(refused("add", left, right));
    }
    add_alike(arguments)
}

arithmetic!(add_alike, as_adder, add, "add");
arithmetic!(subtract, as_subtractor, sub, "sub");
arithmetic!(multiply, as_multiplier, mul, "mul");
arithmetic!(divide, as_divider, div, "div");
arithmetic!(modulo, as_modder, modulo, "rem");

fn refused(word: &'static str, left: &CowVal<'_, '_>, right: &CowVal<'_, '_>) -> ExecutionError {
    ExecutionError::no_such_overload(word, vec![name(left.as_ref()), name(right.as_ref())])
}

fn name(value: &dyn Val) -> String {
    value.get_type().name().to_owned()
}

/// The two operands, as numbers of one kind where they are numbers of two.
fn both<'b, 'v>(mut arguments: Arguments<'b, 'v>) -> Result<[CowVal<'b, 'v>; 2], ExecutionError> {
    let (Some(right), Some(left)) = (arguments.pop(), arguments.pop()) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    bounds::spend_on(&left)?;
    bounds::spend_on(&right)?;
    let (left_is, right_is) = (Number::of(left.as_ref()), Number::of(right.as_ref()));
    Ok(match (left_is, right_is) {
        (Some(Number::Double), Some(Number::Int(n))) => [left, double(n as f64)],
        (Some(Number::Double), Some(Number::UInt(n))) => [left, double(n as f64)],
        (Some(Number::Int(n)), Some(Number::Double)) => [double(n as f64), right],
        (Some(Number::UInt(n)), Some(Number::Double)) => [double(n as f64), right],
        // One of the two is above 2^63: so the other fits where it is not negative.
        (Some(Number::Int(n)), Some(Number::UInt(_))) if n >= 0 => [uint(n.unsigned_abs()), right],
        (Some(Number::UInt(_)), Some(Number::Int(n))) if n >= 0 => [left, uint(n.unsigned_abs())],
        _ => [left, right],
    })
}

enum Number {
    Int(i64),
    UInt(u64),
    Double,
}

impl Number {
    fn of(value: &dyn Val) -> Option<Number> {
        if let Some(n) = value.downcast_ref::<CelInt>() {
            Some(Number::Int(*n.inner()))
        } else if value.downcast_ref::<CelDouble>().is_some() {
            Some(Number::Double)
        } else {
            value.downcast_ref::<CelUInt>().map(|n| Number::UInt(*n.inner()))
        }
    }
}

fn double<'b, 'v>(n: f64) -> CowVal<'b, 'v> {
    CowVal::owned(CelDouble::from(n))
}

fn uint<'b, 'v>(n: u64) -> CowVal<'b, 'v> {
    CowVal::owned(CelUInt::from(n))
}

/// Puts these functions in the place of CEL's operators.
pub fn replace(part: &mut IdedExpr) {
    if let Expr::Comprehension(comprehension) = &mut part.expr {
        replace(&mut comprehension.iter_range);
        replace(&mut comprehension.loop_cond);
        step(&mut comprehension.loop_step, &comprehension.accu_var);
        replace(&mut comprehension.result);
        return;
    }
    walk::parts(part).into_iter().for_each(replace);
    if let Expr::Call(call) = &mut part.expr
        && let Some((_, ours)) = REPLACED.iter().find(|(theirs, _)| *theirs == call.func_name)
    {
        call.func_name = (*ours).to_owned();
    }
}

/// A macro's own `result + [x]` stays: the interpreter knows it, and appends in place.
fn step(part: &mut IdedExpr, collected: &str) {
    let is_collected = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == collected);
    match &mut part.expr {
        Expr::Call(call)
            if call.func_name == operators::ADD && call.args.first().is_some_and(is_collected) =>
        {
            call.args.iter_mut().skip(1).for_each(replace);
        }
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            for (place, argument) in call.args.iter_mut().enumerate() {
                if place == 0 { replace(argument) } else { step(argument, collected) }
            }
        }
        _ => replace(part),
    }
}
