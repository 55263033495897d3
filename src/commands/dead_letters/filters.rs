//! `--class`, `--since` and the like: which dead letters are meant.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat};
use clap::Args;

use super::Failure;
use crate::{
    config::Pipeline,
    operator::{LetterCondition, LetterFilter},
};

/// Which dead letters; all that is given must hold. Last in a command: what came behind would have the same heading in its help.
#[derive(Args, Clone, Default, Debug)]
#[command(next_help_heading = "Which dead letters (all that is given must hold)")]
pub struct Filters {
    /// Those of this class, such as not-json: `pipeline dead-letters list` shows which there are
    #[arg(long)]
    class: Option<String>,
    /// Those whose records are of this time or later: 2026-01-31T12:00:00Z, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    /// Those whose records are of an earlier time, written likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Time>,
    /// Those whose records have this key, as text
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Those with this header, such as pipeline.error.topic=orders; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Those for whose records this is true, as in `filter`: `value.amount > 100`. If a record cannot be read in the format of its source
    /// topic, or the expression fails for it, it does not match
    #[arg(long, value_name = "EXPRESSION")]
    when: Option<String>,
}

/// A time that was given.
#[derive(Clone, Copy, Debug)]
struct Time {
    /// In milliseconds since 1970 UTC.
    millis: i64,
    /// Whether it was given as so long ago.
    ago: bool,
}

impl Filters {
    /// Whether nothing was given, so that all letters are meant.
    pub fn is_empty(&self) -> bool {
        let Filters { class, since, until, key, header, when } = self;
        class.is_none()
            && since.is_none()
            && until.is_none()
            && key.is_none()
            && header.is_empty()
            && when.is_none()
    }

    /// What decides for each letter of a pipeline.
    ///
    /// # Errors
    /// What was given makes no sense.
    pub fn of(&self, pipeline: &Pipeline) -> Result<LetterFilter, Failure> {
        let (since, until) = (self.since.map(|time| time.millis), self.until.map(|time| time.millis));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            let reason = "--since is not before --until, so that no dead letter matches: swap them";
            return Err(Failure::Usage(reason.to_owned()));
        }
        let source = &pipeline.source;
        let condition = |when: &String| {
            LetterCondition::new(when, &source.formats, &source.format, source.key_format.as_ref()).map_err(
                |error| {
                    let before = error.at.and_then(|at| when.get(..at)).unwrap_or_default();
                    let column = before.chars().count() + 1;
                    Failure::Usage(format!("--when '{when}', column {column}: {}", error.reason))
                },
            )
        };
        Ok(LetterFilter {
            class: self.class.clone(),
            since,
            until,
            key: self.key.clone(),
            headers: self.header.clone(),
            when: self.when.as_ref().map(condition).transpose()?,
        })
    }

    /// The times that were given as so long ago, as the same at each start: `--since 2026-01-31T12:00:00Z`; empty where none was.
    pub fn moving_times(&self) -> String {
        let times = [("--since", self.since), ("--until", self.until)].into_iter();
        let moving = times.filter_map(|(name, time)| {
            let time = time.filter(|time| time.ago)?;
            Some(format!("{name} {}", rfc3339(time.millis)))
        });
        moving.collect::<Vec<_>>().join(" ")
    }
}

/// A time as people read it, and as [`Filters`] take it.
pub fn rfc3339(millis: i64) -> String {
    let time = DateTime::from_timestamp_millis(millis);
    time.map_or_else(|| millis.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn time(text: &str) -> Result<Time, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Time { millis: time.timestamp_millis(), ago: false });
    }
    let ago = humantime::parse_duration(text).ok();
    let time = ago.and_then(|ago| SystemTime::now().checked_sub(ago)).ok_or(
        "it is neither a time such as 2026-01-31T12:00:00Z, nor how long ago, such as 2h, 30m or 7days",
    )?;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Whole seconds: whoever says it so does not mean milliseconds, and has less to write.
    Ok(Time { millis: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX / 1_000) * 1_000, ago: true })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("a header is written as NAME=VALUE, such as tenant=acme")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::load;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filters: Filters,
    }

    fn given(arguments: &[&str]) -> Result<Filters, String> {
        let line = Line::try_parse_from(["x"].iter().chain(arguments));
        line.map(|line| line.filters).map_err(|error| error.to_string())
    }

    fn of(arguments: &[&str]) -> Result<LetterFilter, String> {
        let (pipeline, _) = load("factorial.toml", &[]).map_err(|error| error.to_string())?;
        given(arguments)?.of(&pipeline).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_moments_or_so_long_ago() {
        let at = |text| time(text).map(|time| (time.millis, time.ago));
        assert_eq!(at("1970-01-01T01:00:00.5+01:00"), Ok((500, false)));
        assert_eq!(rfc3339(500), "1970-01-01T00:00:00.500Z");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
        let (millis, ago) = at("2h").unwrap();
        assert!(ago && (now - millis - 7_200_000).abs() < 60_000 && millis % 1_000 == 0, "{millis}");
        for wrong in ["yesterday", "2026-01-31", "-2h", "", "99999999999999y"] {
            assert!(at(wrong).unwrap_err().contains("such as 2h"), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_so_long_ago_moves() {
        let moving = |arguments: &[&str]| given(arguments).unwrap().moving_times();
        assert_eq!(moving(&["--since", "2026-01-31T12:00:00Z", "--class", "x"]), "");
        let both = moving(&["--since", "2026-01-31T12:00:00Z", "--until", "2h"]);
        assert!(both.starts_with("--until 2") && both.ends_with('Z'), "{both}");
        let again: Vec<&str> = both.split(' ').collect();
        assert_eq!(moving(&again), "", "it can be given as it is said");
    }

    #[test]
    fn what_is_given_becomes_one_filter() {
        assert!(given(&[]).unwrap().is_empty());
        let some = ["--class", "x", "--header", "a=b=c", "--header", "d=", "--until", "1970-01-01T00:00:01Z"];
        assert!(!given(&some).unwrap().is_empty());
        let filter = of(&some).unwrap();
        assert_eq!((filter.class.as_deref(), filter.until, filter.since), (Some("x"), Some(1_000), None));
        let headers = [("a", "b=c"), ("d", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(filter.headers, headers);
        for wrong in ["a", "=b"] {
            let error = given(&["--header", wrong]).unwrap_err();
            assert!(error.contains("NAME=VALUE, such as tenant=acme"), "{error}");
        }
        let error =
            of(&["--since", "1970-01-01T00:00:01Z", "--until", "1970-01-01T00:00:01Z"]).err().unwrap();
        assert!(error.starts_with("--since is not before --until"), "{error}");
        let error = of(&["--when", "value > 1 + 'a'"]).err().unwrap();
        let expected = "--when 'value > 1 + 'a'', column 11: `+` cannot be applied to an int and a string";
        assert_eq!(error, expected);
    }
}
