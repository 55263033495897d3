//! Finds what is wrong with an expression before it meets a record: names, functions, and kinds of values that do not fit.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::{
    functions::{FUNCTIONS, Function, is_namespace},
    kind::Kind,
    regexes,
};

/// What is wrong, and with which part of the expression.
pub struct Wrong {
    pub id: u64,
    pub reason: String,
}

/// The names of a record's parts.
pub const VARIABLES: &[(&str, Kind)] = &[
    ("value", Kind::Any),
    ("key", Kind::Any),
    ("headers", Kind::Map),
    ("topic", Kind::String),
    ("partition", Kind::Int),
    ("offset", Kind::Int),
    ("timestamp", Kind::Any),
];

const TYPES: &[&str] =
    &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// What the expression gives, as far as that is known.
///
/// # Errors
/// The first part that can never work.
pub fn check(root: &IdedExpr) -> Result<Kind, Wrong> {
    Check { bound: Vec::new() }.of(root)
}

struct Check<'a> {
    /// The variables of the macros around: `x` in `value.tags.all(x, …)`.
    bound: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn of(&mut self, part: &'a IdedExpr) -> Result<Kind, Wrong> {
        match &part.expr {
            Expr::Unspecified | Expr::Struct(_) => Err(Wrong {
                id: part.id,
                reason: "messages cannot be made here; write a map: `{'a': 1}`".to_owned(),
            }),
            Expr::Literal(literal) => Ok(literal_type(literal)),
            Expr::Ident(name) => self.name(part.id, name),
            Expr::Select(select) => {
                let of = self.of(&select.operand)?;
                match of {
                    Kind::Any | Kind::Map if select.test => Ok(Kind::Bool),
                    Kind::Any | Kind::Map => Ok(Kind::Any),
                    other => Err(Wrong {
                        id: part.id,
                        reason: format!("there is no field `{}` in {}", select.field, other.describe()),
                    }),
                }
            }
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.of(element).map(drop))?;
                Ok(Kind::List)
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.of(&entry.key)?;
                        self.of(&entry.value)?;
                    }
                }
                Ok(Kind::Map)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Call(call) => self.call(part.id, call),
        }
    }

    fn name(&self, id: u64, name: &str) -> Result<Kind, Wrong> {
        if self.bound.contains(&name) {
            return Ok(Kind::Any);
        }
        if let Some((_, known)) = VARIABLES.iter().find(|(known, _)| *known == name) {
            return Ok(*known);
        }
        if TYPES.contains(&name) {
            return Ok(Kind::OfType);
        }
        let near = closest(name, VARIABLES.iter().map(|(known, _)| *known));
        let help = near.map_or_else(
            || {
                let names: Vec<&str> = VARIABLES.iter().map(|(known, _)| *known).collect();
                format!("there are {}; a field of the value is `value.{name}`", names.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        Err(Wrong { id, reason: format!("there is no `{name}` here: {help}") })
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Kind, Wrong> {
        let range = self.of(&comprehension.iter_range)?;
        if !matches!(range, Kind::Any | Kind::List | Kind::Map) {
            let reason = format!("a list or a map is needed here, and this is {}", range.describe());
            return Err(Wrong { id: comprehension.iter_range.id, reason });
        }
        self.of(&comprehension.accu_init)?;
        let before = self.bound.len();
        self.bound.extend([comprehension.accu_var.as_str(), comprehension.iter_var.as_str()]);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.of(&comprehension.loop_cond)?;
        let step = self.of(&comprehension.loop_step);
        let result = step.and_then(|_| self.of(&comprehension.result));
        self.bound.truncate(before);
        // `all` and `exists` begin with a bool, `map` and `filter` with a list.
        match (&comprehension.accu_init.expr, result?) {
            (Expr::Literal(LiteralValue::Boolean(_)), _) | (_, Kind::Bool) => Ok(Kind::Bool),
            (Expr::List(_), _) => Ok(Kind::List),
            _ => Ok(Kind::Any),
        }
    }

    fn call(&mut self, id: u64, call: &'a CallExpr) -> Result<Kind, Wrong> {
        let namespace = match call.target.as_deref() {
            Some(IdedExpr { expr: Expr::Ident(name), .. })
                if is_namespace(name) && !self.bound.contains(&name.as_str()) =>
            {
                Some(name)
            }
            _ => None,
        };
        let target = match (&call.target, namespace) {
            (Some(target), None) => Some(self.of(target)?),
            _ => None,
        };
        let arguments: Vec<Kind> =
            call.args.iter().map(|argument| self.of(argument)).collect::<Result<_, _>>()?;
        if let Some(result) = operator(id, &call.func_name, &arguments)? {
            return Ok(result);
        }
        if call.func_name == "matches"
            && let Some(IdedExpr { id, expr: Expr::Literal(LiteralValue::String(pattern)) }) =
                call.args.last()
        {
            regexes::make(pattern.inner()).map_err(|reason| Wrong { id: *id, reason })?;
        }
        let name =
            namespace.map_or_else(|| call.func_name.clone(), |space| format!("{space}.{}", call.func_name));
        function(id, &name, target, arguments.len())
    }
}

fn literal_type(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) => Kind::Double,
        LiteralValue::Int(_) => Kind::Int,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::String,
        LiteralValue::UInt(_) => Kind::UInt,
    }
}

/// The sign of an operator, as it is written.
pub fn sign(name: &str) -> Option<&'static str> {
    Some(match name {
        operators::ADD | "@add" => "+",
        operators::SUBSTRACT | "@subtract" => "-",
        operators::MULTIPLY | "@multiply" => "*",
        operators::DIVIDE | "@divide" => "/",
        operators::MODULO | "@modulo" => "%",
        operators::LESS => "<",
        operators::LESS_EQUALS => "<=",
        operators::GREATER => ">",
        operators::GREATER_EQUALS => ">=",
        operators::EQUALS => "==",
        operators::NOT_EQUALS => "!=",
        operators::LOGICAL_AND => "&&",
        operators::LOGICAL_OR => "||",
        operators::LOGICAL_NOT => "!",
        operators::NEGATE => "-",
        operators::IN => "in",
        operators::INDEX | operators::OPT_INDEX => "[]",
        operators::OPT_SELECT | "_._" => ".",
        operators::CONDITIONAL => "? :",
        _ => return None,
    })
}

