//! Expressions over a record, in Google's Common Expression Language (CEL, <https://cel.dev>).
//!
//! An expression is parsed and checked when the file is read ([`Expression::new`]), and says which parts of a record it looks
//! into ([`Needs`]), so that nothing else is read. Then it is evaluated for one record after another ([`Scope`]), within a
//! bounded number of steps. Numbers of different kinds may be mixed; all else is CEL.
//!
//! There are two evaluators: what was compiled (`compiled.rs`) gives most results, and crate `cel`'s interpreter gives the others
//! and all errors. They agree (`agreement_tests.rs`).
//!
//! Knows: record, value. Must not know: rdkafka, tokio, serde.

#[cfg(test)]
mod agreement_tests;
mod bounds;
mod check;
mod compiled;
mod error;
mod functions;
mod guarded;
mod kind;
mod needs;
mod numbers;
mod reading;
mod regexes;
mod scalar;
mod scope;
mod seen;
#[cfg(test)]
mod tests;
mod values;
mod walk;

use std::sync::{Arc, LazyLock};

use cel::{
    Context, Env, ExecutionError, Value as Evaluated,
    common::{
        ast::{Expr, IdedExpr, SourceInfo, operators},
        types::CelBool,
        value::CowVal,
    },
    extensions,
};

pub use error::{ExpressionError, Failure};
pub use scope::{Needs, Scope};

use crate::{record::Record, value::Value};
use compiled::Compiled;
use kind::Kind;
use seen::{Held, Place, Seen};

/// The functions and macros that there are, for all expressions.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math, extensions::encoders] {
        let added = env.add_extension(extension);
        debug_assert!(added.is_ok(), "two extensions have a function of one name");
    }
    numbers::install(&mut env);
    regexes::install(&mut env);
    guarded::install(&mut env);
    reading::install(&mut env);
    bounds::install(&mut env);
    Arc::new(env)
});

/// The longest expression, in bytes.
const LONGEST: usize = 10_000;

/// A checked expression.
///
/// ```
/// use pipeline::{expression::{Expression, Scope}, record::Record, value::Value};
///
/// let expression = Expression::condition("key.startsWith('eu-') && size(headers) == 0").unwrap();
/// let record = Record { key: Some("eu-7".into()), ..Record::default() };
/// let scope = Scope::new(&record, None, expression.needs(), Value::Null);
/// assert_eq!(expression.holds(&scope), Ok(true));
///
/// let error = Expression::condition("value.amount > 'a' + 1").err().unwrap();
/// assert_eq!((error.at, error.reason.as_str()), (19, "`+` cannot be applied to a string and an int"));
/// ```
pub struct Expression {
    source: String,
    root: IdedExpr,
    places: SourceInfo,
    needs: Needs,
    compiled: Option<Box<Compiled>>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl Expression {
    /// An expression that gives any value.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(source: &str) -> Result<Expression, ExpressionError> {
        Ok(Expression::parse(source)?.0)
    }

