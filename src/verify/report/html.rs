//! The report as one page that works offline.

use super::{Report, mib, millis, seconds};
use crate::{
    load::report::{
        STYLE,
        plot::{Axis, Line, Mark, Plot, Scale, escape},
    },
    verify::{evidence::time, minutes::Minute, run::Happened},
};

/// The most points of a plot.
const POINTS: usize = 200;

/// Renders a self-contained page: style, plots and tables are inline.
pub(super) fn page(report: &Report<'_>) -> String {
    let name = escape(&report.settings.pipeline.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: what holds when things break</title>\n<style>\n{STYLE}</style></head>\n<body>\n"
    );
    page.push_str(&head(report, &name));
    page.push_str(&tiles(report));
    page.push_str(&plot(report).svg());
    page.push_str(&by_fault(report));
    page.push_str(&what_is_wrong(report));
    page.push_str(&timeline(report));
    page.push_str(&by_minute(report));
    page.push_str(&format!(
        "<h2>Again</h2>\n<p><code>{}</code></p>\n</body></html>\n",
        escape(&report.command)
    ));
    page
}

fn head(report: &Report<'_>, name: &str) -> String {
    let (class, verdict) = match report.outcome.verdict.broken.len() {
        0 => ("ok", "✓ every promise was kept".to_owned()),
        1 => ("bad", "✗ one thing is not as it must be".to_owned()),
        broken => ("bad", format!("✗ {broken} things are not as they must be")),
    };
    let stopped = if report.outcome.stopped { ", stopped before its end" } else { "" };
    format!(
        "<header><h1>{name}</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n<p class=\"dim\">{} · {} · {} · {}{stopped}</p></header>\n",
        escape(&report.promise()),
        escape(&report.circumstances()),
        time(report.outcome.began),
        seconds(Some(report.lasted())),
    )
}

fn tiles(report: &Report<'_>) -> String {
    let verdict = &report.outcome.verdict;
    let mut tiles = vec![
        ("requests".to_owned(), verdict.requests.to_string()),
        ("right".to_owned(), verdict.answered.to_string()),
        ("faults".to_owned(), report.outcome.faults.len().to_string()),
    ];
    for (kind, broken, allowed) in report.counts() {
        let allowed = if allowed > 0 { format!(" ({allowed} allowed)") } else { String::new() };
        tiles.push((kind.name().to_owned(), format!("{broken}{allowed}")));
    }
    let tiles: String =
        tiles.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    format!("<dl class=\"tiles\">\n{tiles}</dl>\n")
}

/// Requests and first answers a second over time, with the faults.
fn plot(report: &Report<'_>) -> Plot {
    let outcome = report.outcome;
    let whole = report.lasted().as_secs_f64().max(1.0);
    let length = (whole / POINTS as f64).max(1.0);
    let points = (whole / length).ceil() as usize;
    let since = |at: i64| millis(at - outcome.began).as_secs_f64();
    let line = |name: &str, moments: &mut dyn Iterator<Item = i64>| {
        let mut counts = vec![0_u32; points];
        for at in moments {
            let index = (since(at) / length) as usize;
            if let Some(count) = counts.get_mut(index) {
                *count += 1;
            }
        }
        let point =
            |(index, count): (usize, u32)| Some(((index as f64 + 0.5) * length, f64::from(count) / length));
        Line { name: name.to_owned(), points: counts.into_iter().enumerate().map(point).collect() }
    };
    let asked = &outcome.history.asked;
    let lines = vec![
        line("asked", &mut asked.iter().map(|asked| asked.at)),
        line("answered", &mut asked.iter().filter_map(|asked| asked.answered)),
    ];
    let highest = lines.iter().flat_map(|line| &line.points).flatten().map(|(_, y)| *y);
    let marks = outcome.faults.iter().map(|fault| Mark { at: since(fault.began), name: fault.name.clone() });
    Plot {
        title: "Requests and answers a second, and when a fault began".to_owned(),
        x: Axis { scale: Scale::Linear, range: (0.0, whole), write: |at| format!("{at:.0} s") },
        y: Axis::from_zero(highest, |rate| format!("{rate:.0}/s")),
        marks: marks.collect(),
        lines,
    }
}

