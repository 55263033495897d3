//! The functions that an expression may call, and what they return.
//!
//! CEL's standard definitions, and its extensions for strings, lists, numbers and base64. They are listed here because the
//! interpreter knows a function only when it is called, and a wrong name must be reported when the file is read.

use super::kind::Kind;

/// One function: how it is called, with how many arguments, and what comes back.
pub struct Function {
    /// With its namespace, where it has one: `math.abs`.
    pub name: &'static str,
    /// Whether it is called on a value: `key.startsWith('a')`.
    pub member: bool,
    /// The fewest and the most arguments, without the value that it is called on.
    pub arguments: (usize, usize),
    /// What it returns.
    pub result: Kind,
}

const fn global(name: &'static str, least: usize, most: usize, result: Kind) -> Function {
    Function { name, member: false, arguments: (least, most), result }
}

const fn member(name: &'static str, least: usize, most: usize, result: Kind) -> Function {
    Function { name, member: true, arguments: (least, most), result }
}

/// All of them.
pub const FUNCTIONS: &[Function] = &[
    global("size", 1, 1, Kind::Int),
    member("size", 0, 0, Kind::Int),
    global("int", 1, 1, Kind::Int),
    global("uint", 1, 1, Kind::UInt),
    global("double", 1, 1, Kind::Double),
    global("string", 1, 1, Kind::String),
    global("bytes", 1, 1, Kind::Bytes),
    global("bool", 1, 1, Kind::Bool),
    global("dyn", 1, 1, Kind::Any),
    global("type", 1, 1, Kind::OfType),
    global("timestamp", 1, 1, Kind::Timestamp),
    global("duration", 1, 1, Kind::Duration),
    member("contains", 1, 1, Kind::Bool),
    member("startsWith", 1, 1, Kind::Bool),
    member("endsWith", 1, 1, Kind::Bool),
    member("matches", 1, 1, Kind::Bool),
    global("matches", 2, 2, Kind::Bool),
    member("charAt", 1, 1, Kind::String),
    member("indexOf", 1, 2, Kind::Int),
    member("lastIndexOf", 1, 2, Kind::Int),
    member("lowerAscii", 0, 0, Kind::String),
    member("upperAscii", 0, 0, Kind::String),
    member("replace", 2, 3, Kind::String),
    member("split", 1, 2, Kind::List),
    member("join", 0, 1, Kind::String),
    member("substring", 1, 2, Kind::String),
    member("trim", 0, 0, Kind::String),
    member("reverse", 0, 0, Kind::Any),
    member("format", 1, 1, Kind::String),
    global("strings.quote", 1, 1, Kind::String),
    member("slice", 2, 2, Kind::List),
    member("flatten", 0, 1, Kind::List),
    member("distinct", 0, 0, Kind::List),
    member("sort", 0, 0, Kind::List),
    global("lists.range", 1, 1, Kind::List),
    global("math.greatest", 1, usize::MAX, Kind::Any),
    global("math.least", 1, usize::MAX, Kind::Any),
    global("math.@max", 1, 2, Kind::Any),
    global("math.@min", 1, 2, Kind::Any),
    global("math.abs", 1, 1, Kind::Any),
    global("math.sign", 1, 1, Kind::Any),
    global("math.sqrt", 1, 1, Kind::Double),
    global("math.ceil", 1, 1, Kind::Double),
    global("math.floor", 1, 1, Kind::Double),
    global("math.round", 1, 1, Kind::Double),
    global("math.trunc", 1, 1, Kind::Double),
    global("math.isNaN", 1, 1, Kind::Bool),
    global("math.isInf", 1, 1, Kind::Bool),
    global("math.isFinite", 1, 1, Kind::Bool),
    global("base64.encode", 1, 1, Kind::String),
    global("base64.decode", 1, 1, Kind::Bytes),
    member("getFullYear", 0, 1, Kind::Int),
    member("getMonth", 0, 1, Kind::Int),
    member("getDate", 0, 1, Kind::Int),
    member("getDayOfMonth", 0, 1, Kind::Int),
    member("getDayOfWeek", 0, 1, Kind::Int),
    member("getDayOfYear", 0, 1, Kind::Int),
    member("getHours", 0, 1, Kind::Int),
    member("getMinutes", 0, 1, Kind::Int),
    member("getSeconds", 0, 1, Kind::Int),
    member("getMilliseconds", 0, 1, Kind::Int),
    global("optional.of", 1, 1, Kind::Any),
    global("optional.none", 0, 0, Kind::Any),
    global("optional.ofNonZeroValue", 1, 1, Kind::Any),
    member("hasValue", 0, 0, Kind::Bool),
    member("value", 0, 0, Kind::Any),
    member("or", 1, 1, Kind::Any),
    member("orValue", 1, 1, Kind::Any),
];

/// Whether names such as `math.abs` begin so.
pub fn is_namespace(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.name.split_once('.').is_some_and(|(space, _)| space == name))
}
