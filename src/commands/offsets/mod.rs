//! `pipeline offsets`.

mod target;

use std::{
    fs,
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::{
    Failure, confirmed,
    file::{Overrides, load_pipeline},
    stdout,
    topics::table,
};
use crate::{
    engine::CommitOffset,
    kafka::{GroupOffset, GroupOffsets},
    record::{Offset, TopicPartition},
};
use target::To;

/// How long members may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// Show what a pipeline's group has committed, or have it go on from another place
#[derive(Args, Debug)]
pub struct Offsets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show each partition's committed offset, its first and last ones, and the lag
    Show {
        /// The pipeline
        file: String,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Have the group go on from another place: stop its workers first, otherwise it is refused
    ///
    /// What was committed before is written into a new file in this folder, and the command that brings it back is printed at the end: that
    /// is the undo, with `--from`. Records that are read again have results again; those that are passed by have none.
    #[command(after_help = EXAMPLES)]
    Reset {
        /// The pipeline
        file: String,
        #[command(flatten)]
        new: New,
        /// These partitions alone, such as 0,3 [default: all]
        #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
        partitions: Vec<i32>,
        /// This topic alone, where the pipeline reads several
        #[arg(long)]
        topic: Option<String>,
        /// Show what would be, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation; required without a terminal
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        overrides: Overrides,
    },
}

const EXAMPLES: &str = "\
Examples:
  pipeline offsets reset mine.toml --to earliest --dry-run     what all from the beginning would be
  pipeline offsets reset mine.toml --to 2h                     on from the records of two hours ago, wherever the group is now
  pipeline offsets reset mine.toml --to 2026-11-27T10:00:00Z   all records since then again
  pipeline offsets reset mine.toml --to=-100                   the last hundred of each partition again
  pipeline offsets reset mine.toml --to +1 --partitions 3      leave one record out
  pipeline offsets reset mine.toml --from KEPT                 undo it: KEPT is the file that the reset has named";

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct New {
    /// earliest, latest, a time, how long before now (2h), an offset, or by how many offsets each partition moves (+1, -100)
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    to: Option<To>,
    /// What was committed before an earlier reset, from the file that it has written
    #[arg(long, value_name = "KEPT")]
    from: Option<PathBuf>,
}

/// A partition's offset in a file.
#[derive(Serialize, Deserialize)]
struct Kept {
    topic: String,
    partition: i32,
    /// `None` where nothing was committed, which no commit can bring back.
    offset: Option<i64>,
    /// Which records behind it are done too.
    metadata: String,
}

/// From where to where a partition goes.
struct Change {
    before: GroupOffset,
    after: CommitOffset,
}

impl Offsets {
    /// Executes the action.
    ///
    /// # Errors
    /// No broker answers, the group has members, or a file cannot be read or written.
    pub fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Show { file, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let group = GroupOffsets::new(&pipeline).map_err(Failure::Failed)?;
                let members = match group.members() {
                    Ok(1) => "1 member".to_owned(),
                    Ok(members) => format!("{members} members"),
                    // An embedded broker does not describe groups.
                    Err(_) => "an unknown number of members".to_owned(),
                };
                let all = group.all().map_err(Failure::Failed)?;
                stdout(&format!("group {}, {members}\n\n{}", pipeline.source.group, shown(&all)))
            }
            Action::Reset { file, new, partitions, topic, dry_run, yes, overrides } => {
                let pipeline = load_pipeline(&file, &overrides)?;
                let name = &pipeline.source.group;
                let group = GroupOffsets::new(&pipeline).map_err(Failure::Failed)?;
                let is_meant = |partition: &TopicPartition| {
                    (partitions.is_empty() || partitions.contains(&partition.partition))
                        && topic.as_ref().is_none_or(|topic| **topic == *partition.topic)
                };
                let mut changes = changes(&group, &new)?;
                changes.retain(|change| is_meant(&change.before.partition));
                if changes.is_empty() {
                    return Err(Failure::Failed("the pipeline reads no such partition".to_owned()));
                }
                stdout(&compared(&changes))?;
                if dry_run {
                    return Ok(());
                }
                let members = members_left(&group)?;
                if members > 0 {
                    return Err(Failure::Failed(format!(
                        "the group {name} still has {members} of its members, which would commit over it: stop all workers of this \
                         pipeline, and try again"
                    )));
                }
                if !yes && !confirmed(&format!("have the group {name} go on from there?"))? {
                    return Err(Failure::Failed("nothing was changed".to_owned()));
                }
                let kept = keep(name, &changes)?;
                let after: Vec<CommitOffset> = changes.into_iter().map(|change| change.after).collect();
                group.set(&after).map_err(Failure::Failed)?;
                stdout(&format!(
                    "\nthe group {name} goes on from there; what was before is in {kept}\n\
                     to undo it: pipeline offsets reset {file} --from {kept}\n"
                ))
            }
        }
    }
}

