//! `matches`, with regular expressions that are made once.
//!
//! CEL's own makes the regular expression anew for each record, which takes a hundred times as long as matching.

use std::cell::RefCell;

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE},
        value::CowVal,
    },
};
use lru::LruCache;
use regex::{Regex, RegexBuilder};

use super::bounds;

/// The function's name.
pub const MATCHES: &str = "@matches";
/// How many are kept for each thread. The compiler sees that it is not zero.
const KEPT: std::num::NonZeroUsize = std::num::NonZeroUsize::new(64).unwrap();
/// What one may take, in bytes.
const SIZE: usize = 1 << 20;
/// How many steps making one counts as.
const STEPS: u64 = 1_000;

thread_local! {
    static MADE: RefCell<LruCache<String, Regex>> = RefCell::new(LruCache::new(KEPT));
}

/// Makes the function known to the interpreter.
pub fn install(env: &mut Env) {
    let text = || STRING_TYPE.to_owned();
    let added = [
        env.add_member_overload(MATCHES, "text_matches", text(), vec![text()], matches),
        env.add_overload(MATCHES, "matches_text", vec![text(), text()], matches),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "the name is taken");
}

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [Some(text), Some(pattern)] = [0, 1].map(|place| arguments.get(place)?.downcast_ref::<CelString>())
    else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let found = MADE.with_borrow_mut(|made| match made.get(pattern.inner()) {
        Some(regex) => Ok(regex.is_match(text.inner())),
        None => {
            bounds::spend(STEPS)?;
            let regex =
                make(pattern.inner()).map_err(|reason| ExecutionError::function_error(MATCHES, reason))?;
            let found = regex.is_match(text.inner());
            made.put(pattern.inner().to_owned(), regex);
            Ok(found)
        }
    });
    Ok(CowVal::owned(CelBool::from(found?)))
}

/// A regular expression, or why it is none.
pub fn make(pattern: &str) -> Result<Regex, String> {
    let made = RegexBuilder::new(pattern).size_limit(SIZE).build();
    made.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("`{pattern}` is no regular expression: {last}")
        }
    })
}
