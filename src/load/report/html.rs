//! The report as one page that works offline.

use std::time::Duration;

use super::{
    Report, STYLE,
    plot::{Axis, Line, Mark, Plot, Scale, escape},
    summary::{count, describe_knee, share},
};
use crate::load::{
    Interval, PhaseResults, Results, Totals,
    measure::merged,
    threshold::{amount, time},
};

/// The most points in a plot.
const POINTS: usize = 150;

/// The whole page: style, plots and tables are in it.
pub(super) fn page(report: &Report<'_>) -> String {
    let name = escape(&report.script.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: load report</title>\n<style>\n{STYLE}</style></head>\n<body>\n"
    );
    page.push_str(&head(report, &name));
    page.push_str(&tiles(&report.results.totals));
    page.push_str(&thresholds(report));
    for plot in plots(report.results) {
        page.push_str(&plot.svg());
    }
    page.push_str(&knees(report));
    page.push_str(&phases(report.results));
    page.push_str(&what_went_wrong(report.results));
    page.push_str("</body></html>\n");
    page
}

fn head(report: &Report<'_>, name: &str) -> String {
    let (class, verdict) = match report.missed() {
        0 => ("ok", "✓ all thresholds are met".to_owned()),
        1 => ("bad", "✗ one threshold is not met".to_owned()),
        missed => ("bad", format!("✗ {missed} thresholds are not met")),
    };
    let stopped = if report.results.stopped { ", stopped before its end" } else { "" };
    format!(
        "<header><h1>{name}</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n<p class=\"dim\">{} · {} · {}{stopped}</p></header>\n",
        escape(&report.target),
        humantime::format_rfc3339_seconds(report.results.began),
        time(report.results.totals.lasted),
    )
}