    /// An expression that gives true or false.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn condition(source: &str) -> Result<Expression, ExpressionError> {
        let (expression, gives) = Expression::parse(source)?;
        if !matches!(gives, Kind::Any | Kind::Bool) {
            let reason = format!("a condition must be true or false, and this is {}", gives.describe());
            return Err(ExpressionError { at: 0, reason });
        }
        Ok(expression)
    }

    fn parse(source: &str) -> Result<(Expression, Kind), ExpressionError> {
        if source.len() > LONGEST {
            let reason = format!("an expression may have {LONGEST} bytes, and this has {}", source.len());
            return Err(ExpressionError { at: 0, reason });
        }
        let (mut root, places) = ENVIRONMENT.parser().parse_with_source_info(source).map_err(|errors| {
            let first = errors.errors.first();
            let at = first.map_or(0, |error| byte_at(source, error.pos));
            let reason = first.map_or("it cannot be read", |error| error.msg.as_str());
            ExpressionError { at, reason: error::syntax(reason) }
        })?;
        let place = |id| start_of(&places, source, id);
        let gives = check::check(&root).map_err(|wrong| ExpressionError {
            at: name_before(source, place(wrong.id)),
            reason: error::short_reason(&wrong.reason),
        })?;
        let needs = needs::of(&mut root);
        let compiled = compiled::compile(&root, &needs);
        reading::put_in(&mut root);
        numbers::replace(&mut root);
        guarded::put_in(&mut root);
        bounds::bound(&mut root);
        Ok((Expression { source: source.to_owned(), root, places, needs, compiled }, gives))
    }

    /// Which parts of a record it looks into.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the condition holds for a record.
    ///
    /// # Errors
    /// What went wrong, and in which part of the expression.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        bounds::begin();
        match self.compiled.as_ref().and_then(|compiled| compiled.holds(&scope.seen())) {
            Some(holds) => Ok(holds),
            None => self.interpreted_holds(scope),
        }
    }

    /// What it gives for a record. The fields of a map that is written in the expression keep their order, and a part of the
    /// value that is only copied stays as it came.
    ///
    /// # Errors
    /// What went wrong, and in which part of the expression.
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        bounds::begin();
        match self.compiled.as_ref().and_then(|compiled| compiled.evaluate(&scope.seen())) {
            Some(value) => Ok(value),
            None => self.interpreted(scope),
        }
    }

    /// Whether the condition holds for a record whose value is JSON, which is looked into where it stands; its key is text. `None`
    /// where that does not tell; then the value has to be read, for [`holds`](Expression::holds).
    pub fn holds_in_json(&self, record: &Record, place: Place<'_>) -> Option<bool> {
        self.in_json(record, place, Compiled::holds)
    }

    /// What it gives for a record whose value is JSON, likewise.
    pub fn evaluate_in_json(&self, record: &Record, place: Place<'_>) -> Option<Value> {
        self.in_json(record, place, Compiled::evaluate)
    }

    fn in_json<T>(
        &self,
        record: &Record,
        place: Place<'_>,
        evaluate: impl FnOnce(&Compiled, &Seen<'_>) -> Option<T>,
    ) -> Option<T> {
        let compiled = self.compiled.as_ref()?;
        let (paths, text) =
            (compiled.paths.as_ref().filter(|paths| !paths.is_empty())?, record.value.as_ref()?);
        let found = paths.find(text)?;
        bounds::begin();
        evaluate(compiled, &Seen { record, place, value: Held::Json(text, &found), key: None })
    }

    /// What the interpreter says, which has the last word. Tests ask it alone.
    ///
    /// # Errors
    /// As [`holds`](Expression::holds).
    pub(crate) fn interpreted_holds(&self, scope: &Scope<'_>) -> Result<bool, Failure> {
        self.with(scope, |context| {
            let found = Evaluated::resolve_val(&self.root, context)?;
            match found.downcast_ref::<CelBool>() {
                Some(yes) => Ok(*yes.inner()),
                None => Err(needs_bool(&found)),
            }
        })
    }

    /// The same, for any value.
    ///
    /// # Errors
    /// As [`evaluate`](Expression::evaluate).
    pub(crate) fn interpreted(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        self.with(scope, |context| values::build(&self.root, scope, context))
    }

    fn with<T>(
        &self,
        scope: &Scope<'_>,
        evaluate: impl Fn(&Context<'_, '_>) -> Result<T, ExecutionError>,
    ) -> Result<T, Failure> {
        bounds::begin();
        let mut context = Context::with_env(ENVIRONMENT.clone());
        context.set_variable_resolver(scope);
        evaluate(&context).map_err(|error| {
            bounds::begin();
            let (part, error) = self.blame(&self.root, error, &context);
            let at = name_before(&self.source, start_of(&self.places, &self.source, part.id));
            Failure {
                expression: error::short(&self.source),
                column: self.source[..at].chars().count() + 1,
                reason: if scope.is_tombstone() && takes_value(part) {
                    error::tombstone()
                } else {
                    error::describe(&error)
                },
            }
        })
    }

    /// The innermost part that fails, and how. It is looked for only when something has failed.
    fn blame<'e>(
        &'e self,
        part: &'e IdedExpr,
        error: ExecutionError,
        context: &Context<'_, '_>,
    ) -> (&'e IdedExpr, ExecutionError) {
        let conditional: Vec<&IdedExpr>;
        let parts: &[&IdedExpr] = match &part.expr {
            Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
                // The branch that is not taken may fail as it likes.
                let condition = Evaluated::resolve_val(&call.args[0], context);
                let taken = match condition.as_ref().ok().and_then(|value| value.downcast_ref::<CelBool>()) {
                    None => 0,
                    Some(yes) if *yes.inner() => 1,
                    Some(_) => 2,
                };
                conditional = vec![&call.args[taken]];
                &conditional
            }
            Expr::Call(call) => {
                conditional = call.target.as_deref().into_iter().chain(&call.args).collect();
                &conditional
            }
            Expr::Select(select) => &[&*select.operand],
            Expr::List(list) => {
                conditional = list.elements.iter().collect();
                &conditional
            }
            Expr::Comprehension(comprehension) => &[&comprehension.iter_range],
            _ => &[],
        };
        for &inner in parts {
            match Evaluated::resolve_val(inner, context) {
                Ok(_) => {}
                // A namespace, such as `math`, is no value.
                Err(ExecutionError::UndeclaredReference(_)) => {}
                Err(error) => return self.blame(inner, error, context),
            }
        }
        (part, error)
    }
}

/// Whether a part is made of the value itself, as in `value.amount` or `value + 1`.
fn takes_value(part: &IdedExpr) -> bool {
    let is_value = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == "value");
    match &part.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).any(is_value),
        Expr::Select(select) => is_value(&select.operand),
        Expr::Comprehension(comprehension) => is_value(&comprehension.iter_range),
        _ => is_value(part),
    }
}

fn needs_bool(found: &CowVal<'_, '_>) -> ExecutionError {
    ExecutionError::UnexpectedType { got: found.get_type().name().to_owned(), want: "bool".to_owned() }
}

/// The byte at which a character of the text begins.
fn byte_of(source: &str, character: usize) -> usize {
    source.char_indices().nth(character).map_or(source.len(), |(at, _)| at)
}

/// The byte at which a part begins.
fn start_of(places: &SourceInfo, source: &str, part: u64) -> usize {
    let start = places.offset_for(part).map_or(0, |(start, _)| start as usize);
    (0..=start.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or_default()
}

/// Where the name begins that stands before a bracket: the parser places a call at its bracket.
fn name_before(source: &str, at: usize) -> usize {
    if !source[at..].starts_with('(') {
        return at;
    }
    source[..at].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len()
}

/// The byte of a line and a column, both from 1, as the parser counts them.
fn byte_at(source: &str, (line, column): (isize, isize)) -> usize {
    let before: usize = source.split_inclusive('\n').take((line.max(1) - 1) as usize).map(str::len).sum();
    before + byte_of(&source[before..], (column.max(1) - 1) as usize)
}
