//! Thresholds, such as `p99 < 50 ms`: read with positions, and compared with what was measured.

use std::{fmt, ops::Range, time::Duration};

use super::measure::{Distribution, Totals};
use crate::settings::closest;

/// A condition that a run must meet.
///
/// ```
/// use pipeline::load::Threshold;
///
/// let threshold: Threshold = "p99 < 50 ms".parse()?;
/// assert_eq!(threshold.to_string(), "p99 < 50 ms");
/// let error = "p99 < 50".parse::<Threshold>().unwrap_err();
/// assert_eq!(error.to_string(), "`50` is not a duration");
/// # Ok::<(), pipeline::load::ThresholdError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    text: String,
    subject: Subject,
    relation: Relation,
    limit: f64,
}

/// Why a text is not a threshold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThresholdError {
    /// What is wrong, as a sentence.
    pub sentence: String,
    /// The part of the text that is wrong, in bytes.
    pub at: Range<usize>,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for ThresholdError {}

/// How a threshold turned out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The threshold as it was written.
    pub threshold: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub met: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Subject {
    Time(Timed, Statistic),
    Count(Counted, Measure),
    Rate,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Timed {
    Latency,
    Delay,
    Acknowledgement,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Statistic {
    /// Of a hundred.
    Percentile(f64),
    Mean,
    Max,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counted {
    Errors,
    Lost,
    Double,
    Wrong,
    Late,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Measure {
    Number,
    Share,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

const RELATIONS: &[(&str, Relation)] = &[
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];
const COUNTS: &[(&str, Counted)] = &[
    ("errors", Counted::Errors),
    ("lost", Counted::Lost),
    ("double", Counted::Double),
    ("wrong", Counted::Wrong),
    ("late", Counted::Late),
];
const EXAMPLES: &str = "such as \"p99 < 50 ms\", \"errors < 0.1 %\" or \"rate > 1000/s\"";
const SUBJECTS: &str = "one of a percentile such as `p99.9`, `mean`, `max` (with `delay` or `ack` before it for \
                        the delay of sending or the acknowledgement), `rate`, `errors`, `lost`, `double`, \
                        `wrong`, `late`";

impl std::str::FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let wrong = |sentence: String, at: Range<usize>, help: &str| ThresholdError {
            sentence,
            at,
            help: help.to_owned(),
        };
        let relation = RELATIONS
            .iter()
            .find_map(|(sign, relation)| Some((text.find(sign)?, sign.len(), *relation)))
            .ok_or_else(|| {
                let sentence = format!("`{text}` has no `<`, `<=`, `>`, `>=` or `=`");
                wrong(sentence, 0..text.len(), EXAMPLES)
            })?;
        let (at, length, relation) = relation;
        let (left, right) = (word(text, 0..at), word(text, at + length..text.len()));
        let subject = subject(&text[left.clone()]).map_err(|near| {
            let sentence = format!("`{}` is nothing that is measured", &text[left.clone()]);
            let help = near.map_or(SUBJECTS.to_owned(), |near| format!("did you mean `{near}`?"));
            wrong(sentence, left.clone(), &help)
        })?;
        let (subject, limit) = limit(subject, &text[right.clone()]).map_err(|(what, help)| {
            wrong(format!("`{}` is not {what}", &text[right.clone()]), right.clone(), help)
        })?;
        Ok(Threshold { text: text.trim().to_owned(), subject, relation, limit })
    }
}

/// The range without the blanks at its ends; not empty where the text is not.
fn word(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let trimmed = start..start + part.trim().len();
    if trimmed.is_empty() { range } else { trimmed }
}

/// What the text names, or an error with what was probably meant.
fn subject(text: &str) -> Result<Subject, Option<&'static str>> {
    let (timed, statistic) = match text.split_once(' ') {
        Some(("delay", rest)) => (Timed::Delay, rest.trim()),
        Some(("ack", rest)) => (Timed::Acknowledgement, rest.trim()),
        _ => (Timed::Latency, text),
    };
    match statistic {
        "mean" => return Ok(Subject::Time(timed, Statistic::Mean)),
        "max" => return Ok(Subject::Time(timed, Statistic::Max)),
        "rate" => return Ok(Subject::Rate),
        _ => {}
    }
    let percentile = statistic.strip_prefix('p').and_then(|of| of.parse::<f64>().ok());
    if let Some(percentile) = percentile.filter(|of| (0.0..=100.0).contains(of)) {
        return Ok(Subject::Time(timed, Statistic::Percentile(percentile)));
    }
    if let Some((_, counted)) = COUNTS.iter().find(|(name, _)| *name == text) {
        return Ok(Subject::Count(*counted, Measure::Number));
    }
    let names = COUNTS.iter().map(|(name, _)| *name).chain(["mean", "max", "rate"]);
    Err(closest(statistic, names))
}

/// The number to compare with, in microseconds, requests a second, requests, or a share of 1.
fn limit(subject: Subject, text: &str) -> Result<(Subject, f64), (&'static str, &'static str)> {
    let number =
        |text: &str| text.trim().replace('_', "").parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    match subject {
        Subject::Time(..) => {
            let duration = humantime::parse_duration(text)
                .map_err(|_| ("a duration", "write a number and a unit, such as `50 ms` or `2 s`"))?;
            Ok((subject, duration.as_secs_f64() * 1e6))
        }
        Subject::Rate => rate(text)
            .map(|rate| (subject, rate))
            .ok_or(("a rate", "write requests in some time, such as `1000/s` or `100/min`")),
        Subject::Count(counted, _) => {
            let share = text.strip_suffix('%');
            let number = number(share.unwrap_or(text))
                .ok_or(("a number or a share", "write a number, or a share such as `0.1 %`"))?;
            match share {
                Some(_) => Ok((Subject::Count(counted, Measure::Share), number / 100.0)),
                None => Ok((Subject::Count(counted, Measure::Number), number)),
            }
        }
    }
}

/// A rate such as `1000/s`, in requests a second.
pub(super) fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let number: f64 = number.trim().replace('_', "").parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number / seconds)
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// Compares it with what was measured. Where nothing was answered, no percentile is met.
    pub fn check(&self, totals: &Totals) -> Outcome {
        let measured = match self.subject {
            Subject::Time(timed, statistic) => {
                let distribution = match timed {
                    Timed::Latency => &totals.latency,
                    Timed::Delay => &totals.delay,
                    Timed::Acknowledgement => &totals.acknowledgement,
                };
                (!distribution.is_empty()).then(|| statistic.of(distribution))
            }
            Subject::Rate => Some(totals.rate()),
            Subject::Count(counted, measure) => {
                let count = counted.of(totals) as f64;
                match measure {
                    Measure::Number => Some(count),
                    Measure::Share => (totals.planned > 0).then(|| count / totals.planned as f64),
                }
            }
        };
        let met = measured.is_some_and(|measured| self.relation.holds(measured, self.limit));
        let measured = measured.map_or_else(|| "nothing".to_owned(), |measured| self.subject.show(measured));
        Outcome { threshold: self.text.clone(), measured, met }
    }

    /// Whether it is about answers of that kind, and so says how many of them are acceptable.
    pub fn is_about(&self, kind: &str) -> bool {
        matches!(self.subject, Subject::Count(counted, _) if COUNTS.contains(&(kind, counted)))
    }
}

