//! Evidence for an anomaly: where its request was produced, written and committed, and what the workers
//! logged.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use rdkafka::ClientConfig;

use super::{
    history::{Found, History, Letter, Place},
    judge::{Anomaly, AnomalyKind},
    names::Names,
    requests::Requests,
};
use crate::{
    kafka::verify::{Isolation, read_to_end},
    record::{Destination, Record, error},
};

/// How many anomalies of each kind come with evidence.
const SHOWN: usize = 8;
/// Log lines are shown from this long before an anomaly to this long after, in milliseconds.
const NEAR: i64 = 1_000;
/// The most lines shown, and the most characters of each.
const LINES: usize = 40;
const LENGTH: usize = 400;
const READ: Duration = Duration::from_secs(180);

/// An anomaly and its evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The anomaly.
    pub anomaly: Anomaly,
    /// The evidence, one fact a line.
    pub lines: Vec<String>,
}

/// Gathers evidence for the first anomalies of each kind.
///
/// # Errors
/// A topic cannot be read.
pub fn gather(
    config: &ClientConfig,
    names: &Names,
    requests: &Requests,
    history: &History,
    broken: &[Anomaly],
    logs: &Path,
) -> Result<Vec<Evidence>, String> {
    let shown = AnomalyKind::ALL
        .into_iter()
        .flat_map(|kind| broken.iter().filter(move |anomaly| anomaly.kind == kind).take(SHOWN).cloned());
    let shown: Vec<Anomaly> = shown.collect();
    if shown.is_empty() {
        return Ok(Vec::new());
    }
    let written = Written::read(config, names, history, &shown)?;
    let said = Said::read(logs);
    let evidence = shown.into_iter().map(|anomaly| {
        let mut lines = Vec::new();
        let mut moments = BTreeSet::from([anomaly.at]);
        if let Some(number) = anomaly.number {
            about(number, requests, history, names, &written, &mut lines, &mut moments);
        }
        moments.remove(&0);
        lines.extend(said.near(&moments));
        Evidence { anomaly, lines }
    });
    Ok(evidence.collect())
}

fn about(
    number: u32,
    requests: &Requests,
    history: &History,
    names: &Names,
    written: &Written,
    lines: &mut Vec<String>,
    moments: &mut BTreeSet<i64>,
) {
    let Some(asked) = history.asked.get(number as usize) else { return };
    let request = requests.request(number);
    lines.push(format!(
        "request {number}: key {}, value {}",
        shown(request.key.as_deref()),
        shown(request.value.as_deref())
    ));
    let acknowledged = asked.acknowledged.map_or_else(|| "never".to_owned(), time);
    let answered = asked.answered.map_or_else(|| "never".to_owned(), time);
    lines
        .push(format!("asked {}, acknowledged {acknowledged}, first answer read {answered}", time(asked.at)));
    moments.extend(asked.acknowledged);
    if let Some(place) = asked.place {
        lines.push(format!("it is in {}[{}] at {}", names.requests, place.partition, place.offset));
        commits_around(history, &names.requests, place, lines, moments);
    }
    for (at, line) in written.0.get(&number).into_iter().flatten() {
        moments.insert(*at);
        lines.push(line.clone());
    }
}

/// The last commit before the record, and the first one after it.
fn commits_around(
    history: &History,
    topic: &str,
    place: Place,
    lines: &mut Vec<String>,
    moments: &mut BTreeSet<i64>,
) {
    let of_it = || {
        let partition = history
            .commits
            .iter()
            .filter(|commit| commit.topic == topic && commit.partition == place.partition);
        partition.filter_map(|commit| Some((commit.offset?, commit.at)))
    };
    let after = of_it().find(|(offset, _)| *offset > place.offset);
    let before = of_it().take_while(|(offset, _)| *offset <= place.offset).last();
    for (what, commit) in [("the last commit before it", before), ("the first commit after it", after)] {
        match commit {
            Some((offset, at)) => {
                lines.push(format!("{what}: {offset}, {}", time(at)));
                moments.insert(at);
            }
            None => lines.push(format!("{what}: none")),
        }
    }
}

/// Where the results and dead letters of some requests were written, including those of aborted transactions.
struct Written(BTreeMap<u32, Vec<(i64, String)>>);

