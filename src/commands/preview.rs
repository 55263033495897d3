//! Shows what a pipeline makes of its records, computed beside its workers: nothing is written, and nothing is committed.

use std::time::{Duration, Instant};

use super::{Failure, print};
use crate::{
    config::Pipeline,
    engine::{Scratch, Topology},
    format::Format,
    kafka::{Begin, Tap},
    operator::{OperatorError, SharedState},
    record::{Offset, Record, TopicPartition},
    value::{Others, Value, Wanted},
};

/// How long to wait for a record before looking again.
const WAIT: Duration = Duration::from_secs(1);
/// The most characters of a value that are shown.
const LONGEST: usize = 300;

/// What is shown.
pub struct Preview {
    /// After how many steps; all of them: where results go too.
    pub steps: usize,
    /// Where reading begins.
    pub begin: Begin,
    /// Whether it is said of a record that nothing comes of it.
    pub dropped: bool,
    /// How many records are shown in a second at most.
    pub rate: Option<u32>,
    /// How many records are shown in all.
    pub count: Option<u64>,
}

impl Preview {
    /// Shows records until there were enough.
    ///
    /// # Errors
    /// No broker answers, a topic is not there, or an operator would stop the pipeline.
    pub fn show(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        let tap = Tap::new(pipeline, self.begin).map_err(Failure::Failed)?;
        let shown = Shown::new(pipeline, self.steps);
        let (mut left, mut second, mut in_second, mut skipped) = (self.count, Instant::now(), 0, 0_u64);
        let mut scratch = Scratch::default();
        if pipeline.state.is_some() {
            // What the workers remember is theirs: this begins with nothing.
            scratch.set_state(SharedState::in_memory());
        }
        while left != Some(0) {
            let Some((partition, offset, record)) = tap.next(WAIT) else { continue };
            let lines = shown.lines(&partition, offset, record, self.dropped, &mut scratch)?;
            for line in lines {
                if second.elapsed() >= Duration::from_secs(1) {
                    (second, in_second) = (Instant::now(), 0);
                }
                if self.rate.is_some_and(|rate| in_second >= rate) {
                    skipped += 1;
                    continue;
                }
                let more = if skipped > 0 { format!("… {skipped} more\n") } else { String::new() };
                if !print(&format!("{more}{line}\n"))? {
                    return Ok(());
                }
                (in_second, skipped) = (in_second + 1, 0);
                left = left.map(|left| left.saturating_sub(1));
                if left == Some(0) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The steps, and how what comes out of them is written.
struct Shown<'a> {
    pipeline: &'a Pipeline,
    topology: Topology,
    /// How values are written after the last of the steps, where they do not go to a topic yet.
    format: Format,
    /// The same of keys, wherever they go.
    keys: Format,
    /// The names of the result topics, where all steps are taken.
    topics: Option<Vec<String>>,
}

impl<'a> Shown<'a> {
    fn new(pipeline: &'a Pipeline, steps: usize) -> Self {
        let taken = &pipeline.steps[..steps.min(pipeline.steps.len())];
        let is_all = steps >= pipeline.steps.len();
        let writes = taken.iter().any(|step| !step.operator.keeps_value());
        let sinks_keys = is_all && pipeline.sink.key_format.is_some()
            || taken.iter().any(|step| !step.operator.keeps_key());
        let keys = if sinks_keys { &pipeline.sink.key_format } else { &pipeline.source.key_format };
        Shown {
            pipeline,
            topology: match is_all {
                true => pipeline.topology(),
                false => Topology::new(pipeline.first_steps(steps)),
            },
            format: if writes { pipeline.sink.format.clone() } else { pipeline.source.format.clone() },
            keys: keys.clone().unwrap_or(Format::Bytes),
            topics: is_all.then(|| pipeline.written_topics().results),
        }
    }

    /// What comes of a record, a line each.
    fn lines(
        &self,
        partition: &TopicPartition,
        offset: Offset,
        record: Record,
        dropped: bool,
        scratch: &mut Scratch,
    ) -> Result<Vec<String>, Failure> {
        let mut results = Vec::new();
        scratch.set_place(partition, offset);
        let at = format!("{partition} {offset}");
        if let Err(error) = self.topology.apply(record, &mut results, scratch, |_, _| ()) {
            return match error {
                OperatorError::BadInput { class, message } => {
                    Ok(vec![format!("{at} → {}  {class}: {message}", self.pipeline.dead_letters)])
                }
                OperatorError::Fatal { message } => {
                    Err(Failure::Failed(format!("at {at} the pipeline would stop: {message}")))
                }
                passing => Ok(vec![format!("{at} would be tried again: {passing}")]),
            };
        }
        if results.is_empty() && dropped {
            return Ok(vec![format!("{at} → nothing")]);
        }
        Ok(results.iter().map(|result| self.line(&at, result)).collect())
    }

    fn line(&self, at: &str, result: &Record) -> String {
        let (to, format) = match &self.topics {
            None => (String::new(), &self.format),
            Some(topics) => {
                let topic = &topics[usize::from(result.to.0)];
                (format!(" → {topic}"), self.pipeline.format_of(topic))
            }
        };
        let key = result.key.as_ref().map_or_else(|| "-".to_owned(), |key| visible(&self.keys.to_text(key)));
        let value =
            result.value.as_ref().map_or_else(|| "a tombstone".to_owned(), |value| text(format, value));
        format!("{at}{to}  {key}  {value}")
    }
}

/// A value as text: JSON, where it is neither text nor a number.
fn text(format: &Format, value: &bytes::Bytes) -> String {
    let plain = || String::from_utf8_lossy(value).into_owned();
    let whole = match format.read(value, &Wanted::All, Others::Kept) {
        Ok(Value::String(text)) => text.to_string(),
        // A result such as `3;6` is no number, and is shown as it is.
        Err(_) | Ok(Value::Bytes(_)) => plain(),
        Ok(read) => Format::Json
            .write(&read)
            .map_or_else(|_| plain(), |json| String::from_utf8_lossy(&json).into_owned()),
    };
    let shown = match whole.char_indices().nth(LONGEST) {
        None => return visible(&whole),
        Some((end, _)) => visible(&whole[..end]),
    };
    format!("{shown}… ({} bytes)", value.len())
}

/// One line that does nothing to a terminal, whatever a stranger has sent.
fn visible(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_line_of_text_whatever_it_is() {
        let shown = |format: Format, value: &'static [u8]| text(&format, &bytes::Bytes::from_static(value));
        assert_eq!(shown(Format::Json, b" {\"a\": [1,\n 2]} "), r#"{"a": [1,\n 2]}"#);
        assert_eq!(shown(Format::Text, b"3;6"), "3;6");
        assert_eq!(shown(Format::Bincode, &[1, 30]), "30");
        assert_eq!(shown(Format::String, "ü\u{1b}[2J\n".as_bytes()), "ü\\u{1b}[2J\\n");
        assert_eq!(shown(Format::Bytes, &[b'a', 0xff]), "a\u{fffd}");
        let long = shown(Format::Text, &[b'x'; 1_000]);
        assert_eq!(long, format!("{}… (1000 bytes)", "x".repeat(300)));
    }
}
