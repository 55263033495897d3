//! How far the records are that take long: told by workers once a second, and shown to whoever waits.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    config::Pipeline,
    kafka::{UnderWaySink, settings},
    telemetry::{Teller, UnderWay},
};

/// How often.
const EACH: Duration = Duration::from_secs(1);

/// Tells of a pipeline's records, forever: in its metrics, and in the topic `progress.topic`, if it has one.
pub async fn tell(pipeline: &Pipeline, worker: &str) {
    let mut teller = Teller::new(&pipeline.name, worker);
    let config = settings::common(pipeline);
    let mut sink = pipeline.progress.as_ref().map(|topic| UnderWaySink::new(&config, topic));
    let mut said = false;
    loop {
        tokio::time::sleep(EACH).await;
        let told = teller.tell();
        let Some(Err(error)) = sink.as_mut().map(|sink| sink.tell(&told)) else { continue };
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(%error, topic = pipeline.progress, "nobody is told how far long records are");
        }
    }
}

/// How often it is said where nobody looks at a terminal.
const SAY: Duration = Duration::from_secs(10);

/// What is shown of requests that take long: a bar in a terminal, otherwise a line now and then.
#[derive(Default)]
pub struct Line {
    /// The number that is asked for and how far it is, by the request's place.
    told: BTreeMap<(i32, i64), (u64, UnderWay)>,
    bar: Option<ProgressBar>,
    said: Option<Instant>,
}

impl Line {
    /// The request for n! is that far.
    pub fn show(&mut self, n: u64, told: &UnderWay) {
        self.told.insert((told.partition, told.offset), (n, told.clone()));
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
            bar.with_style(style())
        });
        // The one that will be the last.
        let last =
            self.told.values().max_by(|one, other| one.1.left_seconds.total_cmp(&other.1.left_seconds));
        let Some((n, last)) = last else { return };
        let words = format!("{n}!: {}", last.words());
        if bar.is_hidden() {
            if self.said.is_none_or(|said| said.elapsed() >= SAY) {
                self.said = Some(Instant::now());
                eprintln!("{words}");
            }
            return;
        }
        bar.set_position((last.done * 1_000.0) as u64);
        bar.set_message(words);
    }

    /// Some result has come: what is shown makes room for it.
    pub fn clear(&mut self) {
        self.told.clear();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    // The template is our own, and a test shows it.
    ProgressStyle::with_template("{wide_bar:.cyan/dim} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
