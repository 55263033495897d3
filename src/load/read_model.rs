//! Reads the load model of a phase: `rate`, `ramp`, `steps`, `spike` or `users`.

use std::{ops::RangeInclusive, time::Duration};

use super::{plan::Profile, script::LoadModel, threshold};
use crate::{
    config::positive,
    settings::{Reader, Value},
};

/// The highest rate: no client is faster, so a higher one is a typing mistake.
const FASTEST: f64 = 10_000_000.0;
const KINDS: [&str; 5] = ["rate", "ramp", "steps", "spike", "users"];

/// Reads the one that the phase has. It looks for all of them, so that each counts as a known setting.
pub(super) fn read(table: &Reader<'_>, time: Option<Duration>, count: Option<u64>) -> Option<LoadModel> {
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| table.node(kind).is_some()).collect();
    let pause = table.duration("pause");
    let [kind] = given[..] else {
        let sentence = match given[..] {
            [] => format!("`{}` does not set when to send requests", table.path()),
            _ => format!("`{}` asks in more than one way", table.path()),
        };
        let help = "write one of `rate`, `ramp`, `steps`, `spike` and `users`";
        table.say(table.origin(), sentence, Some(help.to_owned()));
        return None;
    };
    if pause.is_some() && kind != "users" {
        let sentence =
            format!("`{}.pause` is for `users` only: planned times do not depend on answers", table.path());
        table.say(table.origin(), sentence, None);
    }
    match kind {
        "users" => {
            let users = table.integer("users", 1..=100_000).and_then(|users| u32::try_from(users).ok());
            needs_an_end(table, time.is_some() || count.is_some());
            Some(LoadModel::Closed { users: users?, pause: pause.unwrap_or_default() })
        }
        "rate" => constant(table, time, count),
        _ => {
            let inner = table.inner(kind, table.node(kind)?);
            let load = varying(kind, &inner, time);
            inner.finish();
            needs_time(table, kind, time.is_some());
            load
        }
    }
}

fn constant(table: &Reader<'_>, time: Option<Duration>, count: Option<u64>) -> Option<LoadModel> {
    let rate = rate(table, "rate")?;
    needs_an_end(table, time.is_some() || count.is_some());
    if rate == 0.0 && time.is_none() {
        table.say(table.origin(), format!("`{}` never asks", table.path()), None);
        return None;
    }
    // A count alone lasts as long as it takes, plus half an interval so that the last request is in it.
    let lasts = time.or_else(|| Duration::try_from_secs_f64((count? as f64 + 0.5) / rate).ok())?;
    Some(LoadModel::Open(Profile::constant(rate, lasts)))
}

fn varying(kind: &str, table: &Reader<'_>, time: Option<Duration>) -> Option<LoadModel> {
    let required = |key: &str, what: &str| table.required(key, rate(table, key), what);
    let profile = match kind {
        "ramp" => {
            let from = required("from", "the rate at its beginning");
            let to = required("to", "the rate at its end");
            Profile::ramp(from?, to?, time?)
        }
        "steps" => {
            let from = required("from", "the rate of the first step");
            let to = required("to", "the rate of the last step");
            let count = table.integer("count", 2..=200).and_then(|count| u32::try_from(count).ok());
            let count = table.required("count", count, "how many steps there are");
            Profile::steps(from?, to?, count?, time?)
        }
        _ => {
            let base = required("base", "the rate before and after the spike");
            let peak = required("peak", "the rate of the spike");
            let lasts = table.required("lasts", positive(table, "lasts"), "how long the spike lasts");
            let (lasts, time) = (lasts?, time?);
            if lasts > time {
                let sentence = format!("`{}.lasts` is longer than the whole phase", table.path());
                table.say(table.origin(), sentence, None);
                return None;
            }
            Profile::spike(base?, peak?, lasts, time)
        }
    };
    Some(LoadModel::Open(profile))
}

fn needs_an_end(table: &Reader<'_>, has: bool) {
    if !has {
        let sentence = format!("`{}` would never end", table.path());
        table.say(table.origin(), sentence, Some("write `time`, `count`, or both".to_owned()));
    }
}

fn needs_time(table: &Reader<'_>, kind: &str, has: bool) {
    if !has {
        let sentence = format!("`{}` has a `{kind}` and no `time`", table.path());
        table.say(table.origin(), sentence, Some("say how long it lasts: `time = \"30 s\"`".to_owned()));
    }
}

/// Requests a second: a number, or a string such as `6000/min`.
fn rate(table: &Reader<'_>, key: &str) -> Option<f64> {
    let node = table.node(key)?;
    let rate = match &node.value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(text) => text.replace('_', "").parse().ok(),
        Value::String(text) => threshold::rate(&text.value),
        _ => None,
    };
    let legal = rate.filter(|rate: &f64| (0.0..=FASTEST).contains(rate));
    if legal.is_none() {
        let sentence = format!("`{}` is not a rate", table.path_of(key));
        let help = "write requests a second, such as `100`, or \"6000/min\"; at most 10,000,000 a second";
        table.say(&node.origin, sentence, Some(help.to_owned()));
    }
    legal
}

/// A number in a range.
pub(super) fn number(table: &Reader<'_>, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
    let node = table.node(key)?;
    let number = match &node.value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(text) => text.replace('_', "").parse().ok(),
        _ => None,
    };
    let legal = number.filter(|number| range.contains(number));
    if legal.is_none() {
        let (low, high) = (range.start(), range.end());
        let sentence = format!("`{}` must be a number, {low} to {high}", table.path_of(key));
        table.say(&node.origin, sentence, None);
    }
    legal
}
