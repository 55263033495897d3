//! `pipeline top`: a live view of running processes, from their metrics.

mod scrape;
mod view;

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use super::{Failure, admin_port::get, stdout};
use scrape::{Reading, Samples};

/// Watch running processes: rates, lag, where the time goes, partitions
///
/// `q` quits. Without a terminal, or with --once, prints the view once.
#[derive(Args, Debug)]
pub struct Top {
    /// Where the processes serve their metrics
    #[arg(default_value = "http://127.0.0.1:9464")]
    urls: Vec<String>,
    /// How often to refresh
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Read the metrics twice, print, and exit
    #[arg(long)]
    once: bool,
}

impl Top {
    /// Shows the processes until `q` is pressed.
    ///
    /// # Errors
    /// None of them answers, or the terminal cannot be used.
    pub fn run(self) -> Result<(), Failure> {
        let first = self.look();
        if let Some(Err(error)) =
            first.iter().find(|_| first.iter().all(|(_, read)| read.is_err())).map(|(_, r)| r)
        {
            return Err(Failure::Failed(error.clone()));
        }
        std::thread::sleep(self.interval.min(Duration::from_secs(1)));
        let mut reading = Reading::new(&first, self.look());
        if self.once || !std::io::stdout().is_terminal() {
            return stdout(&view::text(&reading));
        }
        let mut terminal = ratatui::try_init().map_err(Failure::failed)?;
        let result = loop {
            if let Err(error) = terminal.draw(|frame| view::draw(frame, &reading)) {
                break Err(Failure::failed(error));
            }
            match leave_within(self.interval) {
                Ok(true) => break Ok(()),
                Ok(false) => reading = Reading::new(&reading.now, self.look()),
                Err(error) => break Err(Failure::failed(error)),
            }
        };
        ratatui::restore();
        result
    }

    fn look(&self) -> Vec<(String, Result<Samples, String>)> {
        let name = |url: &String| {
            url.trim_start_matches("http://").trim_end_matches('/').trim_end_matches("/metrics").to_owned()
        };
        let read = |url: &String| get(url, "/metrics").map(|text| Samples::parse(&text));
        self.urls.iter().map(|url| (name(url), read(url))).collect()
    }
}

/// Waits; returns whether `q`, Escape or Ctrl-C was pressed meanwhile.
fn leave_within(interval: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + interval;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()? {
            let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if control_c || [KeyCode::Char('q'), KeyCode::Esc].contains(&key.code) {
                return Ok(true);
            }
        }
    }
}
