//! The view: a screen, or plain text.

use bytesize::ByteSize;
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row as TableRow, Table},
};

use super::scrape::{Reading, Row};
use crate::telemetry::Stage;

/// Columns of the bar that shows where the time goes.
const BAR: usize = 30;

const HEAD: [&str; 12] = [
    "PIPELINE",
    "PROCESS",
    "PARTITIONS",
    "IN/s",
    "OUT/s",
    "DEAD/s",
    "EXPIRED/s",
    "LAG",
    "LAG s",
    "IN FLIGHT",
    "MEMORY",
    "WHERE THE TIME GOES",
];

fn color(stage: Stage) -> Color {
    match stage {
        Stage::Poll => Color::DarkGray,
        Stage::Wait => Color::Red,
        Stage::Compute => Color::Green,
        Stage::Call => Color::Blue,
        Stage::Send => Color::Yellow,
        Stage::Commit => Color::Magenta,
        Stage::Rebalance => Color::Cyan,
        Stage::Restore => Color::LightCyan,
    }
}

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, reading: &Reading) {
    let (rows, long) = (reading.rows.len() as u16 + 3, reading.long.len() as u16);
    let heights = [2, rows, long].map(Constraint::Length).into_iter().chain([Constraint::Min(3)]);
    let [head, pipelines, long, partitions] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(Paragraph::new(reading.long.join("\n")).fg(Color::Green), long);
    let mut legend: Vec<Span<'_>> = vec!["pipeline top ".bold(), "  q leaves   ".dim()];
    for stage in Stage::ALL {
        legend.push(Span::styled("█ ", Style::new().fg(color(stage))));
        legend.push(Span::raw(format!("{}  ", stage.name())));
    }
    let silent = Line::from(reading.silent.join("  ")).fg(Color::Red);
    frame.render_widget(Paragraph::new(vec![Line::from(legend), silent]), head);

    let mut widths = [14, 21, 10, 9, 9, 7, 9, 9, 7, 9, 20, BAR as u16].map(Constraint::Length);
    // Processes of one host differ in their last characters.
    let longest = reading.rows.iter().map(|row| row.process.len()).max().unwrap_or(0);
    widths[1] = Constraint::Min(longest as u16);
    let table = reading.rows.iter().map(|row| {
        let mut cells: Vec<Cell<'_>> = cells(row).into_iter().map(Cell::from).collect();
        cells.push(Cell::from(bar(row)));
        TableRow::new(cells)
    });
    let head_row = TableRow::new(HEAD).bold();
    frame.render_widget(
        Table::new(table, widths).header(head_row).block(Block::bordered().title("pipelines")),
        pipelines,
    );

    let widths =
        [Constraint::Min(30), Constraint::Length(21), Constraint::Length(10), Constraint::Length(10)];
    let table = reading.partitions.iter().map(|row| {
        TableRow::new([
            row.partition.clone(),
            row.process.clone(),
            format!("{:.0}", row.lag),
            format!("{:.1}", row.lag_seconds),
        ])
    });
    let head_row = TableRow::new(["PARTITION", "PROCESS", "LAG", "LAG s"]).bold();
    let title = "partitions, the most behind first";
    frame.render_widget(
        Table::new(table, widths).header(head_row).block(Block::bordered().title(title)),
        partitions,
    );
}

/// The same as plain text.
pub fn text(reading: &Reading) -> String {
    let mut table: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
    for row in &reading.rows {
        let mut line = cells(row);
        let shares = Stage::ALL.iter().zip(row.stages).filter(|(_, share)| *share >= 0.005);
        line.push(
            shares
                .map(|(stage, share)| format!("{} {:.0} %", stage.name(), share * 100.0))
                .collect::<Vec<_>>()
                .join(", "),
        );
        table.push(line);
    }
    let long = table.len();
    table.push(Vec::new());
    table.push(["PARTITION", "PROCESS", "LAG", "LAG s"].map(str::to_owned).to_vec());
    for row in &reading.partitions {
        let (lag, seconds) = (format!("{:.0}", row.lag), format!("{:.1}", row.lag_seconds));
        table.push(vec![row.partition.clone(), row.process.clone(), lag, seconds]);
    }
    let mut widths = [0; HEAD.len()];
    for line in &table {
        line.iter().zip(&mut widths).for_each(|(cell, width)| *width = (*width).max(cell.len()));
    }
    let mut text = String::new();
    for (place, line) in table.into_iter().enumerate() {
        if place == long {
            reading.long.iter().for_each(|words| text += &format!("\n{words}\n"));
        }
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    reading.silent.iter().for_each(|reason| text += &format!("{reason}\n"));
    text
}

/// All cells except the bar.
fn cells(row: &Row) -> Vec<String> {
    let bytes = |bytes: f64| ByteSize(bytes as u64).to_string();
    vec![
        row.pipeline.clone(),
        row.process.clone(),
        format!("{:.0}", row.partitions),
        format!("{:.0}", row.consumed),
        format!("{:.0}", row.produced),
        format!("{:.0}", row.dead_letters),
        format!("{:.0}", row.expired),
        format!("{:.0}", row.lag),
        format!("{:.1}", row.lag_seconds),
        format!("{:.0}", row.in_flight),
        format!("{} of {}", bytes(row.bytes), bytes(row.budget)),
    ]
}

/// The bar: each stage's share in its colour.
fn bar(row: &Row) -> Line<'static> {
    let mut spans = Vec::new();
    let (mut share, mut drawn) = (0.0, 0);
    for (stage, part) in Stage::ALL.into_iter().zip(row.stages) {
        share += part;
        let end = (share * BAR as f64).round() as usize;
        spans.push(Span::styled("█".repeat(end.saturating_sub(drawn)), Style::new().fg(color(stage))));
        drawn = end.max(drawn);
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::commands::top::scrape::tests::reading;

    #[test]
    fn the_screen_has_pipelines_partitions_and_who_does_not_answer() {
        let mut terminal = Terminal::new(TestBackend::new(170, 12)).unwrap();
        terminal.draw(|frame| draw(frame, &reading())).unwrap();
        let buffer = terminal.backend().buffer();
        let lines: Vec<String> = (0..12)
            .map(|y| (0..170).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>())
            .collect();
        assert!(lines[1].starts_with("gone"), "{lines:#?}");
        let row = lines.iter().find(|line| line.contains(" a:1 ") || line.contains("│p ")).unwrap();
        assert!(row.contains("100") && row.contains(&"█".repeat(BAR)), "{row}");
        assert!(lines.iter().any(|line| line.contains("in[1]") && line.contains("2.5")), "{lines:#?}");
        let long = "p at a:1 computes a long record: 43 % done, about 3 s left (and 1 less)";
        assert!(lines.iter().any(|line| line.trim_end() == long), "{lines:#?}");
        let paused = "p at a:1 is paused: `pipeline resume` with its file has it go on";
        assert!(lines.iter().any(|line| line.trim_end() == paused), "{lines:#?}");
    }

    #[test]
    fn the_same_is_said_as_text() {
        let text = text(&reading());
        assert!(
            text.contains("compute 100 %")
                && text.contains("\np at a:1 computes a long record: 43 % done")
                && text.contains("in[1]")
                && text.ends_with("gone\n"),
            "{text}"
        );
    }
}