fn tiles(totals: &Totals) -> String {
    let at = |quantile| match totals.latency.is_empty() {
        true => "-".to_owned(),
        false => micros(totals.latency.value_at_quantile(quantile) as f64),
    };
    let tiles = [
        ("asked", count(totals.planned)),
        ("right", count(totals.answered)),
        ("right a second", amount(totals.rate())),
        ("p50", at(0.5)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("max", at(1.0)),
        ("errors", share(totals.errors(), totals.planned)),
        ("wrong", count(totals.wrong)),
        ("lost", count(totals.lost)),
        ("double", count(totals.double)),
        ("late", count(totals.late)),
    ];
    let tiles: String =
        tiles.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    format!("<dl class=\"tiles\">\n{tiles}</dl>\n")
}

fn thresholds(report: &Report<'_>) -> String {
    let row = |outcome: &crate::load::Outcome| {
        let (class, verdict) = if outcome.met { ("ok", "✓ met") } else { ("bad", "✗ missed") };
        let cells = [escape(&outcome.threshold), escape(&outcome.measured)];
        format!("<tr><td>{}</td><td>{}</td><td class=\"{class}\">{verdict}</td></tr>\n", cells[0], cells[1])
    };
    let rows: String = report.outcomes.iter().map(row).collect();
    format!(
        "<h2>Thresholds</h2>\n<table><tr><th>must hold</th><th>measured</th><th></th></tr>\n{rows}</table>\n\
         <h2>The run</h2>\n"
    )
}

fn plots(results: &Results) -> Vec<Plot> {
    let together = results.intervals.len().div_ceil(POINTS).max(1);
    let length = results.interval * together as u32;
    let intervals = merged(&results.intervals, together);
    let marks = || {
        let phase = |phase: &PhaseResults| Mark { at: phase.began.as_secs_f64(), name: phase.name.clone() };
        results.phases.iter().filter(|phase| phase.totals.planned > 0).map(phase).collect()
    };
    vec![
        latency_over_time(&intervals, length, marks()),
        rate_over_time(&intervals, length, marks()),
        percentiles(results),
    ]
}

fn over_time(intervals: usize, length: Duration) -> Axis {
    Axis {
        scale: Scale::Linear,
        range: (0.0, (intervals.max(1) as f64) * length.as_secs_f64()),
        write: seconds,
    }
}

/// A line with a value for each interval, in its middle.
fn line(
    name: &str,
    intervals: &[Interval],
    length: Duration,
    value: impl Fn(&Interval) -> Option<f64>,
) -> Line {
    let middle = |index: usize| (index as f64 + 0.5) * length.as_secs_f64();
    let point = |(index, interval)| Some((middle(index), value(interval)?));
    Line { name: name.to_owned(), points: intervals.iter().enumerate().map(point).collect() }
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> + Clone {
    lines.iter().flat_map(|line| line.points.iter().flatten().map(|(_, y)| *y))
}

fn latency_over_time(intervals: &[Interval], length: Duration, marks: Vec<Mark>) -> Plot {
    let at = |quantile: f64| {
        move |interval: &Interval| {
            (!interval.latency.is_empty()).then(|| interval.latency.value_at_quantile(quantile) as f64)
        }
    };
    let lines = vec![
        line("p50", intervals, length, at(0.5)),
        line("p99", intervals, length, at(0.99)),
        line("max", intervals, length, at(1.0)),
    ];
    Plot {
        title: "Latency by planned time".to_owned(),
        x: over_time(intervals.len(), length),
        y: Axis::logarithmic(values(&lines), micros),
        lines,
        marks,
    }
}

fn rate_over_time(intervals: &[Interval], length: Duration, marks: Vec<Mark>) -> Plot {
    let rate = |count: fn(&Interval) -> u64| {
        move |interval: &Interval| Some(count(interval) as f64 / length.as_secs_f64())
    };
    let lines = vec![
        line("right", intervals, length, rate(|interval| interval.answered)),
        line("asked", intervals, length, rate(|interval| interval.planned)),
        line("errors", intervals, length, rate(|interval| interval.errors)),
    ];
    Plot {
        title: "Requests a second".to_owned(),
        x: over_time(intervals.len(), length),
        y: Axis::from_zero(values(&lines), per_second),
        lines,
        marks,
    }
}

/// The whole distribution, with the rare part stretched out: 1 in 10, 1 in 100, …
fn percentiles(results: &Results) -> Plot {
    let totals = [("latency", &results.totals.latency), ("send delay", &results.totals.delay)];
    let of = |(name, distribution): (&str, &crate::load::Distribution)| {
        let points =
            distribution.iter_quantiles(5).filter(|value| value.quantile_iterated_to() < 1.0).map(|value| {
                Some((1.0 / (1.0 - value.quantile_iterated_to()), value.value_iterated_to() as f64))
            });
        Line { name: name.to_owned(), points: points.collect() }
    };
    let lines: Vec<Line> = totals.into_iter().map(of).collect();
    let most = (results.totals.latency.len() as f64).max(100.0);
    Plot {
        title: "Percentiles: the latency of all but one request in …".to_owned(),
        x: Axis { scale: Scale::Logarithmic, range: (1.0, most * 2.0), write: one_in },
        y: Axis::logarithmic(values(&lines), micros),
        lines,
        marks: Vec::new(),
    }
}

fn knees(report: &Report<'_>) -> String {
    let mut text = String::new();
    for (name, knee) in report.knees() {
        let Some(phase) = report.results.phases.iter().find(|phase| phase.name == name) else { continue };
        text.push_str(&format!(
            "<h2>{}</h2>\n<p>{}</p>\n",
            escape(name),
            escape(&describe_knee(knee.as_ref()))
        ));
        let mark = || {
            let rate = knee.as_ref().and_then(|knee| knee.rate);
            rate.map(|at| Mark { at, name: "knee".to_owned() }).into_iter().collect::<Vec<_>>()
        };
        let used = || phase.windows.iter().filter(|window| window.planned > 0);
        let asked = || Axis::from_zero(used().map(|window| window.asked_rate()), per_second);
        let lines = vec![Line {
            name: "right".to_owned(),
            points: used().map(|window| Some((window.asked_rate(), window.answered_rate()))).collect(),
        }];
        let y = Axis::from_zero(values(&lines), per_second);
        let title = "Right answers a second by what was asked a second".to_owned();
        text.push_str(&Plot { title, x: asked(), y, lines, marks: mark() }.svg());
        let at = |name: &str, quantile: f64| Line {
            name: name.to_owned(),
            points: used()
                .map(|window| {
                    Some((window.asked_rate(), window.latency.value_at_quantile(quantile) as f64))
                        .filter(|(_, y)| *y > 0.0)
                })
                .collect(),
        };
        let lines = vec![at("p50", 0.5), at("p99", 0.99)];
        let y = Axis::logarithmic(values(&lines), micros);
        let title = "Latency by what was asked a second".to_owned();
        text.push_str(&Plot { title, x: asked(), y, lines, marks: mark() }.svg());
    }
    text
}

fn phases(results: &Results) -> String {
    let mut rows = String::new();
    for phase in &results.phases {
        let at = |quantile| match phase.totals.latency.is_empty() {
            true => "-".to_owned(),
            false => micros(phase.totals.latency.value_at_quantile(quantile) as f64),
        };
        let note = if phase.measured { "" } else { " <span class=\"dim\">(does not count)</span>" };
        rows.push_str(&format!("<tr><td>{}{note}</td>", escape(&phase.name)));
        let cells = [
            count(phase.totals.planned),
            count(phase.totals.answered),
            per_second(phase.totals.rate()),
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0),
            count(phase.totals.errors()),
        ];
        for cell in cells {
            rows.push_str(&format!("<td>{cell}</td>"));
        }
        rows.push_str("</tr>\n");
    }
    let head: String = ["asked", "right", "rate", "p50", "p90", "p99", "p99.9", "max", "errors"]
        .map(|name| format!("<th>{name}</th>"))
        .concat();
    format!(
        "<h2>Phases</h2>\n<div class=\"scroll\"><table><tr><th>phase</th>{head}</tr>\n{rows}</table></div>\n"
    )
}

fn what_went_wrong(results: &Results) -> String {
    let failures =
        results.totals.failures.iter().map(|(kind, number)| format!("{} x {kind}", count(*number)));
    let lines: String = failures
        .chain(results.samples.iter().cloned())
        .map(|line| format!("<li>{}</li>\n", escape(&line)))
        .collect();
    if lines.is_empty() { String::new() } else { format!("<h2>What went wrong</h2>\n<ul>\n{lines}</ul>\n") }
}

fn micros(value: f64) -> String {
    time(Duration::from_secs_f64(value / 1e6))
}

fn per_second(rate: f64) -> String {
    format!("{}/s", amount(rate))
}

fn one_in(number: f64) -> String {
    amount(number)
}

/// A time of the run.
fn seconds(seconds: f64) -> String {
    match seconds {
        ..300.0 => format!("{} s", amount(seconds)),
        ..10_800.0 => format!("{} min", amount(seconds / 60.0)),
        _ => format!("{} h", amount(seconds / 3_600.0)),
    }
}