fn by_fault(report: &Report<'_>) -> String {
    let mut rows = String::new();
    for row in report.by_fault() {
        let never = if row.unknown > 0 { format!(", {} never", row.unknown) } else { String::new() };
        let failed =
            if row.failed > 0 { format!(" ({} could not happen)", row.failed) } else { String::new() };
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}{failed}</td><td>{}</td><td>{}{never}</td><td>{}</td><td>{}</td></tr>\n",
            escape(row.name),
            row.times,
            seconds(row.median()),
            seconds(row.longest()),
            row.lost,
            row.double
        ));
    }
    format!(
        "<h2>By fault</h2>\n<div class=\"scroll\"><table><tr><th>fault</th><th>times</th><th>recovered in (median)</th>\
         <th>longest</th><th>lost</th><th>double</th></tr>\n{rows}</table></div>\n\
         <p class=\"dim\">Recovered: from the end of the fault until each partition had answered a request that was asked after it. \
         What is lost or double is counted with the last fault that had begun when it was asked or written.</p>\n"
    )
}

fn timeline(report: &Report<'_>) -> String {
    let mut rows = String::new();
    for fault in &report.outcome.faults {
        let (class, hit) = match &fault.hit {
            Ok(hit) => ("dim", escape(hit)),
            Err(reason) => ("bad", format!("could not happen: {}", escape(reason))),
        };
        rows.push_str(&format!(
            "<tr><td>{:.1} s</td><td>{}</td><td class=\"{class}\">{hit}</td><td>{}</td><td>{}</td></tr>\n",
            millis(fault.began - report.outcome.began).as_secs_f64(),
            escape(&fault.what),
            seconds(Some(millis(fault.ended - fault.began))),
            recovered(fault),
        ));
    }
    format!(
        "<h2>Time line</h2>\n<div class=\"scroll\"><table><tr><th>at</th><th>what</th><th>what it hit</th><th>lasted</th>\
         <th>recovered in</th></tr>\n{rows}</table></div>\n"
    )
}

fn by_minute(report: &Report<'_>) -> String {
    let row = |(number, minute): (usize, Minute)| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{} ms</td><td>{} ms</td><td>{}</td><td>{}</td></tr>\n",
            number + 1,
            minute.asked,
            minute.p50.as_millis(),
            minute.p99.as_millis(),
            mib(minute.resident),
            minute.files
        )
    };
    let rows: String = report.minutes().into_iter().enumerate().map(row).collect();
    format!(
        "<h2>By minute</h2>\n<div class=\"scroll\"><table><tr><th>minute</th><th>asked</th><th>answered after (p50)</th><th>p99</th>\
         <th>resident</th><th>open files</th></tr>\n{rows}</table></div>\n\
         <p class=\"dim\">Resident memory and open files: the most that one worker had.</p>\n"
    )
}

fn recovered(fault: &Happened) -> String {
    match fault.recovered {
        None => "-".to_owned(),
        Some(recovery) => {
            let time = seconds(Some(millis(recovery.at - fault.ended)));
            format!("{time} <span class=\"dim\">(partition {} last)</span>", recovery.partition)
        }
    }
}

fn what_is_wrong(report: &Report<'_>) -> String {
    let mut items = String::new();
    for evidence in report.evidence {
        let anomaly = &evidence.anomaly;
        let lines: String =
            evidence.lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
        items.push_str(&format!(
            "<details><summary><b>{}</b>: {}</summary>\n<ul>\n{lines}</ul></details>\n",
            anomaly.kind.name(),
            escape(&anomaly.text)
        ));
    }
    if items.is_empty() { String::new() } else { format!("<h2>What is wrong</h2>\n{items}") }
}