/// How many members the group has that do not leave at once: one that was stopped a moment ago may be counted for a while.
fn members_left(group: &GroupOffsets) -> Result<usize, Failure> {
    let deadline = Instant::now() + LEAVING;
    loop {
        let members = group.members().map_err(Failure::Failed)?;
        if members == 0 || Instant::now() >= deadline {
            return Ok(members);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn shown(all: &[GroupOffset]) -> String {
    let rows = all.iter().map(|one| {
        let committed = one.committed.as_ref().map_or("-".to_owned(), |of| of.offset.0.to_string());
        let lag = one.lag().to_string();
        [one.partition.to_string(), committed, one.first.to_string(), one.end.to_string(), lag]
    });
    table(["partition", "committed", "first offset", "next offset", "lag"], rows)
}

fn compared(changes: &[Change]) -> String {
    let rows = changes.iter().map(|Change { before, after }| {
        let committed = before.committed.as_ref().map_or("-".to_owned(), |of| of.offset.0.to_string());
        let from = before.committed.as_ref().map_or(before.first, |of| of.offset.0);
        let moved = after.offset.0 - from;
        [before.partition.to_string(), committed, after.offset.0.to_string(), format!("{moved:+}")]
    });
    table(["partition", "committed", "new", "moved by"], rows)
}

/// What a reset would change, for all partitions.
fn changes(group: &GroupOffsets, new: &New) -> Result<Vec<Change>, Failure> {
    let all = group.all().map_err(Failure::Failed)?;
    if let Some(file) = &new.from {
        return from_file(all, file);
    }
    let Some(to) = &new.to else { return Ok(Vec::new()) };
    let at = match to {
        To::Time(time) => group.at(*time).map_err(Failure::Failed)?,
        _ => vec![None; all.len()],
    };
    let change = |(before, at): (GroupOffset, Option<i64>)| {
        let committed = before.committed.as_ref().map(|committed| committed.offset.0);
        let offset = Offset(to.of(committed, before.first, before.end, at));
        let partition = before.partition.clone();
        // Nothing behind the new place is done.
        Change { after: CommitOffset { partition, offset, metadata: String::new() }, before }
    };
    Ok(all.into_iter().zip(at).map(change).collect())
}

fn from_file(all: Vec<GroupOffset>, file: &PathBuf) -> Result<Vec<Change>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    let kept: Vec<Kept> = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let mut changes = Vec::new();
    for before in all {
        let is_it = |kept: &&Kept| {
            kept.topic == *before.partition.topic && kept.partition == before.partition.partition
        };
        let Some(Kept { offset: Some(offset), metadata, .. }) = kept.iter().find(is_it) else { continue };
        let (partition, metadata) = (before.partition.clone(), metadata.clone());
        changes.push(Change { after: CommitOffset { partition, offset: Offset(*offset), metadata }, before });
    }
    Ok(changes)
}

/// Writes what was committed into a new file; returns its name.
fn keep(group: &str, changes: &[Change]) -> Result<String, Failure> {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name = format!("offsets-{}-{millis}.json", group.chars().map(safe).collect::<String>());
    let kept: Vec<Kept> = changes
        .iter()
        .map(|Change { before, .. }| Kept {
            topic: before.partition.topic.to_string(),
            partition: before.partition.partition,
            offset: before.committed.as_ref().map(|committed| committed.offset.0),
            metadata: before.committed.as_ref().map_or(String::new(), |committed| committed.metadata.clone()),
        })
        .collect();
    let text = serde_json::to_string_pretty(&kept).map_err(Failure::failed)?;
    let failed =
        |error| Failure::Failed(format!("nothing was changed, as {name} cannot be written: {error}"));
    fs::File::create_new(&name).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)?;
    Ok(name)
}