impl Written {
    fn read(
        config: &ClientConfig,
        names: &Names,
        history: &History,
        anomalies: &[Anomaly],
    ) -> Result<Written, String> {
        let wanted: BTreeSet<u32> = anomalies.iter().filter_map(|anomaly| anomaly.number).collect();
        let results: HashSet<_> = history.results.iter().map(|found| (found.topic, found.place)).collect();
        let letters: HashSet<Place> = history.letters.iter().map(|letter| letter.place).collect();
        let mut written = BTreeMap::<u32, Vec<(i64, String)>>::new();
        let mut note = |number: Option<u32>, topic: &str, place: Place, at, committed: bool, what: String| {
            let Some(number) = number.filter(|number| wanted.contains(number)) else { return };
            let how = if committed { "committed" } else { "not committed" };
            let line = format!(
                "{what} in {topic}[{}] at {}, written {}, {how}",
                place.partition,
                place.offset,
                time(at)
            );
            written.entry(number).or_default().push((at, line));
        };
        for (to, name) in names.written.destinations() {
            read_to_end(config, name, None, Isolation::Uncommitted, READ, |seen| match to {
                Destination::Result(topic) => {
                    let found = Found::of(&seen, topic);
                    let what = format!("result {}", shown(seen.record.value.as_deref()));
                    let committed = results.contains(&(topic, found.place));
                    note(found.number, name, found.place, found.at, committed, what);
                }
                Destination::DeadLetter => {
                    let letter = Letter::of(&seen);
                    let what = format!("dead letter {}: {}", letter.class, reason(&seen.record));
                    let committed = letters.contains(&letter.place);
                    note(letter.number, name, letter.place, letter.at, committed, what);
                }
            })?;
        }
        Ok(Written(written))
    }
}

fn reason(letter: &Record) -> String {
    String::from_utf8_lossy(letter.headers.get(error::MESSAGE).unwrap_or_default()).into_owned()
}

/// What the workers logged, ordered by time.
struct Said(Vec<(i64, String)>);

impl Said {
    fn read(logs: &Path) -> Said {
        let mut said = Vec::new();
        for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
            let name = entry.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for line in fs::read_to_string(entry.path()).unwrap_or_default().lines() {
                if let Some((at, text)) = line_of(line) {
                    said.push((at, format!("{name} {text}")));
                }
            }
        }
        said.sort();
        Said(said)
    }

    fn near(&self, moments: &BTreeSet<i64>) -> Vec<String> {
        let near = |at: i64| moments.iter().any(|moment| (at - moment).abs() <= NEAR);
        let lines = self.0.iter().filter(|(at, _)| near(*at));
        lines.take(LINES).map(|(at, text)| format!("{} {text}", time(*at))).collect()
    }
}

/// Parses a line of a worker's log: JSON, with a timestamp.
fn line_of(line: &str) -> Option<(i64, String)> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let object = value.as_object()?;
    let at = humantime::parse_rfc3339_weak(object.get("timestamp")?.as_str()?).ok()?;
    let at = at.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64;
    let mut text = object.get("level")?.as_str()?.to_owned();
    for (name, value) in object
        .iter()
        .filter(|(name, _)| !["timestamp", "level", "target", "pipeline"].contains(&name.as_str()))
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&if name == "message" { format!(" {value}") } else { format!(" {name}={value}") });
    }
    Some((at, text.chars().take(LENGTH).collect()))
}

/// A record's first bytes, as text.
fn shown(bytes: Option<&[u8]>) -> String {
    const SHOWN: usize = 40;
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= SHOWN => format!("{:?}", String::from_utf8_lossy(bytes)),
        Some(bytes) => format!("{:?}… ({} bytes)", String::from_utf8_lossy(&bytes[..SHOWN]), bytes.len()),
    }
}

/// A timestamp in UTC, with milliseconds.
pub fn time(millis: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(millis.max(0) as u64);
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_are_found_by_their_time() {
        let line = r#"{"timestamp":"2026-11-25T09:45:06.913917Z","level":"WARN","message":"rebalance: assign","pipeline":"f","pause":"200ms","target":"t"}"#;
        let (at, text) = line_of(line).unwrap();
        assert_eq!(time(at), "2026-11-25T09:45:06.913Z");
        assert_eq!(text, "WARN rebalance: assign pause=200ms");
        assert_eq!(line_of("thread 'main' panicked"), None);
        let said = Said(vec![(1_000, "w1 a".into()), (2_500, "w2 b".into()), (9_000, "w1 c".into())]);
        assert_eq!(
            said.near(&BTreeSet::from([2_000])),
            ["1970-01-01T00:00:01.000Z w1 a", "1970-01-01T00:00:02.500Z w2 b"]
        );
    }
}