impl Statistic {
    fn of(self, distribution: &Distribution) -> f64 {
        match self {
            Statistic::Percentile(of) => distribution.value_at_quantile(of / 100.0) as f64,
            Statistic::Mean => distribution.mean(),
            Statistic::Max => distribution.max() as f64,
        }
    }
}

impl Counted {
    fn of(self, totals: &Totals) -> u64 {
        match self {
            Counted::Errors => totals.errors(),
            Counted::Lost => totals.lost,
            Counted::Double => totals.double,
            Counted::Wrong => totals.wrong,
            Counted::Late => totals.late,
        }
    }
}

impl Relation {
    fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Relation::Below => measured < limit,
            Relation::AtMost => measured <= limit,
            Relation::Above => measured > limit,
            Relation::AtLeast => measured >= limit,
            Relation::Equal => measured == limit,
        }
    }
}

impl Subject {
    fn show(self, measured: f64) -> String {
        match self {
            Subject::Time(..) => time(Duration::from_secs_f64(measured / 1e6)),
            Subject::Rate => format!("{}/s", amount(measured)),
            Subject::Count(_, Measure::Number) => format!("{measured}"),
            Subject::Count(_, Measure::Share) => format!("{} %", amount(measured * 100.0)),
        }
    }
}

/// A duration as people read it: three figures and a unit.
pub(crate) fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} us"),
        ..1_000_000.0 => format!("{} ms", amount(micros / 1e3)),
        ..120_000_000.0 => format!("{} s", amount(micros / 1e6)),
        _ => humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string(),
    }
}

