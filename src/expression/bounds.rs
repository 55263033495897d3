//! What an expression may cost, whatever the record: a number of steps, counted while it runs.
//!
//! CEL has no loops but its macros, which go through a list or a map. But those can be nested, and a record can be large: so each
//! macro counts how much it goes through, and so does, within a macro, what goes through text. An expression that takes more is
//! given up, and its record is a dead letter.

use std::cell::Cell;

use cel::{
    Env, ExecutionError,
    common::{
        ast::{CallExpr, Expr, IdedExpr, operators},
        types::{CelBytes, CelString, DYN_TYPE},
        value::CowVal,
    },
};

/// How many elements all macros of one evaluation may go through: some 50 ms of a core.
pub const STEPS: u64 = 200_000;
/// So many bytes of text count as one element.
const BYTES_A_STEP: u64 = 256;

/// So many bytes of JSON count as one element when they are read.
const READ_A_STEP: u64 = 64;

/// The function that counts what is gone through, and returns it.
const COUNTED: &str = "@counted";

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(STEPS) };
}

/// Begins an evaluation on this thread.
pub fn begin() {
    LEFT.set(STEPS);
}

/// Makes the counting known to the interpreter.
pub fn install(env: &mut Env) {
    let counted = env.add_overload(COUNTED, "counted", vec![DYN_TYPE.to_owned()], counted);
    debug_assert!(counted.is_ok(), "the name is taken");
}

fn counted<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(argument) = arguments.pop() else { return Err(ExecutionError::missing_argument_or_target()) };
    spend(size(&argument))?;
    Ok(argument)
}

/// How many steps going through a value takes.
fn size(value: &CowVal<'_, '_>) -> u64 {
    if let Some(text) = value.downcast_ref::<CelString>() {
        return 1 + text.inner().len() as u64 / BYTES_A_STEP;
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        return 1 + bytes.inner().len() as u64 / BYTES_A_STEP;
    }
    value.as_sizer().map_or(1, |sizer| 1 + sizer.size().into_inner().unsigned_abs())
}

/// Counts steps.
pub fn spend(steps: u64) -> Result<(), ExecutionError> {
    match LEFT.get().checked_sub(steps) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            // `all` and `exists` look for an element that decides in spite of errors: nothing else may succeed, so that they
            // are through soon.
            LEFT.set(0);
            Err(ExecutionError::function_error(COUNTED, format!("it takes more than {STEPS} steps")))
        }
    }
}

/// Counts bytes of text that is read, or made part of a result.
pub fn spend_on_text(bytes: usize) -> Result<(), ExecutionError> {
    spend(bytes as u64 / BYTES_A_STEP)
}

/// Counts an operand of arithmetic that is no list, with so many bytes of text.
pub fn spend_on_operand(bytes: usize) -> Result<(), ExecutionError> {
    spend(1 + bytes as u64 / BYTES_A_STEP)
}

/// Counts JSON text of a list or a map within one that is read.
pub fn spend_on_reading_again(text: &[u8]) -> Result<(), ExecutionError> {
    spend(text.len() as u64 / READ_A_STEP)
}

/// Counts JSON text that is made into a list or a map.
pub fn spend_on_reading(text: &[u8]) -> Result<(), ExecutionError> {
    spend(1 + text.len() as u64 / READ_A_STEP)
}

/// Puts the counting into an expression.
pub fn bound(root: &mut IdedExpr) {
    walk(root, false);
}

fn walk(part: &mut IdedExpr, within_macro: bool) {
    if let Expr::Comprehension(comprehension) = &mut part.expr {
        walk(&mut comprehension.iter_range, within_macro);
        count(&mut comprehension.iter_range);
        for inner in [&mut comprehension.loop_cond, &mut comprehension.loop_step, &mut comprehension.result] {
            walk(inner, true);
        }
        return;
    }
    super::walk::parts(part).into_iter().for_each(|inner| walk(inner, within_macro));
    if let (Expr::Call(call), true) = (&mut part.expr, within_macro) {
        count_operands(call);
    }
}

/// What goes through its operands: comparisons, `in`, and functions of text. The `+` by which a macro collects its results is
/// the interpreter's own and stays as it is; any other `+` counts in `numbers.rs`.
fn count_operands(call: &mut CallExpr) {
    match call.func_name.as_str() {
        operators::EQUALS | operators::NOT_EQUALS | operators::IN => {
            call.args.last_mut().into_iter().for_each(count)
        }
        name if name.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            let namespace = |target: &IdedExpr| matches!(&target.expr, Expr::Ident(name) if super::functions::is_namespace(name));
            match call.target.as_deref_mut() {
                Some(target) if !namespace(target) => count(target),
                _ => call.args.iter_mut().for_each(count),
            }
        }
        _ => {}
    }
}

fn count(part: &mut IdedExpr) {
    let inner = std::mem::take(part);
    let (id, func_name) = (inner.id, COUNTED.to_owned());
    *part = IdedExpr { id, expr: Expr::Call(CallExpr { func_name, target: None, args: vec![inner] }) };
}

/// Counts text that is put together.
pub fn spend_on(value: &CowVal<'_, '_>) -> Result<(), ExecutionError> {
    spend(size(value))
}