/// What an operator gives; `None` where the name is a function's.
fn operator(id: u64, name: &str, arguments: &[Kind]) -> Result<Option<Kind>, Wrong> {
    let sign = sign(name);
    let wrong = |reason: String| Wrong { id, reason };
    let bool_only = |of: &Kind| match of {
        Kind::Any | Kind::Bool => Ok(()),
        other => {
            let what = sign.unwrap_or(name);
            Err(wrong(format!("`{what}` needs a bool, and this is {}", other.describe())))
        }
    };
    let result = match (name, arguments) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
            arguments.iter().try_for_each(bool_only)?;
            Kind::Bool
        }
        (operators::NOT_STRICTLY_FALSE, _) => Kind::Bool,
        (operators::EQUALS | operators::NOT_EQUALS, _) => Kind::Bool,
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [left, right],
        ) => {
            let same = left == right && !matches!(left, Kind::List | Kind::Map | Kind::Null | Kind::OfType);
            let known = *left != Kind::Any && *right != Kind::Any;
            if known && !same && !(left.is_number() && right.is_number()) {
                let reason = format!("{} and {} cannot be compared", left.describe(), right.describe());
                return Err(wrong(reason));
            }
            Kind::Bool
        }
        (operators::IN, [_, container]) => {
            if !matches!(container, Kind::Any | Kind::List | Kind::Map) {
                return Err(wrong(format!(
                    "`in` needs a list or a map, and this is {}",
                    container.describe()
                )));
            }
            Kind::Bool
        }
        (operators::CONDITIONAL, [condition, then, otherwise]) => {
            bool_only(condition)?;
            if then == otherwise { *then } else { Kind::Any }
        }
        (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => Kind::Any,
        (operators::NEGATE, [of]) => {
            if !matches!(of, Kind::Any | Kind::Int | Kind::Double | Kind::Duration) {
                return Err(wrong(format!("{} has no negative", of.describe())));
            }
            *of
        }
        (
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO,
            [left, right],
        ) => arithmetic(name, *left, *right).ok_or_else(|| {
            let sign = sign.unwrap_or(name);
            wrong(format!("`{sign}` cannot be applied to {} and {}", left.describe(), right.describe()))
        })?,
        _ => return Ok(None),
    };
    Ok(Some(result))
}

/// Kinds of numbers may be mixed (see `numbers.rs`); `None` where the two can never be combined.
fn arithmetic(name: &str, left: Kind, right: Kind) -> Option<Kind> {
    match (left, right) {
        (Kind::Any, _) | (_, Kind::Any) => Some(Kind::Any),
        (left, right) if left.is_number() && right.is_number() => {
            Some(if left == right { left } else { Kind::Any })
        }
        (Kind::String, Kind::String) | (Kind::Bytes, Kind::Bytes) | (Kind::List, Kind::List)
            if name == operators::ADD =>
        {
            Some(left)
        }
        (Kind::Timestamp, Kind::Duration) if matches!(name, operators::ADD | operators::SUBSTRACT) => {
            Some(Kind::Timestamp)
        }
        (Kind::Duration, Kind::Timestamp) if name == operators::ADD => Some(Kind::Timestamp),
        (Kind::Duration, Kind::Duration) if matches!(name, operators::ADD | operators::SUBSTRACT) => {
            Some(Kind::Duration)
        }
        (Kind::Timestamp, Kind::Timestamp) if name == operators::SUBSTRACT => Some(Kind::Duration),
        _ => None,
    }
}

fn function(id: u64, name: &str, target: Option<Kind>, arguments: usize) -> Result<Kind, Wrong> {
    let member = target.is_some();
    let named: Vec<&Function> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
    let fits = |function: &&&Function| {
        function.member == member && (function.arguments.0..=function.arguments.1).contains(&arguments)
    };
    if let Some(function) = named.iter().find(fits) {
        return Ok(function.result);
    }
    let wrong = |reason| Err(Wrong { id, reason });
    let Some(function) = named.iter().find(|function| function.member == member).or(named.first()) else {
        let near =
            closest(name, FUNCTIONS.iter().map(|function| function.name).filter(|name| !name.contains('@')));
        let help = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return wrong(format!("there is no function `{name}`{help}"));
    };
    if function.member != member {
        let how = if function.member { format!("x.{name}(…)") } else { format!("{name}(x, …)") };
        return wrong(format!("`{name}` is called as `{how}`"));
    }
    let count = match function.arguments {
        (least, most) if least == most => least.to_string(),
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) => format!("{least} or {most}"),
    };
    wrong(format!("`{name}` takes {count} arguments, and here are {arguments}"))
}

fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    scored.filter(|(distance, known)| *distance <= known.len().max(3) / 3).min().map(|(_, known)| known)
}
