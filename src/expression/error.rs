//! What is wrong with an expression, or with what it was applied to, in sentences.

use cel::ExecutionError;
use thiserror::Error;

use super::check::sign;

/// Why an expression cannot be used at all.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[error("{reason}")]
pub struct ExpressionError {
    /// Where in the expression, in bytes from its beginning.
    pub at: usize,
    /// One sentence.
    pub reason: String,
}

/// Why an expression gives nothing for a record.
#[derive(Error, Clone, PartialEq, Eq, Debug)]
#[error("`{expression}`, column {column}: {reason}")]
pub struct Failure {
    /// The expression; of a long one, the beginning.
    pub expression: String,
    /// Where it failed, in characters from 1.
    pub column: usize,
    /// What happened there.
    pub reason: String,
}

/// What the interpreter says, in a sentence. It may quote a part of the record.
pub fn describe(error: &ExecutionError) -> String {
    beginning(&sentence(error).replace("null_type", "null"), 200)
}

/// What is said where the value is needed that a tombstone does not have.
pub fn tombstone() -> String {
    "the record is a tombstone: it has no value".to_owned()
}

fn sentence(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no field `{name}`"),
        ExecutionError::NoSuchOverload(call) => applied(call.function(), call.argument_types()),
        ExecutionError::UnsupportedBinaryOperator(word, left, right) => {
            applied(word, &[left.type_of().to_string(), right.type_of().to_string()])
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", left.type_of(), right.type_of())
        }
        ExecutionError::UnexpectedType { got, want } => format!("this is {got}, and {want} is needed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the result does not fit 64 bits".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list has no such place".to_owned(),
        ExecutionError::FunctionError { function, message } if function.starts_with('@') => message.clone(),
        ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
        other => {
            let text = other.to_string();
            let mut characters = text.chars();
            let first = characters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
            first + characters.as_str()
        }
    }
}

fn applied(function: &str, types: &[String]) -> String {
    let name = match function {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => sign(other).unwrap_or(other),
    };
    match types {
        [of, _] if name == "." || name == "[]" => format!("{of} has no fields"),
        [one] => format!("`{name}` cannot be applied to {one}"),
        many => format!("`{name}` cannot be applied to {}", many.join(" and ")),
    }
}

/// The beginning of a long expression.
pub fn short(source: &str) -> String {
    beginning(source, 120)
}

/// A reason that quotes a part of the expression.
pub fn short_reason(reason: &str) -> String {
    beginning(reason, 200)
}

/// So many characters of a text, on one line.
fn beginning(text: &str, shown: usize) -> String {
    let mut beginning = String::new();
    for character in text.chars().take(shown) {
        if character.is_control() {
            beginning.extend(character.escape_default());
        } else {
            beginning.push(character);
        }
    }
    if text.chars().nth(shown).is_some() {
        beginning.push('…');
    }
    beginning
}

/// What the parser says, in plain words and without the list of all that could have stood there.
pub fn syntax(message: &str) -> String {
    let message = message.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message);
    let begins = [
        "mismatched input ",
        "extraneous input ",
        "no viable alternative at input ",
        "token recognition error at: ",
    ];
    let found = begins.iter().find_map(|begins| message.strip_prefix(begins));
    match found.map(|found| found.trim_matches('\'')) {
        Some("<EOF>") => "the expression ends too early".to_owned(),
        Some(found) => {
            let instead = match found.trim() {
                "=" => "; write `==`",
                "=>" => "; write `>=`",
                "and" | "AND" => "; write `&&`",
                "or" | "OR" => "; write `||`",
                _ => "",
            };
            format!("`{}` cannot stand here{instead}", beginning(found.trim(), 100))
        }
        None => beginning(&message.replace("<EOF>", "the end"), 200),
    }
}