/// A number with three figures, or as many as it has before the point.
pub(crate) fn amount(number: f64) -> String {
    match number {
        _ if number == 0.0 => "0".to_owned(),
        ..0.001 => format!("{number:.1e}"),
        ..1.0 => trimmed(format!("{number:.3}")),
        ..10.0 => trimmed(format!("{number:.2}")),
        ..100.0 => trimmed(format!("{number:.1}")),
        _ => indicatif::HumanCount(number.round() as u64).to_string(),
    }
}

fn trimmed(decimal: String) -> String {
    decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Threshold {
        text.parse().unwrap_or_else(|error: ThresholdError| panic!("{text}: {error}"))
    }

    /// A hundred requests in 10 s: 98 right after 1 to 98 ms, one wrong, one lost.
    fn totals() -> Totals {
        let mut totals = Totals { planned: 100, answered: 98, wrong: 1, lost: 1, ..Totals::default() };
        totals.lasted = Duration::from_secs(10);
        totals.failures.insert("no answer in time".to_owned(), 1);
        for millis in 1..=98 {
            totals.latency.saturating_record(millis * 1_000);
        }
        totals
    }

    #[track_caller]
    fn assert_outcome(text: &str, measured: &str, met: bool) {
        let outcome = parse(text).check(&totals());
        assert_eq!((outcome.measured.as_str(), outcome.met), (measured, met), "{text}");
    }

    #[test]
    fn percentiles_shares_counts_and_rates_are_held_against_what_was_measured() {
        assert_outcome("p50 < 50 ms", "49 ms", true);
        assert_outcome("p99.9<98ms", "98 ms", false);
        assert_outcome("max <= 1 s", "98 ms", true);
        assert_outcome("mean > 1 min", "49.5 ms", false);
        assert_outcome("errors < 2 %", "2 %", false);
        assert_outcome("errors <= 2 %", "2 %", true);
        assert_outcome("errors < 3", "2", true);
        assert_outcome("wrong = 0", "1", false);
        assert_outcome("lost = 1", "1", true);
        assert_outcome("double = 0 %", "0 %", true);
        assert_outcome("rate >= 588/min", "9.8/s", true);
        assert_outcome("rate > 1_000/s", "9.8/s", false);
    }

    #[test]
    fn what_nothing_was_measured_of_is_not_met() {
        assert_outcome("ack p99 < 1 h", "nothing", false);
        assert_outcome("delay max < 1 h", "nothing", false);
        let outcome = parse("errors < 1 %").check(&Totals::default());
        assert_eq!((outcome.measured.as_str(), outcome.met), ("nothing", false));
    }

    #[test]
    fn an_error_names_the_word_and_what_to_write() {
        let cases = [
            ("p99 50 ms", "p99 50 ms", "`<`, `<=`", "such as \"p99 < 50 ms\""),
            ("p990 < 50 ms", "p990", "is nothing that is measured", "one of a percentile"),
            ("erors < 1 %", "erors", "is nothing that is measured", "did you mean `errors`?"),
            ("delay maxx < 1 s", "delay maxx", "is nothing that is measured", "did you mean `max`?"),
            ("p99 < 50", "50", "is not a duration", "`50 ms`"),
            ("rate > 1000", "1000", "is not a rate", "`1000/s`"),
            ("rate > 1/day", "1/day", "is not a rate", "`1000/s`"),
            ("errors < 1 percent", "1 percent", "is not a number or a share", "`0.1 %`"),
            ("errors < -1", "-1", "is not a number or a share", "`0.1 %`"),
            ("p99 <", "", "is not a duration", "`50 ms`"),
        ];
        for (text, word, sentence, help) in cases {
            let error = text.parse::<Threshold>().unwrap_err();
            assert_eq!(&text[error.at.clone()], word, "{text}");
            assert!(error.sentence.contains(sentence) && error.help.contains(help), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_threshold_on_a_kind_of_answer_is_about_it() {
        assert!(parse("double < 0.1 %").is_about("double"));
        assert!(!parse("errors < 0.1 %").is_about("double"));
        assert!(!parse("p99 < 1 s").is_about("double"));
    }

    #[test]
    fn times_and_amounts_have_three_figures() {
        let texts = [0, 999, 1_000, 12_345, 999_500, 2_000_000, 61_500_000, 7_200_000_000]
            .map(|micros| time(Duration::from_micros(micros)));
        assert_eq!(texts, ["0 us", "999 us", "1 ms", "12.3 ms", "1,000 ms", "2 s", "61.5 s", "2h"]);
        assert_eq!(
            [0.0, 0.0004, 0.25, 9.8, 49.04, 1_234.4].map(amount),
            ["0", "4.0e-4", "0.25", "9.8", "49", "1,234"]
        );
    }
}
